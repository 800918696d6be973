#!/usr/bin/env bash
# Robust training: none / occlusion / adversarial (FGSM) / both, PGD, TRADES, and two more of both.
# About 8 to 20 minutes a variant on one core (a network a quarter of mien-s, 14 epochs), and 4 to measure it:
# 65 minutes for the first four. Stop and start as you like: it goes on. FULL=1 trains mien-s itself
# (60 epochs, 2 to 3 hours a variant on one core). Variants by name: robust.sh none both
#
#   research/measure/robust.sh [VARIANT...]
source "$(dirname "$0")/env.sh"
set -euo pipefail
SEED=${SEED:-0} IMAGES=${IMAGES:-1000}
OUT=${OUT:-$MEASURED/robust${FULL:+-full}}
mkdir -p "$OUT"
SHORT=(--set model.options.widths=[16,32,64] --set training.epochs=14)
[ -n "${FULL:-}" ] && SHORT=()
[ -n "${EPOCHS:-}" ] && SHORT+=(--set "training.epochs=$EPOCHS")
[ -n "${LIMIT:-}" ] && SHORT+=(--set "data.limit=$LIMIT")  # to try the script
declare -A SET=(
  [none]=""
  [occlusion]="augment.cover=0.4"
  [adversarial]="training.adversarial={name: fgsm, epsilon: 1, share: 0.5}"
  [both]="augment.cover=0.4|training.adversarial={name: fgsm, epsilon: 1, share: 0.5}"
  [pgd]="training.adversarial={name: pgd, epsilon: 1, steps: 3, share: 0.5}"
  [trades]="training.adversarial={name: trades, epsilon: 1, steps: 2, share: 0.25, weight: 2}"
  [both-2]="augment.cover=0.4|training.adversarial={name: fgsm, epsilon: 2, share: 0.5}"
  [both-trades]="augment.cover=0.4|training.adversarial={name: trades, epsilon: 1, steps: 2, share: 0.25, weight: 2}"
)
VARIANTS=("$@"); [ $# -eq 0 ] && VARIANTS=(none occlusion adversarial both pgd trades both-2 both-trades)
for name in "${VARIANTS[@]}"; do
  run=$OUT/$name-$SEED; sets=()
  IFS='|' read -ra parts <<< "${SET[$name]}"
  for part in "${parts[@]}"; do [ -n "$part" ] && sets+=(--set "$part"); done
  if [ ! -d "$run/bundle" ]; then
    [ -f "$run/recipe.yaml" ] && more=(--resume) || more=()
    nice $PYTHON -m mien train mien-s --data "$DATA" --votes "$VOTES" --out "$run" --set seed=$SEED \
      --set name=$name --set export.quantize=none "${SHORT[@]}" "${sets[@]}" "${more[@]}" > "$OUT/$name-$SEED.log" 2>&1
  fi
  if [ ! -f "$run/evaluation/public/occlusions.json" ]; then
    nice $PYTHON -m mien evaluate "$run" --data "$DATA" --split public --views plain --votes "$VOTES" --jitter \
      --corruptions --occlusions --limit "$IMAGES" >> "$OUT/$name-$SEED.log" 2>&1
  fi
  nice $PYTHON - "$REPO" "$DATA" "$IMAGES" "$run" <<'PY'
"""PGD-20 at 1/255 and 2/255, and covers drawn otherwise than in training (scripts/occlusion.py)."""
import csv, json, sys
from pathlib import Path
import numpy as np
from mien.evaluate.intervals import mean_interval
repo, source, images, run = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])
file = run / "evaluation/public/more.json"
if not file.exists():
    sys.path.insert(0, str(repo / "scripts"))
    import torch, occlusion
    from mien.bundle import Classifier, open_bundle
    from mien.data import open_dataset
    from mien.evaluate.adversarial import ATTACKS
    from mien.evaluate.robustness import stratified
    from mien.runs import RunFolder
    folder = RunFolder(run)
    split = open_dataset(source).split("public")
    rows = stratified(split.labels, images)
    pre, net = folder.preprocess, folder.network().eval()
    for p in net.parameters():
        p.requires_grad_(False)
    faces, labels, told = pre.resize(split.images[rows]), split.labels[rows], {}
    def network(x):
        return net(pre.normalise(x))
    for level in (1, 2):
        right = np.zeros(len(rows), bool)
        for start in range(0, len(rows), 64):
            x = torch.from_numpy(faces[start:start + 64, None]).float() / 255
            y = torch.from_numpy(labels[start:start + 64])
            with torch.no_grad():
                kept = network(x).argmax(1) == y
            if kept.any():
                found = ATTACKS[2](network, x[kept], y[kept], level / 255, seed=start)
                with torch.no_grad():
                    kept[kept.clone()] = network(found).argmax(1) == y[kept]
            right[start:start + 64] = kept.numpy()
        told[f"PGD-20 at {level}/255"] = right.tolist()
    reader = Classifier(open_bundle(folder.exported()), views="plain")
    for kind in occlusion.KINDS:
        rng = np.random.default_rng(2)
        drawn = [occlusion.covered(split.images[row], kind, rng, new=True) for row in rows]
        answers = np.concatenate([reader.probabilities(drawn[i:i + 128]).argmax(1) for i in range(0, len(drawn), 128)])
        told[f"unforeseen {kind}"] = (answers == labels).tolist()
    file.write_text(json.dumps(told))
with (file.parent / "adversarial.csv").open("w", newline="") as table:
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["attack", "epsilon_255", "images", "right", "accuracy", "accuracy_low", "accuracy_high"])
    for name, right in json.loads(file.read_text()).items():
        if name.startswith("PGD-20"):
            e = mean_interval(np.array(right, float))
            rows.writerow(["PGD-20", name[10], len(right), sum(right), *(round(x, 6) for x in (e.value, e.low, e.high))])
PY
done
$PYTHON - "$OUT" <<'PY'
"""One table: a column per run, % with the 95 % interval."""
import json, sys
from pathlib import Path
import numpy as np
from mien.evaluate.intervals import mean_interval
runs = {}
for place in sorted(Path(sys.argv[1]).glob("*/evaluation/public/more.json"), key=lambda p: p.stat().st_mtime):
    told, more = json.loads((place.parent / "metrics.json").read_text()), json.loads(place.read_text())
    row = {}
    def add(name, e):
        row[name] = f"{100 * e['value']:.1f} [{100 * e['low']:.1f}, {100 * e['high']:.1f}]" if isinstance(e, dict) else e
    add(f"clean, PublicTest, n={told['images']}", told["metrics"]["accuracy"])
    add("macro-recall", told["metrics"]["macro_recall"])
    add("field", told["field"]["accuracy"])
    for stem, mean in (("robustness", "19 corruptions"), ("occlusions", "7 occlusions")):
        found = json.loads((place.parent / f"{stem}.json").read_text())
        add(f"{stem}: clean, n={found['images']}", found["clean"])
        add(f"{mean}, mean", found["mean"])
        for kind, scores in found["corruptions"].items():
            add(f"  {kind}", scores["mean"])
    for name, right in more.items():
        e = mean_interval(np.array(right, float))
        row[f"{name}, n={len(right)}"] = f"{100 * e.value:.1f} [{100 * e.low:.1f}, {100 * e.high:.1f}]"
    runs[place.parents[2].name] = row
keys = list(dict.fromkeys(k for row in runs.values() for k in row))
print("| measure | " + " | ".join(runs) + " |\n|---|" + "---|" * len(runs))
for key in keys:
    print(f"| {key} | " + " | ".join(str(row.get(key, "")) for row in runs.values()) + " |")
PY
