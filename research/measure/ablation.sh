#!/usr/bin/env bash
# What mattered, over the full length: `mien-s-wide` with a quarter of the channels of `mien-s` and the teacher
# mien-m-int8, 40 epochs, one part changed at a time, two seeds. A run is what it is after its last epoch.
# About 35 minutes a run on one core without AMX (twice as wide: 80), 10 hours in all; the teachers' answers 15 and 60
# minutes, once. Stop and start as you like. One lane a seed: SEEDS=0 ablation.sh and SEEDS=1 ablation.sh.
#
#   research/measure/ablation.sh
source "$(dirname "$0")/env.sh"
set -euo pipefail
cd "$REPO"  # of bundles/
nice $PYTHON scripts/ablation.py "$DATA" --votes "$VOTES" --out "$MEASURED/ablation" --recipe mien-s-wide \
  --epochs ${EPOCHS:-40} --seeds ${SEEDS:-0 1} --set model.options.widths=[16,32,64] model.options.dropout=0 \
  training.distil.teachers=[mien-m-int8] export.quantize=none ${LIMIT:+data.limit=$LIMIT} --only "as it is" \
  "without a teacher" "SGD in place of Muon" "without EMA" "without FER+ votes" "without rotation, shift, zoom" \
  "twice as wide" "taught by mien-l-int8"
