"""How long the comparison of all runs on record takes, and how large its page is.

    python scripts/comparison.py          # exit code 1 where a limit is passed

`mien compare` makes it in a process of its own, whose processor time counts: the machine may be
busy. A real Chromium opens it from the disk.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from results import has, rows, unpack

LIMITS = {"made, processor s": 30.0, "opened, s": 3.0, "page, MB": 3.0}
_LOADED = """() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(
  () => done(performance.now() / 1000))))"""
"""Seconds from the start of the navigation until the loaded page has been painted."""


def made_s(evaluated: Path, out: Path) -> float:
    """Seconds of processor time that the comparison of all in `evaluated` takes."""
    runs = map(str, sorted(evaluated.iterdir()))
    command = [sys.executable, "-m", "mien", "compare", *runs, "--out", str(out)]
    before = os.times()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    user, system = after.children_user, after.children_system
    return user - before.children_user + system - before.children_system


def opened_s(page: Path) -> float:
    """The median of five."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        times = []
        for _ in range(5):
            opened = browser.new_page()
            opened.goto(page.as_uri(), wait_until="load")
            times.append(opened.evaluate(_LOADED))
            opened.close()
        browser.close()
    return float(sorted(times)[2])


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        evaluated, out = Path(folder) / "evaluated", Path(folder) / "page"
        with contextlib.redirect_stdout(sys.stderr):
            unpack(evaluated, [name for name in rows() if has(name, "plain")])
        found = {
            "made, processor s": made_s(evaluated, out),
            "opened, s": opened_s(out / "index.html"),
        }
        found["page, MB"] = (out / "index.html").stat().st_size / 1e6
    for name, value in found.items():
        print(f"{name}: {value:.2f} (at most {LIMITS[name]:g})")
    sys.exit(any(found[name] > limit for name, limit in LIMITS.items()))


if __name__ == "__main__":
    main()
