"""Twelve hard cases as mien draws them, for the eye: python scripts/sheet.py FOLDER.

Faces are cut from the portrait in the package and pasted where they are hard to mark; their
readings are made up. Each case is written as it is, and all together as sheet.png. Look for words
that cover a face, that cannot be read, or that are not in proportion. Not to be committed.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.demo import PORTRAIT
from mien.labels import EIGHT
from mien.output import draw, overlay, save_picture
from mien.sources import read_picture
from mien.types import Box, Face, Reading, Scores

Pixels = NDArray[np.uint8]
Heads = list[tuple[int, int, int]]
"""Left, top and width of each."""
HEAD = Box(150, 20, 150, 190)
FACE = Box(28, 43, 90, 113)
"""The face within the head."""
STATUSES = ("ok", "ok", "ok", "unsure", "ok", "small", "occluded")


def scene(width: int, height: int, places: Heads, tone: float = 1.0) -> Pixels:
    """A grey room with heads so many pixels wide at (x, y)."""
    room = np.linspace(70, 150, height)[:, None, None] * np.ones((1, width, 3))
    room += np.random.default_rng(0).normal(0, 6, room.shape)
    head = read_picture(PORTRAIT)[HEAD.y : HEAD.y + HEAD.height, HEAD.x : HEAD.x + HEAD.width]
    for x, y, side in places:
        size = side, round(side * HEAD.height / HEAD.width)
        small = cv2.resize(head, size, interpolation=cv2.INTER_AREA)
        left, top, right, bottom = max(0, x), max(0, y), min(width, x + size[0]), y + size[1]
        part = room[top : min(height, bottom), left:right]
        part[...] = small[top - y :, left - x :][: part.shape[0], : part.shape[1]]
    return np.clip(room * tone, 0, 255).astype(np.uint8)


def readings(places: Heads, film: bool = False) -> Iterator[Reading]:
    """One for each head; those of a film have ids and smoothed scores."""
    dice = np.random.default_rng(3)
    for number, (x, y, side) in enumerate(places):
        scale = side / HEAD.width
        place = FACE.scaled(scale)
        box = Box(x + place.x, y + place.y, place.width, place.height)
        values = dice.dirichlet([0.25] * 8)
        values = values / values.sum()
        scores = Scores(EIGHT, tuple(float(v) for v in values))
        told = {"time_s": 1.0, "face_id": number + 1, "smoothed": scores} if film else {}
        yield Reading(Face(box, 0.9), scores, STATUSES[number % len(STATUSES)], **told)


def crowd(width: int, height: int, columns: int, rows: int, side: int) -> Heads:
    dice = np.random.default_rng(1)
    return [
        (
            int((column + 0.5 * (row % 2)) * width / columns + dice.integers(0, side // 3)),
            int((row + 0.15) * height / rows + dice.integers(0, side // 3)),
            int(side * dice.uniform(0.8, 1.2)),
        )
        for row in range(rows)
        for column in range(columns)
    ][:26]


def edges(width: int, height: int, side: int) -> Heads:
    xs = (-side // 3, width // 2 - side // 2, width - 2 * side // 3)
    ys = (-side // 3, height // 2 - side // 2, height - 2 * side // 3)
    return [(x, y, side) for y in ys for x in xs]


def cases() -> Iterator[tuple[str, Pixels]]:
    one = [(150, 60, 220)]
    wide = crowd(4000, 3000, 7, 4, 330)
    packed = crowd(1280, 720, 9, 3, 150)
    yield "portrait", draw(scene(512, 512, one), [*readings(one)])
    yield "12mp-one", draw(scene(4000, 3000, [(1400, 800, 900)]), [*readings([(1400, 800, 900)])])
    yield "12mp-26", draw(scene(4000, 3000, wide), [*readings(wide)])
    yield "26-small", draw(scene(1280, 720, packed), [*readings(packed)])
    at = edges(900, 600, 160)
    yield "edges", draw(scene(900, 600, at), [*readings(at)])
    yield "edges-film", overlay(scene(900, 600, at), [*readings(at, film=True)])
    tiny = [(10, 4, 56)]
    yield "thumbnail", draw(scene(80, 80, tiny), [*readings(tiny)])
    yield "thumbnail-film", overlay(scene(80, 80, tiny), [*readings(tiny, film=True)])
    three = [(60, 80, 150), (260, 60, 170), (430, 120, 140)]
    yield "dark", overlay(scene(640, 360, three, 0.15), [*readings(three, film=True)])
    yield "bright", overlay(scene(640, 360, three, 2.2), [*readings(three, film=True)])
    touching = [(100 + 95 * i, 100 + 40 * (i % 2), 140) for i in range(10)]
    yield "touching-film", overlay(scene(1280, 360, touching), [*readings(touching, film=True)])
    high = [(30, 80 + 260 * i, 170) for i in range(4)]
    yield "upright-film", overlay(scene(240, 1200, high), [*readings(high, film=True)])


def main(folder: Path) -> None:
    tiles = []
    for name, drawn in cases():
        save_picture(folder / f"{name}.png", drawn)
        scale = min(800 / drawn.shape[1], 500 / drawn.shape[0])
        size = max(1, round(drawn.shape[1] * scale)), max(1, round(drawn.shape[0] * scale))
        tile = np.full((510, 810, 3), 255, np.uint8)
        tile[: size[1], : size[0]] = cv2.resize(drawn, size, interpolation=cv2.INTER_AREA)
        tiles.append(tile)
    rows = [np.hstack(tiles[i : i + 3]) for i in range(0, len(tiles), 3)]
    save_picture(folder / "sheet.png", np.vstack(rows))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
