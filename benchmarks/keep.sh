#!/usr/bin/env bash
# Keep what a run reached: its predictions and figures, plain and mirrored, go to results/NAME.
# Probabilities are kept to four digits, a quarter smaller, and the figures are those of what is kept.
#
#     benchmarks/keep.sh runs/face-mobilenet fer2013.zip ferplus_votes.csv
set -euo pipefail
run=$1 data=$2 votes=$3
results=results/$(basename "$run") mirrored=$(mktemp -d)/public-flip

mien evaluate "$run" --data "$data" --split public --votes "$votes"
mien evaluate "$run/bundle" --data "$data" --split public --votes "$votes" --views flip --out "$mirrored"

mkdir -p "$results"/evaluation/public{,-flip}
cp "$run"/evaluation/public/{metrics.json,predictions.parquet,classification_report.txt} "$results/evaluation/public"
cp "$mirrored"/{metrics.json,predictions.parquet} "$results/evaluation/public-flip"
cp "$run/history.csv" "$results"
# Where the data lies on this machine is nobody's business.
grep -v '"source"' "$run/data.json" > "$results/data.json"
sed "s|votes: .*/|votes: |; s|weights: .*/|weights: |" "$run/recipe.yaml" > "$results/recipe.yaml"

python - "$results"/evaluation/* <<'END'
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from mien.evaluate import load, save

for folder in map(Path, sys.argv[1:]):
    found = load(folder)
    significand, exponent = np.frexp(found.probabilities)
    rounded = np.ldexp(np.round(significand * 2**14) / 2**14, exponent)
    save(replace(found, probabilities=rounded), folder)
END
