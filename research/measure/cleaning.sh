#!/usr/bin/env bash
# Cleaning labels: as they are / exclude / relabel (all, by votes, by the model) / weights, 2 seeds each.
# About 6 minutes a run on one core (a network a quarter of mien-s, 14 epochs): 75 minutes for the six variants without
# FER+ votes in the loss, 35 more for three with them. The audit before it: 3 minutes. It goes on where it stopped.
#
#   research/measure/cleaning.sh [VARIANT...]
source "$(dirname "$0")/env.sh"
set -euo pipefail
OUT=${OUT:-$MEASURED/cleaning} SEEDS=${SEEDS:-0 1} EPOCHS=${EPOCHS:-14}
mkdir -p "$OUT"
if [ ! -f "$OUT/tables/done" ]; then
  nice $PYTHON -m mien data audit "$DATA" --votes "$VOTES" --model mien-s --out "$OUT/audit" > "$OUT/audit.log" 2>&1
  nice $PYTHON - "$OUT" "$DATA" <<'PY'
"""relabel.csv in parts, and an exclude table of all that is doubted."""
import csv, sys
from pathlib import Path
out = Path(sys.argv[1]); place = out / "tables"; place.mkdir(exist_ok=True)
rows = list(csv.DictReader((out / "audit/relabel.csv").open()))
parts = {
    "relabel-all": rows,
    "relabel-votes": [r for r in rows if "MD402" in r["codes"]],
    "relabel-model": [r for r in rows if "MD401" in r["codes"]],
    "relabel-agreed": [r for r in rows if r["codes"].count("MD") == 2],
    "exclude-doubted": rows,
}
for name, chosen in parts.items():
    with (place / f"{name}.csv").open("w", newline="") as file:
        w = csv.DictWriter(file, ["split", "name", "label", "was", "codes"]); w.writeheader(); w.writerows(chosen)
    print(name, len(chosen))
(place / "done").touch()
PY
fi
T=$OUT/tables
declare -A SET=(
  [as-they-are]=""
  [exclude-errors]="data.exclude=$OUT/audit/exclude.csv"
  [exclude-doubted]="data.exclude=$T/exclude-doubted.csv"
  [relabel-all]="data.relabel=$T/relabel-all.csv"
  [relabel-votes]="data.relabel=$T/relabel-votes.csv"
  [relabel-model]="data.relabel=$T/relabel-model.csv"
  [relabel-agreed]="data.relabel=$T/relabel-agreed.csv"
  [weights]="data.weights=$OUT/audit/weights.csv"
  [votes-as-they-are]="training.loss.votes=0.4"
  [votes-exclude-errors]="training.loss.votes=0.4|data.exclude=$OUT/audit/exclude.csv"
  [votes-relabel-all]="training.loss.votes=0.4|data.relabel=$T/relabel-all.csv"
)
ORDER=(as-they-are relabel-all exclude-errors weights relabel-model relabel-votes exclude-doubted \
  votes-as-they-are votes-relabel-all votes-exclude-errors relabel-agreed)
VARIANTS=("$@"); [ $# -eq 0 ] && VARIANTS=("${ORDER[@]}")
for name in "${VARIANTS[@]}"; do for seed in $SEEDS; do
  run=$OUT/$name-$seed; sets=(--set training.loss.votes=0)
  IFS='|' read -ra parts <<< "${SET[$name]}"
  for part in "${parts[@]}"; do [ -n "$part" ] && sets+=(--set "$part"); done
  [ -n "${LIMIT:-}" ] && sets+=(--set "data.limit=$LIMIT")  # to try the script
  if [ ! -d "$run/bundle" ]; then
    [ -f "$run/recipe.yaml" ] && more=(--resume) || more=()
    nice $PYTHON -m mien train mien-s --data "$DATA" --votes "$VOTES" --out "$run" --set seed=$seed \
      --set name=$name --set export.quantize=none --set model.options.widths=[16,32,64] \
      --set training.epochs=$EPOCHS "${sets[@]}" "${more[@]}" > "$OUT/$name-$seed.log" 2>&1
  fi
  [ -f "$run/evaluation/public/metrics.json" ] || nice $PYTHON -m mien evaluate "$run" --data "$DATA" \
    --split public --views plain --votes "$VOTES" --jitter >> "$OUT/$name-$seed.log" 2>&1
done; done
wc -l "$T"/*.csv "$OUT"/audit/exclude.csv
$PYTHON - "$OUT" <<'PY'
"""% [95 %] of each run on PublicTest's labels, FER+'s majority, and where both agree."""
import json, sys
from collections import defaultdict
from pathlib import Path
rows = defaultdict(list)
def show(e): return f"{100 * e['value']:.1f} [{100 * e['low']:.1f}, {100 * e['high']:.1f}]"
print("| run | labels | FER+ majority | both agree | field | without copies |\n|---|---|---|---|---|---|")
for file in sorted(Path(sys.argv[1]).glob("*/evaluation/public/metrics.json")):
    m = json.loads(file.read_text()); s = m["subsets"]
    e = [m["metrics"]["accuracy"], s["ferplus"]["accuracy"], s["ferplus_agreed"]["accuracy"], m["field"]["accuracy"],
         s["deduplicated"]["accuracy"]]
    name = file.parts[-4]
    rows[name.rsplit("-", 1)[0]].append([100 * x["value"] for x in e])
    print(f"| {name} | " + " | ".join(map(show, e)) + " |")
print(f"n: {m['images']}, {s['ferplus']['images']}, {s['ferplus_agreed']['images']}, {m['images']}, {s['deduplicated']['images']}")
print("\n| mean of the seeds | labels | FER+ majority | both agree | field | without copies |\n|---|---|---|---|---|---|")
for name, found in rows.items():
    print(f"| {name} (n={len(found)}) | " + " | ".join(f"{sum(c) / len(c):.2f}" for c in zip(*found)) + " |")
PY
