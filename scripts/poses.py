"""Turned faces: how many are found, turned right and read as when upright, and what it costs.

    python scripts/poses.py DATA [--images 300] [--step 30]

PublicTest's faces, enlarged four times, lie in round patches on photos that have no face, turned
clockwise. "As upright" is the share of all faces whose label is that of the face found upright.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import skimage
from numpy.typing import NDArray

import mien
from mien.data import Split, open_dataset
from mien.faces import Detector
from mien.faces.yunet import YuNet, _without_repeats
from mien.sources import Frame, read_picture
from mien.types import Face, Reading

SIDE_PX, CANVAS_PX = 192, 480
GROUNDS = ("brick.png", "coffee.png", "grass.png", "gravel.png", "motorcycle_left.png", "page.png")
NEAR_DEG, WRONG_DEG = 30, 45
Pixels = NDArray[np.uint8]


class Once(YuNet):
    """YuNet that looks once, as OpenCV's does."""

    def detect(self, picture: Pixels) -> list[Face]:
        """What a first look finds."""
        return _without_repeats(self._search(picture, ()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--step", type=int, default=30, help="degrees")
    given = parser.parse_args()
    public = open_dataset(given.data).split("public")
    rows = np.random.default_rng(0).permutation(len(public))[: given.images]
    ways = (("once", Once(), False), ("film", YuNet(), False), ("photo", YuNet(), True))
    print("degrees  way    found  as upright  within 30  off by 45 or more  ms a picture")
    for name, detector, photo in ways:
        read = reader(detector, photo)
        upright = [read(pasted(public, row, 0)) for row in rows]
        for degrees in range(0, 360, given.step):
            print(f"{degrees:7d}  {name:5s}", measured(read, public, rows, degrees, upright))


def reader(detector: Detector, photo: bool) -> Callable[[Pixels], Reading | None]:
    recognizer = mien.Recognizer(detector=detector, threads=1)

    def read(picture: Pixels) -> Reading | None:
        """Its reading of the face in the middle."""
        frame = Frame(None, picture, *(() if photo else (0, 0.0)))
        faces = [r for r in recognizer.read(frame).readings if r.face and in_the_middle(r.face)]
        return faces[0] if faces else None

    return read


def in_the_middle(face: Face) -> bool:
    return np.hypot(*(np.array(face.box.centre) - CANVAS_PX / 2)) < SIDE_PX / 4


def pasted(public: Split, row: int, degrees: float) -> Pixels:
    """(480, 480, 3): the face in the middle of a photo, turned clockwise."""
    side, pad = SIDE_PX, 24
    large = cv2.resize(public.images[row], (side, side), interpolation=cv2.INTER_CUBIC)
    large = cv2.copyMakeBorder(large, *[pad] * 4, cv2.BORDER_REPLICATE)
    middle = large.shape[0] / 2
    y, x = np.mgrid[: large.shape[0], : large.shape[0]] - middle + 0.5
    soft = np.clip((1.08 - np.hypot(x, y) / (side / 2)) / 0.12, 0, 1).astype(np.float32)
    turn = cv2.getRotationMatrix2D((middle, middle), -degrees, 1)
    turn[:, 2] += CANVAS_PX / 2 - middle
    face, mask = (cv2.warpAffine(p, turn, (CANVAS_PX, CANVAS_PX)) for p in (large, soft))
    name = GROUNDS[row % len(GROUNDS)]
    ground = cv2.resize(read_picture(folder() / name), (CANVAS_PX, CANVAS_PX))
    mixed = face[..., None] * mask[..., None] + ground * (1 - mask[..., None])
    return np.asarray(mixed.clip(0, 255), np.uint8)


def folder() -> Path:
    return Path(skimage.__file__).parent / "data"


def measured(
    read: Callable[[Pixels], Reading | None],
    public: Split,
    rows: NDArray[np.intp],
    degrees: float,
    upright: list[Reading | None],
) -> str:
    pictures = [pasted(public, row, degrees) for row in rows]
    started = time.perf_counter()
    found = [read(picture) for picture in pictures]
    ms = 1000 * (time.perf_counter() - started) / len(rows)
    off = np.array([abs((r.face.roll_deg - degrees + 180) % 360 - 180) for r in found if r])
    same = np.mean(
        [bool(r and u and r.label == u.label) for r, u in zip(found, upright, strict=True)]
    )
    near, wrong = np.mean(off < NEAR_DEG), np.mean(off >= WRONG_DEG)
    return f"{len(off) / len(rows):6.1%} {same:11.1%} {near:10.1%} {wrong:18.1%} {ms:13.1f}"


if __name__ == "__main__":
    main()
