#!/usr/bin/env bash
# What finds faces, how fast, and in films. About 12 minutes on one quiet core.
source "$(dirname "$0")/env.sh"
set -e
cd "$REPO"; out=$MEASURED/speed; mkdir -p $out
D=$DATA
step() { [ -s $out/$1.txt ] || { "${@:2}" > $out/$1.part && mv $out/$1.part $out/$1.txt; }; }
step finding $PYTHON scripts/finding.py $D --images 200
step poses $PYTHON scripts/poses.py $D --images 90 --step 45
step following $PYTHON scripts/following.py --seconds 10 --rounds 5 --films 6 --shots 60
step throughput $PYTHON scripts/throughput.py --pictures 200 --frames 200
tail -n +1 $out/*.txt
