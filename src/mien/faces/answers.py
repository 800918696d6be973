"""What somebody else's detector answers, checked and made into faces of plain numbers."""

import math
from collections.abc import Iterable
from typing import Any

from mien.errors import InputError
from mien.types import Box, Face, Point

_EXPECTED = "expected faces or boxes (x, y, width, height) from the detector"


def as_faces(answer: Iterable[Any]) -> list[Face]:
    """The faces of a detector's answer: of `Face`s, or of boxes of four numbers, NumPy's too.

    Raises InputError, which names what is wrong, for anything else.
    """
    if isinstance(answer, (str, bytes, dict)) or not isinstance(answer, Iterable):
        raise InputError(f"{_EXPECTED}, in a list that is empty without a face; got {answer!r:.80}")
    return [_face(one) for one in answer]


def _face(one: Any) -> Face:
    try:
        if isinstance(one, Face):
            return Face(_box(one.box), _score(one.score), _landmarks(one.landmarks))
        if isinstance(one, Box):
            return Face(_box(one))
        if isinstance(one, (str, bytes, dict, set)):
            raise TypeError("a box is a sequence of four numbers")
        x, y, width, height = (float(value) for value in one)
        return Face(Box(round(x), round(y), round(width), round(height)))
    except (TypeError, ValueError, OverflowError, AttributeError) as error:
        raise InputError(f"{_EXPECTED}, got {one!r:.80} ({error})") from error


def _box(box: Box) -> Box:
    sides = (box.x, box.y, box.width, box.height)
    return box if all(type(side) is int for side in sides) else Box(*map(round, sides))


def _score(score: float | None) -> float | None:
    if score is None or 0 <= score <= 1:
        return None if score is None else float(score)
    raise ValueError(f"expected a score from 0 to 1, got {score}")


def _landmarks(landmarks: Iterable[Any] | None) -> tuple[Point, ...] | None:
    if landmarks is None:
        return None
    points = tuple((float(x), float(y)) for x, y in landmarks)
    if len(points) < 2 or not all(map(math.isfinite, sum(points, ()))):
        raise ValueError("expected the eyes first among landmarks (x, y), in pixels")
    return points
