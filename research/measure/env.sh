# Places for the scripts beside it. SHARED holds data/fer2013.zip and data/ferplus_votes.csv; what is measured goes below
# MEASURED; the code is that of REPO.
REPO=${REPO:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
SHARED=$(realpath "${MIEN_SHARED:-$REPO/../shared}")
MEASURED=$(realpath -m "${MEASURED:-$REPO/runs/measured}")
PYTHON=${PYTHON:-$REPO/.venv/bin/python}
DATA=${DATA:-$SHARED/data/fer2013.zip} VOTES=${VOTES:-$SHARED/data/ferplus_votes.csv}
export PYTHONPATH=$REPO/src MIEN_SHARED=$SHARED OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} MIEN_HOME=${MIEN_HOME:-$MEASURED/home}
mkdir -p "$MEASURED"
