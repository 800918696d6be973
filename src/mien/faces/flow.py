"""Where faces are in a film's next frame, by the flow of their pixels.

Points of a face are found again by the method of Lucas and Kanade in pyramids (Bouguet 2001). What
most of them agree on is how the face has moved, turned and grown. That takes a quarter of the time
of a detector's look, but knows no face: over more than a few frames it would follow whatever covers
one.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.types import Box, Face

_SIDES = 1.5  # of the face, which are compared
_SIDE_PX = 64
_PLACES = np.linspace(0.15, 0.85, 5)
_GRID = np.stack(np.meshgrid(_PLACES, _PLACES), 2).reshape(-1, 1, 2)
"""Points of a face, as shares of its box."""
_WINDOW_PX, _HALVED = (9, 9), 2
_AGREE_PX = 1.0
_LEAST = 0.7  # share of the points
_GROWN, _TURNED_DEG = 1.2, 15.0
"""More from one frame to the next is no movement of a face."""

Pixels = NDArray[np.uint8]


def moved(before: Pixels, now: Pixels, faces: Sequence[Face]) -> list[Face | None]:
    """The `faces` of the picture `before` in the one `now`, both (H, W, 3) uint8 RGB.

    None for one that cannot be told: covered, blurred, out of the picture, turned away.
    """
    if before.shape != now.shape:
        return [None] * len(faces)
    return [_moved(before, now, face) for face in faces]


def _moved(before: Pixels, now: Pixels, face: Face) -> Face | None:
    height, width = now.shape[:2]
    around = face.box.square(_SIDES).within(width, height)
    if around is None or face.landmarks is None:
        return None
    scale = _SIDE_PX / max(around.width, around.height)
    turn = _agreed(
        _small(before, around, scale), _small(now, around, scale), _points(face.box, around, scale)
    )
    if turn is None:
        return None
    corner = np.array((around.x, around.y))
    turn[:, 2] = turn[:, 2] / scale + corner - turn[:, :2] @ corner
    there = _turned(face, turn)
    return there if there is not None and there.box.within(width, height) else None


def _agreed(before: Pixels, now: Pixels, points: NDArray[np.float32]) -> NDArray[np.float64] | None:
    """(2, 3): the similarity by which most of the points move; None if too few agree."""
    empty = np.empty_like(points)  # OpenCV's stubs ask for one
    there, seen, _ = cv2.calcOpticalFlowPyrLK(
        before, now, points, empty, winSize=_WINDOW_PX, maxLevel=_HALVED
    )
    turn, agree = cv2.estimateAffinePartial2D(points, there, ransacReprojThreshold=_AGREE_PX)
    few = turn is None or np.count_nonzero(np.logical_and(agree, seen)) < _LEAST * len(points)
    return None if few else np.asarray(turn, np.float64)


def _points(box: Box, around: Box, scale: float) -> NDArray[np.float32]:
    """(N, 1, 2): points of a face, in pixels of what is compared."""
    corner = np.array((box.x - around.x, box.y - around.y))
    return np.asarray((corner + _GRID * (box.width, box.height)) * scale, np.float32)


def _small(picture: Pixels, around: Box, scale: float) -> Pixels:
    part = picture[around.y : around.y + around.height, around.x : around.x + around.width]
    size = (max(1, round(around.width * scale)), max(1, round(around.height * scale)))
    if 2 * size[0] < part.shape[1]:  # two steps, of which the second halves
        part = np.asarray(cv2.resize(part, (2 * size[0], 2 * size[1])), np.uint8)
    return np.asarray(cv2.cvtColor(cv2.resize(part, size), cv2.COLOR_RGB2GRAY), np.uint8)


def _turned(face: Face, turn: NDArray[np.float64]) -> Face | None:
    """The face where the similarity `turn`, (2, 3), leads; None if it leads too far."""
    grown = math.hypot(turn[0, 0], turn[1, 0])
    turned_deg = math.degrees(math.atan2(turn[1, 0], turn[0, 0]))
    if not 1 / _GROWN <= grown <= _GROWN or abs(turned_deg) > _TURNED_DEG:
        return None
    x, y = turn @ (*face.box.centre, 1)
    width, height = face.box.width * grown, face.box.height * grown
    box = Box(round(x - width / 2), round(y - height / 2), round(width), round(height))
    points = np.asarray(face.landmarks) @ turn[:, :2].T + turn[:, 2]
    return Face(box, face.score, tuple((round(a, 2), round(b, 2)) for a, b in points.tolist()))
