#!/bin/sh
# Train the networks of a plan on a graphics card that is at hand for ten minutes.
#
#     sh scripts/gpu_sprint.sh [PLAN] [more options of gpu_sprint.py]
#
# On the card's machine, in the repository, with the folder .sprint of scripts/gpu_pack.py. Results
# go to $OUT (sprint-out without it): at most 8 files of at most 16 MiB. SECONDS_LEFT is the time for
# all of it; 15 seconds after that it is stopped. It needs no network.
set -eu
began=$(date +%s)
cd "$(dirname "$0")/.."
out=${OUT:-sprint-out}
data=${SPRINT_DATA:-.sprint}
seconds=${SECONDS_LEFT:-570}
plan=${1:-next}
[ $# -eq 0 ] || shift
python=${PYTHON:-python3}

if ! "$python" -c "import pydantic" 2>/dev/null; then
    site=$(mktemp -d)
    "$python" -m pip install -q --no-index --no-deps --no-compile --target "$site" "$data"/wheels/*.whl
    export PYTHONPATH="$site${PYTHONPATH:+:$PYTHONPATH}"
fi
export PYTHONUNBUFFERED=1
left=$((seconds - $(date +%s) + began))
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null || true
exec timeout --kill-after=5 $((left + 15)) "$python" scripts/gpu_sprint.py \
    --data "$data" --out "$out" --seconds "$left" --plan "$plan" "$@"
