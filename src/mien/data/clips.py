"""The face that a clip of a data set shows."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.records import Clip
from mien.errors import DataError, MienError
from mien.faces import framed
from mien.faces.following import Follower, FollowingDetector
from mien.faces.tracking import Tracker
from mien.preprocess import grey, scale
from mien.sources import open_source, read_picture

SIDE_PX = 48
FRAMES_S = 25.0
"""Frames a second of a folder of frames, which does not tell."""
CROP_PX = 256
"""Frames up to that size are taken for ready-made crops, as data sets have them; in larger ones the
face is searched."""


def faces_of(clip: Clip) -> tuple[NDArray[np.uint8], float]:
    """(L, 48, 48) uint8 grey: the face of a clip, and how many frames of it there are in a second.

    Of several faces it is the one that is seen longest, and frames without it are left out; where
    none is found, the whole frames are taken. DataError for a clip that cannot be read.
    """
    search, times = _Search(), []
    try:
        for pixels, time_s in _frames(clip):
            search.add(pixels, time_s)
            times.append(time_s)
    except MienError as error:
        raise DataError(f"{error}; replace it or move it out of the data set") from error
    if not times:
        raise DataError(f"{clip.name} has no frame that can be read; move it out of the data set")
    faces = search.face()
    lasts_s = times[-1] - times[0]
    return np.stack(faces), (len(faces) - 1) / lasts_s if lasts_s and len(faces) > 1 else FRAMES_S


def _frames(clip: Clip) -> Iterator[tuple[NDArray[np.uint8], float]]:
    """(H, W, 3) uint8 RGB frames with their times in seconds; of a film as far as it goes."""
    if not isinstance(clip.frames, Path):
        for number, path in enumerate(clip.frames):
            yield read_picture(path), number / FRAMES_S
        return
    for item in open_source(clip.frames):
        frame = item.load()
        if frame.pixels is not None:
            yield frame.pixels, frame.time_s or 0.0


class _Search:
    """The crops of each face of a clip."""

    def __init__(self) -> None:
        self._detector = _detector()
        self._follower = Follower(self._detector)
        self._tracker = Tracker()
        self._faces: dict[int, list[NDArray[np.uint8]]] = {}
        self._whole: list[NDArray[np.uint8]] = []

    def add(self, pixels: NDArray[np.uint8], time_s: float) -> None:
        """Look at the next frame."""
        self._whole.append(scale(grey(pixels), SIDE_PX))
        if max(pixels.shape[:2]) <= CROP_PX:
            return
        found = self._follower.find(pixels, time_s)
        faces, crops = framed(pixels, found, self._detector)
        for face_id, crop in zip(self._tracker.identify(time_s, faces), crops, strict=True):
            self._faces.setdefault(face_id, []).append(scale(grey(crop), SIDE_PX))

    def face(self) -> list[NDArray[np.uint8]]:
        """The crops of the face that is seen longest."""
        return max(self._faces.values(), key=len, default=self._whole)


@cache
def _detector() -> FollowingDetector:
    from mien.faces.yunet import YuNet

    return YuNet()
