#!/bin/sh
# Train two small models on drawn faces and compare them. No data set is needed.
#
#     sh examples/train_and_compare.sh           # 30 epochs, 1,400 images: some minutes
#     sh examples/train_and_compare.sh 2 140     # 2 epochs, 140 images: seconds, to see it run
#
# Needs mien[train]. Writes the folders faces, runs and comparison here.
set -eu
epochs=${1:-30} images=${2:-1400}

mien data draw faces --images "$images"
mien train drawn --data faces --set name=plain --set training.epochs="$epochs" --out runs/plain
mien train drawn --data faces --set name=mixup --set training.mix.mixup=0.2 \
  --set training.epochs="$epochs" --out runs/mixup

for run in runs/plain runs/mixup; do
  mien evaluate "$run" --data faces --split test
done
mien compare runs/plain runs/mixup --split test --out comparison
