"""Faces made unrecognisable: in a picture, and in the frames of a film."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.faces.following import SEARCH_S
from mien.stream import Result
from mien.types import Box, Readings

Pixels = NDArray[np.uint8]

HELD_S = SEARCH_S + 0.1
"""So long before and after a face is found in a film it is hidden, too: longer than a new face may
go unseen."""

WIDER = 1.4
"""Times the face's side: of the square that is hidden."""
_AVERAGES = 6
_MOST_BYTES = 96 * 2**20


def hide(canvas: Pixels, boxes: Iterable[Box]) -> None:
    """Blur what is in `boxes` of (H, W, 3): 6 x 6 averages of a square 1.4 x as wide as the face.

    At the picture's edge the averages are as large as elsewhere, and fewer.
    """
    import cv2

    height, width = canvas.shape[:2]
    for box in boxes:
        square = box.square(WIDER)
        if (seen := square.within(width, height)) is None:
            continue
        part = canvas[seen.y : seen.y + seen.height, seen.x : seen.x + seen.width]
        cell = max(1.0, square.width / _AVERAGES)
        few = max(1, round(seen.width / cell)), max(1, round(seen.height / cell))
        small = cv2.resize(part, few, interpolation=cv2.INTER_AREA)
        size = seen.width, seen.height
        part[...] = cv2.resize(small, size, interpolation=cv2.INTER_LINEAR)


@dataclass(slots=True)
class _Frame:
    result: Result
    pixels: Pixels
    time_s: float
    boxes: dict[int, Box]
    """What is hidden, by the face's id."""


class Veil:
    """Hides the faces of a film, also where one is missed for a moment; a context manager.

    `write` gets each frame with its faces hidden, a little later than it comes.
    """

    def __init__(self, write: Callable[[Result, Pixels], None]) -> None:
        self._write = write
        self._waiting: deque[_Frame] = deque()
        self._seen: dict[int, tuple[float, Box]] = {}
        """When and where each face was last found."""

    def __enter__(self) -> "Veil":
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            self._release(0)

    def add(self, result: Result) -> None:
        """Take the next frame of the film."""
        if result.pixels is None or result.time_s is None:
            return
        if result.new_shot:
            self._release(0)
            self._seen.clear()
        since = result.time_s - HELD_S
        while self._waiting and self._waiting[0].time_s < since:
            self._release(len(self._waiting) - 1)
        boxes = _boxes(result.readings)
        for frame in self._waiting:
            frame.boxes = boxes | frame.boxes
        held = {name: box for name, (time_s, box) in self._seen.items() if time_s >= since}
        self._seen |= {name: (result.time_s, box) for name, box in boxes.items()}
        self._waiting.append(_Frame(result, result.pixels, result.time_s, held | boxes))
        self._release(max(1, _MOST_BYTES // result.pixels.nbytes))

    def _release(self, most: int) -> None:
        """Write frames until at most so many wait."""
        while len(self._waiting) > most:
            frame = self._waiting.popleft()
            pixels = np.array(frame.pixels, np.uint8)
            hide(pixels, frame.boxes.values())
            self._write(frame.result, pixels)


def _boxes(readings: Readings) -> dict[int, Box]:
    """Where each face is, by its id; by a number below 0 where it has none."""
    named = enumerate(readings, 1)
    return {-n if r.face_id is None else r.face_id: r.face.box for n, r in named if r.face}
