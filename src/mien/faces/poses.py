"""Faces that lie or stand on their head.

YuNet finds many of them, less surely than upright ones, but draws their landmarks as if they were
upright. So a face that was found with little certainty is looked at again in every direction, all
in one canvas, and is what it is surest of (docs/faces.md#turned-faces).
"""

import math
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.types import Box, Face, Point

Pixels = NDArray[np.uint8]
Search = Callable[[Pixels], list[Face]]
"""The faces of a canvas."""

_STEPS_DEG = range(0, 360, 30)
_CELLS = 4  # a side; twelve of the sixteen are used
_ROOM = 1.5  # side of a cell in longer sides of the box
_APART_DEG = 15.0  # half a step: what is seen in the same direction stays as it was found
_GAIN = 0.015  # measured: one of 1,947 upright faces was turned wrongly, also with 0.03


def look_again(picture: Pixels, face: Face, search: Search, side_px: int) -> Face:
    """The face in the direction in which `search` is surest of it, or as it was.

    `search` is asked once, of a canvas of `side_px`.
    """
    turns = [to_cell(face.box, step, side_px // _CELLS) for step in _STEPS_DEG]
    found = search(_wheel(picture, turns, side_px))
    seen = [from_cell(one, turns, side_px // _CELLS) for one in found]
    near = [one for one in seen if one is not None and same_place(one.box, face.box)]
    best = max(near, key=lambda one: one.score or 0, default=face)
    surer = (best.score or 0) > (face.score or 0) + _GAIN
    other_way = abs((best.roll_deg - face.roll_deg + 180) % 360 - 180) > _APART_DEG
    return best if surer and other_way else face


def quarter(face: Face) -> int:
    """By how many quarters, 0-3, the face must be turned anticlockwise to be about upright."""
    return round(face.roll_deg / 90) % 4


def turned_back(face: Face, quarters: int, width: int, height: int) -> Face:
    """A face of `np.rot90(picture, quarters)` in the picture of `width` x `height` px itself."""
    box = face.box
    ends = [(box.x, box.y), (box.x + box.width, box.y + box.height)]
    (x, y), (u, v) = (_unturned(end, quarters, width, height) for end in ends)
    upright = Box(*map(round, (min(x, u), min(y, v), abs(x - u), abs(y - v))))
    places = [_unturned(p, quarters, width, height) for p in face.landmarks or ()]
    return Face(upright, face.score, tuple((round(x, 2), round(y, 2)) for x, y in places) or None)


def _unturned(point: Point, quarters: int, width: int, height: int) -> Point:
    x, y = point
    return ((x, y), (width - y, x), (width - x, height - y), (y, height - x))[quarters]


def to_cell(box: Box, step_deg: float, cell_px: int) -> NDArray[np.float64]:
    """(2, 3): from the picture to a cell in which a face rolled by `step_deg` is upright."""
    x, y = box.centre
    scale = cell_px / (_ROOM * max(box.width, box.height))
    turn = cv2.getRotationMatrix2D((x, y), step_deg, scale)
    to_middle = np.array([cell_px / 2 - x, cell_px / 2 - y])
    return np.column_stack([turn[:, :2], turn[:, 2] + to_middle])


def _wheel(picture: Pixels, turns: Sequence[NDArray[np.float64]], side_px: int) -> Pixels:
    canvas = np.zeros((side_px, side_px, 3), np.uint8)
    size = side_px // _CELLS
    for place, turn in enumerate(turns):
        top, left = place // _CELLS * size, place % _CELLS * size
        cell = cv2.warpAffine(picture, turn, (size, size), borderMode=cv2.BORDER_REPLICATE)
        canvas[top : top + size, left : left + size] = cell
    return canvas


def from_cell(face: Face, turns: Sequence[NDArray[np.float64]], cell_px: int) -> Face | None:
    """A face of the canvas in the picture; None in a cell that is not used."""
    x, y = face.box.centre
    column, row = int(x // cell_px), int(y // cell_px)
    place = row * _CELLS + column
    if not (0 <= column < _CELLS and 0 <= place < len(turns)):
        return None
    back = cv2.invertAffineTransform(turns[place])
    corner = np.array([column * cell_px, row * cell_px])
    points = np.array([(x, y), *(face.landmarks or ())], float) - corner
    (x, y), *landmarks = (points @ back[:, :2].T + back[:, 2]).tolist()
    scale = math.hypot(*back[0, :2])
    sides = (face.box.width * scale, face.box.height * scale)
    width, height = sides if abs(back[0, 0]) >= abs(back[0, 1]) else sides[::-1]
    box = Box(
        round(x - width / 2), round(y - height / 2), max(1, round(width)), max(1, round(height))
    )
    return Face(box, face.score, tuple((round(a, 2), round(b, 2)) for a, b in landmarks) or None)


def same_place(one: Box, other: Box) -> bool:
    """Whether two boxes, of which one may be turned, have about the same centre."""
    (x, y), (u, v) = one.centre, other.centre
    return math.hypot(x - u, y - v) < 0.4 * max(other.width, other.height)
