"""Where the shots of a film begin.

A cut is a frame whose small picture does not correlate with the one before, however one is laid
over the other: so neither light nor a camera that moves is taken for one. PySceneDetect's
ContentDetector compares hue, saturation and brightness, which a flash changes, too; its
AdaptiveDetector compares with the frames to come, which a camera does not have.
"""

import dataclasses
import math
from collections.abc import Iterable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.sources import Frame

NEAR_S = 0.21
"""Frames that are further apart are not compared: a camera moves far in the meantime."""
ALIKE = 0.4
"""Correlation from which on two frames are of one shot: 99 % of cuts between photos have less than
0.32, of frames of one shot at most 1 in 1,000 (scripts/following.py)."""
_SURELY_ALIKE = 0.8
_WIDE_PX, _HIGH_PX = 64, 36
_COARSE_PX = 11
"""What is as coarse is left out: portraits are alike in that."""
_SHIFT_PX = 10, 6
_FLAT = 3.0
"""A frame whose details have a smaller standard deviation, of 255 levels, is black, white, grey."""
_FULL, _MOST_FULL = 250, 0.5
"""A frame with a larger share of such values is a flash."""
_BLANK_S = 1.0

Pixels = NDArray[np.uint8]
Details = NDArray[np.float32]
"""(36, 64, 3): a small picture without what is coarse in it, of mean 0 and norm 1."""


class Shots:
    """Tells which frames of a film begin a shot; for frames in the order of time.

    Frames without content, such as those between two fades and those of a flash, begin none: the
    next is compared with the one before them, or begins a shot if they last longer than `_BLANK_S`.
    """

    def __init__(self) -> None:
        self._before: Details | None = None
        self._last_s = -math.inf
        self._blank_since_s: float | None = None

    def mark(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The frames of a film, those with `new_shot` that begin one."""
        for frame in frames:
            begins = frame.pixels is not None and self.begins(frame.pixels, frame.time_s or 0.0)
            yield dataclasses.replace(frame, new_shot=True) if begins else frame

    def begins(self, picture: Pixels, time_s: float) -> bool:
        """Whether a (H, W, 3) uint8 RGB picture is the first of a shot; that of a film is not."""
        if time_s - self._last_s > NEAR_S:
            self._before = self._blank_since_s = None
        self._last_s = time_s
        now = details(picture)
        if now is None:
            if self._blank_since_s is None:
                self._blank_since_s = time_s
            return False
        since_s, self._blank_since_s = self._blank_since_s, None
        before, self._before = self._before, now
        if since_s is not None and time_s - since_s > _BLANK_S:
            return True
        return before is not None and likeness(before, now) < ALIKE


def details(picture: Pixels) -> Details | None:
    """What of a picture is compared; None for one without content."""
    size = (_WIDE_PX, _HIGH_PX)
    few = cv2.resize(picture, (3 * size[0], 3 * size[1]), interpolation=cv2.INTER_LINEAR)  # quick
    small = cv2.resize(few, size, interpolation=cv2.INTER_AREA)
    if np.count_nonzero(small >= _FULL) > _MOST_FULL * small.size:
        return None
    exact = small.astype(np.float32)
    fine = exact - cv2.blur(exact, (_COARSE_PX, _COARSE_PX))
    fine -= np.asarray(cv2.mean(fine)[:3], np.float32)
    size = np.linalg.norm(fine)
    return None if size < _FLAT * math.sqrt(fine.size) else np.asarray(fine / size, np.float32)


def likeness(one: Details, other: Details) -> float:
    """Correlation, -1 to 1; the highest of any shift where it is low without."""
    unmoved = float(np.vdot(one, other))
    if unmoved >= _SURELY_ALIKE:
        return unmoved
    x, y = _SHIFT_PX
    middle = other[y : _HIGH_PX - y, x : _WIDE_PX - x]
    return max(unmoved, float(cv2.matchTemplate(one, middle, cv2.TM_CCOEFF_NORMED).max()))
