"""Where the shots of a film begin.

A cut is a frame whose small picture does not correlate with the one before, however one is laid
over the other: so neither light nor a camera that moves is taken for one. PySceneDetect's
ContentDetector compares hue, saturation and brightness, which a flash changes, too; its
AdaptiveDetector compares with the frames to come, which a camera does not have.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.sources import Frame, Item

NEAR_S = 0.21
"""Frames that are further apart are not compared: a camera moves far in the meantime."""
_CUT, _CUT_IN_COLOUR, _OTHER_COLOURS = 0.4, 0.65, 30.0
"""Likeness of two frames below which there is a cut between them; the same where their colours are
so many of 255 levels apart. Of cuts between photos 99 % are below 0.4; no frame of one shot is, and
none below 0.65 changes its colours so much (scripts/following.py)."""
_CHANGED = 0.75
"""Below it the faces may be others, too."""
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


@dataclass(frozen=True, slots=True, eq=False)
class Small:
    """What of a picture is compared."""

    details: NDArray[np.float32]
    """(36, 64, 3): a small picture without what is coarse in it, of mean 0 and norm 1."""
    colours: NDArray[np.float32]
    """(9, 16, 3): by how much each colour is above the grey, of 255 levels."""


class Shots:
    """Tells which frames of a film begin a shot; for frames in the order of time.

    Frames without content, such as those between two fades and those of a flash, begin none: the
    next is compared with the one before them, or begins a shot if they last longer than `_BLANK_S`.
    """

    def __init__(self) -> None:
        self._before: Small | None = None
        self._last_s = -math.inf
        self._blank_since_s: float | None = None
        self._picture: Pixels | None = None

    def mark(self, items: Iterable[Item]) -> Iterator[Item]:
        """The frames of a film; `new_shot`, `changed` and `repeats` are told."""
        for frame in items:
            if not isinstance(frame, Frame) or frame.pixels is None:
                yield frame  # a live picture that is not loaded yet, or one that cannot be read
                continue
            before, self._picture = self._picture, frame.pixels
            if before is not None and _is_same(before, frame.pixels):
                self._last_s = frame.time_s or 0.0
                yield replace(frame, repeats=True)
            else:
                new_shot, changed = self.compare(frame.pixels, frame.time_s or 0.0)
                yield replace(frame, new_shot=new_shot, changed=changed) if changed else frame

    def compare(self, picture: Pixels, time_s: float) -> tuple[bool, bool]:
        """Whether a (H, W, 3) uint8 RGB picture is the first of a shot, and whether it differs much
        from the one before; neither for the first of a film."""
        if time_s - self._last_s > NEAR_S:
            self._before = self._blank_since_s = None
        self._last_s = time_s
        now = small(picture)
        if now is None:
            if self._blank_since_s is None:
                self._blank_since_s = time_s
            return False, False
        since_s, self._blank_since_s = self._blank_since_s, None
        before, self._before = self._before, now
        if before is None or (since_s is not None and time_s - since_s > _BLANK_S):
            return since_s is not None, since_s is not None
        alike = likeness(before, now)
        return _is_cut(before, now, alike), alike < _CHANGED or since_s is not None


def small(picture: Pixels) -> Small | None:
    """What of a picture is compared; None for one without content."""
    size = (_WIDE_PX, _HIGH_PX)
    few = cv2.resize(picture, (3 * size[0], 3 * size[1]), interpolation=cv2.INTER_LINEAR)  # quick
    whole = cv2.resize(few, size, interpolation=cv2.INTER_AREA)
    if np.count_nonzero(whole >= _FULL) > _MOST_FULL * whole.size:
        return None
    exact = whole.astype(np.float32)
    fine = exact - cv2.blur(exact, (_COARSE_PX, _COARSE_PX))
    fine -= np.asarray(cv2.mean(fine)[:3], np.float32)
    norm = float(np.linalg.norm(fine))
    if norm < _FLAT * math.sqrt(fine.size):
        return None
    coarse = cv2.resize(exact, (size[0] // 4, size[1] // 4), interpolation=cv2.INTER_AREA)
    colours = coarse - coarse.mean(2, keepdims=True)
    return Small(np.asarray(fine / norm, np.float32), np.asarray(colours, np.float32))


def likeness(one: Small, other: Small) -> float:
    """Correlation of their details, -1 to 1; the highest of any shift where it is low without."""
    unmoved = float(np.vdot(one.details, other.details))
    if unmoved >= _SURELY_ALIKE:
        return unmoved
    x, y = _SHIFT_PX
    middle = other.details[y : _HIGH_PX - y, x : _WIDE_PX - x]
    return max(unmoved, float(cv2.matchTemplate(one.details, middle, cv2.TM_CCOEFF_NORMED).max()))


def _is_same(one: Pixels, other: Pixels) -> bool:
    """A few rows differ nearly always, so that the others are seldom compared."""
    return np.array_equal(one[::32], other[::32]) and np.array_equal(one, other)


def _is_cut(before: Small, now: Small, alike: float) -> bool:
    if alike >= _CUT_IN_COLOUR:
        return False
    return alike < _CUT or float(np.abs(before.colours - now.colours).mean()) > _OTHER_COLOURS
