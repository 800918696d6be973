"""How resident memory grows while many pictures are read: detector, network and all.

python scripts/memory.py [--pictures 10000]
"""

import argparse
import itertools
import os
from pathlib import Path

import cv2

from mien.demo import PORTRAIT
from mien.recognizer import Recognizer
from mien.sources import read_picture

SETTLED = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=10_000)
    given = parser.parse_args()
    data = cv2.imencode(".jpg", cv2.resize(read_picture(PORTRAIT), (640, 480))[:, :, ::-1])[1]
    begun = highest = 0.0
    stream = Recognizer(detector="yunet").stream(itertools.repeat(bytes(data), given.pictures))
    for number, seen in enumerate(stream):
        assert seen.readings[0].label == "happy"
        if number == SETTLED:
            begun = resident_mb()
        if number > SETTLED and number % 100 == 0:
            highest = max(highest, resident_mb())
    print(f"{number + 1} pictures: {begun:.0f} MB after {SETTLED}, {highest:.0f} MB at most since")


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
