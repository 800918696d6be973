#!/usr/bin/env bash
# 24 short trainings of mien-s with Muon on 8,000 images; then what was best beside the recipe as it is, two further
# seeds each. About 90 minutes of one core. It goes on where it stopped.
source "$(dirname "$0")/env.sh"
set -euo pipefail
cd "$REPO"
out=$MEASURED/search
changes=(--set training.epochs=6 --set data.limit=8000
  --set 'training.optimizer={name: muon, lr: 0.004, weight_decay: 0.08, momentum: 0.95}')
[ -f "$out/best.yaml" ] || $PYTHON -m mien search mien-s --space research/space.yaml --data "$DATA" --votes "$VOTES" \
  --trials 24 --workers "${WORKERS:-1}" --out "$out" "${changes[@]}"
for seed in 1 2; do for name in as-it-is best; do
  run=$out/runs/$name-$seed; mkdir -p "$out/runs"
  [ "$name" = best ] && recipe=("$out/best.yaml") || recipe=(mien-s "${changes[@]}")
  [ -f "$run/recipe.yaml" ] && more=(--resume) || more=()
  [ -d "$run/bundle" ] || $PYTHON -m mien train "${recipe[@]}" --data "$DATA" --votes "$VOTES" --out "$run" \
    --set seed="$seed" --set name="search-$name" --set export.quantize=none "${more[@]}" > "$run.log" 2>&1
  [ -f "$run/evaluation/public/metrics.json" ] ||
    $PYTHON -m mien evaluate "$run" --data "$DATA" --split public --views plain --jitter >> "$run.log" 2>&1
done; done
$PYTHON - "$out" <<'PY'
"""% [95 %] of each run on PublicTest; the field accuracy on the same images, moved as a detector frames them."""
import json, sys
from pathlib import Path
def show(e): return f"{100 * e['value']:.1f} [{100 * e['low']:.1f}, {100 * e['high']:.1f}]"
for file in sorted(Path(sys.argv[1]).glob("runs/*/evaluation/public/metrics.json")):
    m = json.loads(file.read_text())
    print(file.parts[-4], show(m["metrics"]["accuracy"]), "field", show(m["field"]["accuracy"]), "n =", m["images"])
PY
