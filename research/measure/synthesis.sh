#!/usr/bin/env bash
# Synthetic faces: the generator on all training images, its faces, and a short mien-s with 0, 0.5, 1, 2 times as many
# of disgust and fear; and, to compare with 1, with the training images of both once more (repeat-1).
# One core: generator 18 epochs x 2 minutes (it goes on with what is in OUT/faces), 9,066 faces 10 minutes, five
# trainings (a quarter of mien-s, 14 epochs, as cleaning.sh) 6 to 8 minutes each. About 85 minutes; it goes on where
# it stopped.
#
#   research/measure/synthesis.sh
source "$(dirname "$0")/env.sh"
set -euo pipefail
OUT=${OUT:-$MEASURED/synthesis} EPOCHS=${EPOCHS:-18}
SEEDS=${SEEDS:-0} RUN_EPOCHS=${RUN_EPOCHS:-14} FILL=${FILL:-2}
mkdir -p "$OUT"
[ -f "$OUT/faces/synthesis.json" ] && grep -q "\"epochs\": $EPOCHS," "$OUT/faces/synthesis.json" && [ -f "$OUT/filled" ] || {
  nice $PYTHON -m mien data synthesize "$DATA" "$OUT/faces" --fill "$FILL" --labels disgust,fear --epochs "$EPOCHS" \
    2>&1 | tee "$OUT/synthesize.log"
  rm -rf "$OUT/sets"; touch "$OUT/filled"
}
[ -d "$OUT/sets" ] || nice $PYTHON - "$DATA" "$OUT" <<'PY'
"""sets/0.5, 1 and 2: the first faces of each class, that times its training images; repeat-1: those images again."""
import shutil, sys, zipfile
from pathlib import Path
data, out = Path(sys.argv[1]), Path(sys.argv[2])
new, done = out / "sets.new", out / "sets"
shutil.rmtree(new, ignore_errors=True)
with zipfile.ZipFile(data) as archive:
    for label in ("disgust", "fear"):
        names = [n for n in archive.namelist() if f"train/{label}/" in n and n.endswith(".png")]
        faces = sorted((out / "faces/faces" / label).glob("*.png"))
        for fill in ("0.5", "1", "2"):
            place = new / fill / label; place.mkdir(parents=True)
            for face in faces[: round(float(fill) * len(names))]: shutil.copy(face, place)
        place = new / "repeat-1" / label; place.mkdir(parents=True)
        for name in names: (place / Path(name).name).write_bytes(archive.read(name))
        print(label, {p.parent.name: len(list(p.iterdir())) for p in sorted(new.glob(f"*/{label}"))})
new.rename(done)
PY
for seed in $SEEDS; do for name in 0 1 repeat-1 2 0.5; do
  run=$OUT/runs/$name-$seed; sets=()
  [ "$name" = 0 ] || sets=(--set "data.also=[{path: $OUT/sets/$name}]")
  [ -n "${LIMIT:-}" ] && sets+=(--set "data.limit=$LIMIT")  # to try the script
  if [ ! -d "$run/bundle" ]; then
    [ -f "$run/recipe.yaml" ] && more=(--resume) || more=()
    mkdir -p "$OUT/runs"
    nice $PYTHON -m mien train mien-s --data "$DATA" --out "$run" --set seed="$seed" --set name="synthesis-$name" \
      --set training.loss.votes=0 --set export.quantize=none --set model.options.widths=[16,32,64] \
      --set training.epochs="$RUN_EPOCHS" "${sets[@]}" "${more[@]}" > "$OUT/runs/$name-$seed.log" 2>&1
  fi
  [ -f "$run/evaluation/public/metrics.json" ] || nice $PYTHON -m mien evaluate "$run" --data "$DATA" \
    --split public --views plain --jitter >> "$OUT/runs/$name-$seed.log" 2>&1
done; done
cat "$OUT/faces/synthesis.json"
$PYTHON - "$OUT" <<'PY'
"""% [95 %] of each run on PublicTest; the field accuracy on the same images, moved as a detector frames them."""
import json, sys
from pathlib import Path
def show(e): return f"{100 * e['value']:.1f} [{100 * e['low']:.1f}, {100 * e['high']:.1f}]"
print("| faces | accuracy | field | macro-recall | disgust | fear |\n|---|---|---|---|---|---|")
counts = {}
for file in sorted(Path(sys.argv[1]).glob("runs/*/evaluation/public/metrics.json")):
    m = json.loads(file.read_text()); f = m["metrics"]
    recalls = [f["classes"][label] for label in ("disgust", "fear")]
    counts = {"all": m["images"], "disgust": recalls[0]["images"], "fear": recalls[1]["images"]}
    cells = [f["accuracy"], m["field"]["accuracy"], f["macro_recall"], *(r["recall"] for r in recalls)]
    print(f"| {file.parts[-4]} | " + " | ".join(map(show, cells)) + " |")
print("n:", counts)
PY
