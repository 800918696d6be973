#!/usr/bin/env bash
# Two processes of one thread beside one process of two threads, on two quiet cores: seconds an epoch, in turns, and how
# far losses differ without BatchNorm, in fp32. About 10 minutes.
#
#   research/measure/devices.sh
source "$(dirname "$0")/env.sh"
set -euo pipefail
OUT=$MEASURED/devices ROUNDS=${ROUNDS:-3} IMAGES=${IMAGES:-12000} EPOCHS=${EPOCHS:-2}
rm -rf "$OUT" && mkdir -p "$OUT"
train() {  # NAME RECIPE THREADS MORE...
  OMP_NUM_THREADS=$3 $PYTHON -m mien train "$2" --data "$DATA" --out "$OUT/$1" --set data.limit="$IMAGES" \
    --set training.epochs="$EPOCHS" --set training.precision=fp32 --set export.quantize=none \
    --set "training.distil.teachers=[]" "${@:4}" > "$OUT/$1.log" 2>&1
}
for round in $(seq "$ROUNDS"); do
  train "speed-one-$round" mien-s 2
  train "speed-two-$round" mien-s 1 --devices 2
done
same=(--set model.options.dropout=0 --set model.options.drop_path=0)  # what processes draw for themselves
same+=(--set data.limit=4000)
train parity-one convnext 2 "${same[@]}"
train parity-two convnext 1 --devices 2 "${same[@]}"
$PYTHON - "$OUT" "$ROUNDS" "$IMAGES" <<'PY'
import csv, statistics, sys
from pathlib import Path
out, rounds, images = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
def column(run, name):
    with (out / run / "history.csv").open() as file:
        return [float(row[name]) for row in csv.DictReader(file)]
ratios = []
for number in range(1, rounds + 1):
    one, two = (min(column(f"speed-{way}-{number}", "seconds")) for way in ("one", "two"))
    ratios.append(one / two)
    print(f"round {number}: one process {one:.1f} s an epoch of {images}, two {two:.1f}")
print(f"throughput, two / one: {statistics.median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}], n = {rounds}")
for name in ("train_loss", "val_loss", "val_accuracy"):
    pairs = zip(column("parity-one", name), column("parity-two", name))
    print(f"{name}: differs by at most {max(abs(a - b) / abs(a) for a, b in pairs):.1e} of it")
PY
