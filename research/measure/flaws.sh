#!/usr/bin/env bash
# The share of flaws of photos (small, dark, blurred and other faces) in training: mien-s, five epochs, shares 0, 0.05, 0.1
# and 0.2, measured plain, by field accuracy and under 19 corruptions. About 10 minutes a variant on one idle core, 80 for
# two seeds. It goes on where it stopped.
#
#   research/measure/flaws.sh
source "$(dirname "$0")/env.sh"
set -euo pipefail
OUT=${OUT:-$MEASURED/flaws} SEEDS=${SEEDS:-0 1} EPOCHS=${EPOCHS:-5} IMAGES=${IMAGES:-1000}
mkdir -p "$OUT"
nice $PYTHON "$REPO/scripts/ablation.py" "$DATA" --votes "$VOTES" --out "$OUT" --epochs "$EPOCHS" --seeds $SEEDS \
  --set export.quantize=none ${LIMIT:+data.limit=$LIMIT} \
  --only "as it is" "without flaws of photos" "flaws of photos on 0.1" "flaws of photos on 0.2"
for run in "$OUT"/*/; do
  [ -f "$run/evaluation/public/robustness.json" ] || nice $PYTHON -m mien evaluate "$run" --data "$DATA" --split public \
    --views plain --jitter --corruptions --limit "$IMAGES" > "${run%/}.evaluation.log" 2>&1
done
$PYTHON - "$OUT" <<'PY'
"""One row a run, % with the 95 % interval."""
import json, sys
from pathlib import Path
def told(e):
    return f"{100 * e['value']:.1f} [{100 * e['low']:.1f}, {100 * e['high']:.1f}]"
print("| run | plain | field | 19 corruptions, mean |\n|---|---|---|---|")
for place in sorted(Path(sys.argv[1]).glob("*/evaluation/public")):
    found, spoilt = (json.loads((place / f"{stem}.json").read_text()) for stem in ("metrics", "robustness"))
    print(f"| {place.parents[1].name} | {told(found['metrics']['accuracy'])} n={found['images']}"
          f" | {told(found['field']['accuracy'])} | {told(spoilt['mean'])} n={spoilt['images']} |")
PY
