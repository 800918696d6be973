#!/usr/bin/env bash
# Denoising of crops, by the corruption table and on clean faces: shipped bundles with denoise none / auto / always.
# No training. 19 corruptions x 5 severities x 1,000 images x 3 forms: about 12 minutes for mien-s, 25 for mien-m-int8 on
# one core, all PublicTest images clean, and the field accuracy. It goes on where it stopped.
#
#   research/measure/denoise.sh [BUNDLE...]
source "$(dirname "$0")/env.sh"
set -euo pipefail
OUT=${OUT:-$MEASURED/denoise} IMAGES=${IMAGES:-1000}
BUNDLES=("$@"); [ $# -eq 0 ] && BUNDLES=(mien-s mien-m-int8)
mkdir -p "$OUT"
for bundle in "${BUNDLES[@]}"; do for form in none auto always; do
  place=$OUT/$bundle-$form
  [ -f "$place/evaluation/robustness.json" ] && continue
  rm -rf "$place"; mkdir -p "$place"; cp -r "$REPO/src/mien/bundles/$bundle" "$place/bundle"
  $PYTHON - "$place/bundle/card.json" $form <<'PY'
import json, sys
from pathlib import Path
path = Path(sys.argv[1]); card = json.loads(path.read_text())
card["preprocess"]["denoise"] = "none" if sys.argv[2] == "none" else "auto"
path.write_text(json.dumps(card))
PY
  FORM=$form nice $PYTHON - evaluate "$place/bundle" --data "$DATA" --split public --views plain --jitter --corruptions \
    --limit "$IMAGES" --out "$place/evaluation" > "$place/log" 2>&1 <<'PY'
"""mien; `always` takes noise away whatever the estimates say."""
import os
import mien.noise
from mien.cli import main
if os.environ["FORM"] == "always":
    mien.noise.SPIKES, mien.noise.NOISY = -1.0, 0.0
main()
PY
done; done
$PYTHON - "$OUT" "${BUNDLES[@]}" <<'PY'
import json, sys
from pathlib import Path
out = Path(sys.argv[1])
def show(e): return f"{100 * e['value']:.1f} [{100 * e['low']:.1f}, {100 * e['high']:.1f}]"
for bundle in sys.argv[2:]:
    rows = {}
    for form in ("none", "auto", "always"):
        place = out / f"{bundle}-{form}/evaluation"
        m, r = json.loads((place / "metrics.json").read_text()), json.loads((place / "robustness.json").read_text())
        rows.setdefault(f"clean, n={m['images']}", []).append(show(m["metrics"]["accuracy"]))
        rows.setdefault("field", []).append(show(m["field"]["accuracy"]))
        rows.setdefault(f"19 corruptions, n={r['images']}", []).append(show(r["mean"]))
        for kind, found in r["corruptions"].items():
            five = " ".join(f"{100 * s['value']:.0f}" for s in found["severities"])
            rows.setdefault(kind, []).append(f"{show(found['mean'])} ({five})")
    print(f"\n| {bundle} | none | auto | always |\n|---|---|---|---|")
    for name, cells in rows.items():
        print(f"| {name} | " + " | ".join(cells) + " |")
PY
