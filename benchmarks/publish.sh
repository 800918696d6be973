#!/usr/bin/env bash
# Make a run the package's own: its bundles, its results, and every figure the docs tell of it.
#
#     benchmarks/publish.sh runs/mien-s fer2013.zip ferplus_votes.csv
#
# Bundles go to src/mien/bundles, predictions and figures to results/NAME, tables to build/publish:
# what the docs say is copied from there by hand. Leave the machine alone meanwhile: it takes times.
set -euo pipefail
run=$1 data=$2 votes=$3
name=$(basename "$run")
bundles=src/mien/bundles results=results/$name tables=build/publish
public=(--data "$data" --split public)
mkdir -p "$results" "$tables"

mien export "$run" --half --data "$data" --out "$bundles/$name"
mien quantize "$bundles/$name" --data "$data" --out "$bundles/$name-int8"
mien evaluate "$run" "${public[@]}" --votes "$votes"
for bundle in "$name" "$name-int8"; do
  mien evaluate "$bundles/$bundle" "${public[@]}" --votes "$votes" --record --out "$tables/$bundle"
done
for views in flip ten-crop; do
  mien evaluate "$run/bundle" "${public[@]}" --votes "$votes" --views $views --out "$tables/$name-$views"
done
mien evaluate "$run" "${public[@]}" --votes "$votes" --corruptions --limit 1000 \
  --baseline results/attention/evaluation/public
mien evaluate "$run" "${public[@]}" --votes "$votes" --adversarial --limit 200

mkdir -p "$results/evaluation/public"
for file in metrics.json predictions.parquet classification_report.txt {robustness,adversarial}.{csv,json}; do
  cp "$run/evaluation/public/$file" "$results/evaluation/public"
done
for views in flip ten-crop; do
  mkdir -p "$results/evaluation/public-$views"
  cp "$tables/$name-$views"/{metrics.json,predictions.parquet} "$results/evaluation/public-$views"
done
cp "$run/history.csv" "$results"
# Where the data lies on this machine is nobody's business.
grep -v '"source"' "$run/data.json" > "$results/data.json"
sed "s|votes: .*/|votes: |" "$run/recipe.yaml" > "$results/recipe.yaml"

mien compare results/*/evaluation/public --out "$tables/comparison"
python benchmarks/explanations.py "$data" --model "$run" | tee "$tables/explanations.txt"
mien data audit "$data" --votes "$votes" --model "$name" --out "$tables/audit"
mien demo --out docs/images/demo.jpg
