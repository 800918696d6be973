#!/usr/bin/env bash
# 24 short trainings of mien-s with Muon on 8,000 images: about 25 minutes of one core
source "$(dirname "$0")/env.sh"
cd "$REPO"
exec $PYTHON -m mien search mien-s --space research/space.yaml --data $DATA \
 --votes $VOTES --trials 24 --workers ${WORKERS:-1} --out $MEASURED/search \
 --set training.epochs=6 --set data.limit=8000 --set 'training.optimizer={name: muon, lr: 0.004, weight_decay: 0.08, momentum: 0.95}'
