#!/usr/bin/env bash
# Ship a run: its bundles, its row in results/runs.csv, and the figures that the documents tell.
#
#     scripts/publish.sh runs/mien-s fer2013.zip ferplus_votes.csv
#
# Bundles go to src/mien/bundles, predictions and figures to results/, pages to build/publish.
# Leave the machine alone meanwhile: it takes times.
set -euo pipefail
run=$1 data=$2 votes=$3
name=$(basename "$run") bundles=src/mien/bundles out=build/publish
public=(--data "$data" --split public --votes "$votes")

keep() {  # NAME BUNDLE WHAT [OPTION...]
  mien evaluate "$2" "${public[@]}" --jitter --out "$out/$1"
  mien evaluate "$2" "${public[@]}" --views flip --out "$out/$1-flip"
  python scripts/results.py add "$1" "$3" "$out/$1" "$out/$1-flip" "${@:4}"
}

mien export "$run" --half --data "$data" --out "$bundles/$name"
mien quantize "$bundles/$name" --data "$data" --out "$bundles/$name-int8"
mien calibrate "$bundles/$name" --data "$data"
mien calibrate "$bundles/$name-int8" --data "$data"
keep "$name" "$run/bundle" "32 bits" --run "$run"
keep "$name-half" "$bundles/$name" "bundle of the package: $name in 16 bits"
keep "$name-int8" "$bundles/$name-int8" "bundle of the package: $name in 8 bits"
mien evaluate "$run" "${public[@]}" --corruptions --limit 1000
mien evaluate "$run" "${public[@]}" --adversarial --limit 200
python scripts/explanations.py "$data" --model "$run" | tee "$out/explanations.txt"
scripts/golden
