"""How long a user waits: whole processes, and data from zip to arrays.

    python scripts/startup.py DATA.zip [--repeats 5]

Prints the median and the range of each.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from mien.demo import PORTRAIT


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()

    command = Path(sys.executable).with_name("mien")
    report("mien --help", lambda: process(command, "--help"), given.repeats)
    report("import mien", lambda: process(sys.executable, "-c", "import mien"), given.repeats)
    report("mien recognize PHOTO", lambda: process(command, "recognize", PORTRAIT), given.repeats)
    with tempfile.TemporaryDirectory() as home:
        os.environ["MIEN_HOME"] = home
        report("data, first time", lambda: arrays(given.data), 1)
        report("data, from cache", lambda: arrays(given.data), given.repeats)


def process(*arguments: object) -> None:
    subprocess.run([str(a) for a in arguments], check=True, capture_output=True)


def arrays(data: Path) -> None:
    from mien.data import open_dataset

    assert len(open_dataset(data).split("train").images)


def report(name: str, action: Callable[[], None], repeats: int) -> None:
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    median, low, high = statistics.median(times), min(times), max(times)
    print(f"{name:<22} {median:6.2f} s  [{low:.2f}, {high:.2f}], n = {repeats}")


if __name__ == "__main__":
    main()
