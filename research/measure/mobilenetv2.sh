#!/usr/bin/env bash
# MobileNetV2 from ImageNet weights, taught by mien-m-int8, with self-attention and CBAM or as it is. On one core:
# mobilenetv2-attention 14 epochs of 190 s, mobilenetv2 30 epochs of about 120 s. Answers of the teacher take about 12
# minutes, once; they are kept in MIEN_HOME. Start it again and it goes on after the last whole epoch.
#
#   research/measure/mobilenetv2.sh mobilenetv2 | mobilenetv2-attention
source "$(dirname "$0")/env.sh"
set -eu
name=$1
out=$MEASURED/$name
run=$out/run
mien="$PYTHON -m mien"
mkdir -p "$out"
if [ ! -f "$out/mobilenetv2.pt" ]; then
    (cd "$out" && npm pack nsfwjs@4.4.0 && $PYTHON $REPO/scripts/mobilenetv2_weights.py nsfwjs-4.4.0.tgz mobilenetv2.pt)
fi
taught=()
[ "$name" = mobilenetv2 ] && taught=(--set training.epochs=30
    --set 'training.distil={teachers: [mien-m-int8], weight: 0.8}')
[ -f "$run/recipe.yaml" ] && resume=--resume || resume=
$mien train $name --data "$DATA" --votes "$VOTES" --out "$run" --set model.weights=$out/mobilenetv2.pt \
    --set input.mean=[0,0,0] --set input.std=[1,1,1] "${taught[@]}" $resume 2>>"$out/log"
$mien evaluate "$run" --data "$DATA" --split public --views plain --jitter --votes "$VOTES" | tee "$out/figures.txt"
$mien evaluate "$run" --data "$DATA" --split public --views flip --votes "$VOTES" --out "$out/flip"
tail -n 3 "$run/history.csv"
