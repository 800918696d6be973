#!/usr/bin/env bash
# Make a run the package's own: its bundles, its results, and every figure the docs tell of it.
#
#     benchmarks/publish.sh runs/mien-s fer2013.zip ferplus_votes.csv
#
# Bundles go to src/mien/bundles, predictions and figures to results/NAME, tables to build/publish:
# what the docs say is copied from there by hand. Leave the machine alone meanwhile: it takes times.
set -euo pipefail
run=$1 data=$2 votes=$3
name=$(basename "$run")
results=results/$name tables=build/publish
bundles=$tables/bundles  # calibrated there: bundles of the package are not changed
public=(--data "$data" --split public)
mkdir -p "$tables"

mien export "$run" --half --data "$data" --out "$bundles/$name"
mien quantize "$bundles/$name" --data "$data" --out "$bundles/$name-int8"
benchmarks/keep.sh "$run" "$data" "$votes"
for bundle in "$name" "$name-int8"; do
  mien calibrate "$bundles/$bundle" "${public[@]}"
  mien evaluate "$bundles/$bundle" "${public[@]}" --votes "$votes" --jitter --out "$tables/$bundle"
  rm -rf "src/mien/bundles/$bundle" && cp -r "$bundles/$bundle" src/mien/bundles
done
mien evaluate "$run/bundle" "${public[@]}" --votes "$votes" --views ten-crop --out "$tables/$name-ten-crop"
mien evaluate "$run" "${public[@]}" --votes "$votes" --corruptions --limit 1000 \
  --baseline results/attention-16/evaluation/public
mien evaluate "$run" "${public[@]}" --votes "$votes" --adversarial --limit 200

cp "$run"/evaluation/public/{robustness,adversarial}.{csv,json} "$results/evaluation/public"
mkdir -p "$results/evaluation/public-ten-crop"
cp "$tables/$name-ten-crop"/{metrics.json,predictions.parquet} "$results/evaluation/public-ten-crop"

mien compare results/*/evaluation/public --out "$tables/comparison"
python benchmarks/explanations.py "$data" --model "$run" | tee "$tables/explanations.txt"
mien data audit "$data" --votes "$votes" --model "$name" --out "$tables/audit"
mien demo --out docs/images/demo.jpg
