#!/usr/bin/env bash
# Memory of a data set of 300,000 pictures of 224 px. About 20 minutes on one core; needs 17 GB of disc below
# MEASURED while it runs. Each of the two sizes is done once: a second start goes on with what is missing.
source "$(dirname "$0")/env.sh"
set -eu
out=$MEASURED/data-memory
mkdir -p "$out"
cd "$REPO"
for images in 20000 300000; do
  if [ ! -s "$out/$images.txt" ]; then
    PYTHONPATH=src OMP_NUM_THREADS=1 $PYTHON scripts/data_memory.py --images "$images" --place "$out" \
      > "$out/$images.tmp"
    mv "$out/$images.tmp" "$out/$images.txt"
  fi
done
cat "$out"/*.txt
