#!/usr/bin/env bash
# Multi-head self-attention after the last stage of `attention`, against none: half as wide, 12 epochs, two seeds.
# About 10 minutes a run on one core; it goes on where it stopped.
#
#   research/measure/self-attention.sh
source "$(dirname "$0")/env.sh"
set -euo pipefail
OUT=${OUT:-$MEASURED/self-attention} SEEDS=${SEEDS:-0 1} EPOCHS=${EPOCHS:-12}
mkdir -p "$OUT"
for seed in $SEEDS; do for heads in 0 4; do
  run=$OUT/$heads-$seed
  if [ ! -d "$run/bundle" ]; then
    [ -f "$run/recipe.yaml" ] && more=(--resume) || more=()
    nice $PYTHON -m mien train attention --data "$DATA" --votes "$VOTES" --out "$run" --set seed=$seed \
      --set name=heads-$heads --set model.options.widths=[16,32,64,128] --set model.options.self_attention=$heads \
      --set training.epochs=$EPOCHS ${LIMIT:+--set data.limit=$LIMIT} "${more[@]}" > "$OUT/$heads-$seed.log" 2>&1
  fi
  [ -f "$run/evaluation/public/metrics.json" ] || nice $PYTHON -m mien evaluate "$run" --data "$DATA" \
    --split public --views plain --votes "$VOTES" --jitter >> "$OUT/$heads-$seed.log" 2>&1
done; done
$PYTHON - "$OUT" <<'PY'
import json, sys
from pathlib import Path
def show(e): return f"{100 * e['value']:.1f} [{100 * e['low']:.1f}, {100 * e['high']:.1f}]"
print("| heads, seed | accuracy, % | field, % |\n|---|---|---|")
for file in sorted(Path(sys.argv[1]).glob("*/evaluation/public/metrics.json")):
    m = json.loads(file.read_text())
    print(f"| {file.parents[2].name} | {show(m['metrics']['accuracy'])} | {show(m['field']['accuracy'])} |")
print(f"n={m['images']}")
PY
