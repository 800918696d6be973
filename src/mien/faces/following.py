"""Follow faces from frame to frame of a film, in place of searching every frame.

A face is looked for where it was in the frame before, turned as it was; between two looks it goes
where its pixels go. The rest of the picture is searched for new faces at times, and where a face is
lost. Now and then nothing that came before counts: so a run that is continued finds the same faces
as one that was not interrupted.
"""

import math
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mien.faces import Detector, largest_first
from mien.faces.flow import moved
from mien.faces.shots import NEAR_S
from mien.types import Face

SEARCH_S = 0.3
"""No face that comes into a picture waits longer until it is found."""
LOOK_S = 0.1
"""Faces are looked for as often; in frames between, they go where their pixels go."""
_ANEW = 4
"""Every so many searches nothing that came before counts."""

Pixels = NDArray[np.uint8]


@runtime_checkable
class FollowingDetector(Detector, Protocol):
    """One that finds a face again quickly near where it was."""

    def look(self, picture: Pixels, faces: Sequence[Face]) -> list[Face]:
        """The `faces` of the frame before, where they are in this one, the largest first."""
        ...

    def search(self, picture: Pixels, known: Sequence[Face]) -> list[Face]:
        """The `known` faces of a picture and all others, the largest first."""
        ...


class Follower:
    """Finds the faces of a film's frames, which come in the order of time."""

    def __init__(self, detector: FollowingDetector) -> None:
        self._detector = detector
        self.faces: list[Face] = []
        """Of the frame before."""
        self._before: Pixels | None = None
        self._last_s = -math.inf
        self._is_searched = False

    def find(
        self, picture: Pixels, time_s: float, *, changed: bool = False, repeats: bool = False
    ) -> list[Face]:
        """The faces of a (H, W, 3) uint8 RGB picture, the largest first.

        One that has `changed` is searched, as there may be others: after a cut, for example. One
        that `repeats` the one before is searched once, when it is time; else the list is the same.
        """
        last_s, self._last_s = self._last_s, time_s
        if repeats and (self._is_searched or not _is_due(SEARCH_S, last_s, time_s)):
            return self.faces
        before, self._before = self._before, picture
        far = not 0 <= time_s - last_s <= NEAR_S
        self._is_searched = far or changed or repeats or _is_due(_ANEW * SEARCH_S, last_s, time_s)
        if self._is_searched or before is None:
            self.faces = self._detector.detect(picture)
            return self.faces
        is_search_due = _is_due(SEARCH_S, last_s, time_s)
        if is_search_due or _is_due(LOOK_S, last_s, time_s):
            found = self._detector.look(picture, self.faces)
        else:
            found = self._taken_along(before, picture)
        if is_search_due or len(found) < len(self.faces):
            found = self._detector.search(picture, found)
        self.faces = found
        return found

    def _taken_along(self, before: Pixels, picture: Pixels) -> list[Face]:
        """The faces where their pixels have gone; one that cannot be told is looked for."""
        places = moved(before, picture, self.faces)
        lost = [face for face, place in zip(self.faces, places, strict=True) if place is None]
        found = [place for place in places if place is not None]
        return largest_first(found + (self._detector.look(picture, lost) if lost else []))


def _is_due(every_s: float, last_s: float, time_s: float) -> bool:
    """Whether a multiple of `every_s` has passed since the last frame; times alone decide."""
    return math.floor(time_s / every_s + 1e-6) > math.floor(last_s / every_s + 1e-6)
