#!/usr/bin/env bash
# Alignment of training faces: trained on faces as they are / turned upright by YuNet's eyes, 2 seeds, each measured on
# PublicTest as it is and turned upright. The turning takes 7 minutes on one core, once; each of the four runs 6 to 8
# (a network a quarter of mien-s, 14 epochs), its two measurements 1. It goes on where it stopped.
#
#   research/measure/alignment.sh
source "$(dirname "$0")/env.sh"
set -euo pipefail
OUT=${OUT:-$MEASURED/alignment} SEEDS=${SEEDS:-0 1} EPOCHS=${EPOCHS:-14}
mkdir -p "$OUT"
if [ ! -f "$OUT/aligned.zip" ]; then
  nice $PYTHON "$REPO/scripts/alignment.py" "$DATA" "$OUT/part.zip" | tee "$OUT/aligned.log"
  mv "$OUT/part.zip" "$OUT/aligned.zip"
fi
for seed in $SEEDS; do for form in as-it-is aligned; do
  run=$OUT/$form-$seed
  [ $form = aligned ] && data=$OUT/aligned.zip || data=$DATA
  if [ ! -d "$run/bundle" ]; then
    [ -f "$run/recipe.yaml" ] && more=(--resume) || more=()
    nice $PYTHON -m mien train mien-s --data "$data" --votes "$VOTES" --out "$run" --set seed=$seed --set name=$form \
      --set export.quantize=none --set model.options.widths=[16,32,64] --set training.epochs=$EPOCHS \
      ${LIMIT:+--set data.limit=$LIMIT} "${more[@]}" > "$OUT/$form-$seed.log" 2>&1
  fi
  for test in as-it-is aligned; do
    [ $test = aligned ] && data=$OUT/aligned.zip || data=$DATA
    [ -f "$run/on-$test/metrics.json" ] || nice $PYTHON -m mien evaluate "$run" --data "$data" --split public \
      --views plain --votes "$VOTES" --jitter --out "$run/on-$test" >> "$OUT/$form-$seed.log" 2>&1
  done
done; done
cat "$OUT/aligned.log"
$PYTHON - "$OUT" <<'PY'
import json, sys
from pathlib import Path
def show(e): return f"{100 * e['value']:.1f} [{100 * e['low']:.1f}, {100 * e['high']:.1f}]"
print("| trained on, seed | PublicTest as it is | field | PublicTest turned upright | field |\n|---|---|---|---|---|")
for run in sorted(Path(sys.argv[1]).glob("*-[0-9]")):
    cells = []
    for test in ("as-it-is", "aligned"):
        m = json.loads((run / f"on-{test}/metrics.json").read_text())
        cells += [show(m["metrics"]["accuracy"]), show(m["field"]["accuracy"])]
    print(f"| {run.name} | " + " | ".join(cells) + " |")
print(f"n={m['images']}")
PY
