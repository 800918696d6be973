#!/usr/bin/env bash
# Networks for clips: drawn clips whose label is their order, noisy drawn clips, clips of FER-2013's faces.
# About 75 minutes of one core (drawing 15, the encoders 25, nine trainings of clips 35). Resumable: what is there is not made again.
source "$(dirname "$0")/env.sh"
set -e
OUT=$MEASURED/sequences; PY=$PYTHON SRC=$REPO
mkdir -p $OUT; cd $OUT
mien() { $PY -m mien "$@"; }
draw() { [ -d "$2" ] || { rm -rf "$2.new"; $PY $SRC/scripts/draw_clips.py "$1" "$2.new" "${@:3}"; mv "$2.new" "$2"; }; }
train() { # run recipe data options...
  [ -f "$1/done.json" ] && [ -f "$1/bundle/card.json" ] && return
  resume=; [ -f "$1/recipe.yaml" ] && resume=--resume
  mien train "$2" --data "$3" --out "$1" $resume "${@:4}"
}
score() { [ -f "$1/evaluation/public/metrics.json" ] || mien evaluate "$1" --data "$2" --split public --jitter > /dev/null; }

# the encoder of drawn faces; that of real ones is a short mien-s (or an earlier run: ENCODER=...)
[ -d faces ] || mien data draw faces --images 1400 > /dev/null
train drawn drawn faces
draw order order --clips 600; draw noisy noisy --clips 700
for net in cnn-lstm frame-mean temporal-transformer; do
  for kind in order noisy; do
    # the noise is learned from the frames themselves: the encoder is trained along
    train $kind-$net $net $kind --set model.options.encoder=drawn --set model.options.frames=12 \
      --set training.epochs=10 --set training.batch=16 --set model.options.dropout=0
    score $kind-$net $kind
  done
done
ENCODER=${ENCODER:-$OUT/fer}
[ "$ENCODER" != "$OUT/fer" ] || train fer mien-s $DATA --set training.epochs=6 --set data.limit=12000 --set export.quantize=none
draw faces real --data $DATA --clips 3000
for net in cnn-lstm frame-mean temporal-transformer; do
  # a frozen encoder, as is usual for few clips; the same for all three
  train real-$net $net real --set model.options.encoder=$ENCODER --set model.options.frozen=true \
    --set model.options.frames=12 --set training.epochs=10 --set augment.photo=0
  score real-$net real
done
for kind in order noisy real; do
  echo "== $kind: accuracy on public clips [95 %]"
  for net in cnn-lstm frame-mean temporal-transformer; do
    $PY - $kind-$net <<'P'
import json, sys
found = json.load(open(f"{sys.argv[1]}/evaluation/public/metrics.json"))
a = found["metrics"]["accuracy"]; f = found["field"]["accuracy"]
print(f"{sys.argv[1]:28} {100*a['value']:.2f} [{100*a['low']:.2f}, {100*a['high']:.2f}]  field {100*f['value']:.2f}  n={found['images']}")
P
  done
  mien compare $kind-cnn-lstm $kind-frame-mean $kind-temporal-transformer --out compare-$kind --data $kind > compare-$kind.txt && grep -i "mcnemar\|differ\|better\|p " compare-$kind.txt | head -6
done
