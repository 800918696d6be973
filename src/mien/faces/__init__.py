"""Face detectors with one protocol, and the crop of a face."""

import dataclasses
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError
from mien.faces.answers import as_faces
from mien.types import Box, Face

__all__ = ["DETECTORS", "Detector", "as_detector", "crop", "find", "framed", "open_detector"]

DETECTORS = ("yunet", "none")

LEVEL_DEG = 10.0
"""Faces tilted by less are left alone: so are those of FER-2013 (docs/faces.md)."""


@runtime_checkable
class Detector(Protocol):
    """Finds faces, from several threads at once.

    `margin` is the side of FER-2013's frame in units of the box's longer side.
    """

    name: str
    margin: float

    def detect(self, picture: NDArray[np.uint8]) -> list[Face]:
        """Faces of a (H, W, 3) uint8 RGB picture, the largest first."""
        ...


class PhotoDetector(Detector, Protocol):
    """One that can search a photo longer than a film's frame."""

    def detect_in_photo(self, picture: NDArray[np.uint8]) -> list[Face]:
        """As `detect`, and faces of a picture that lies on its side, too."""
        ...


Finder = Callable[[NDArray[np.uint8]], Iterable[Face | Sequence[float]]]
"""A function from a (H, W, 3) uint8 RGB picture to faces, or to boxes (x, y, width, height)."""


def as_detector(chosen: "str | Detector | Finder", device: str = "cpu") -> Detector:
    """A detector from a name, a detector or a function; `device` is for one by name.

    Raises InputError for an unknown name or an object that is none of these.
    """
    if isinstance(chosen, str):
        return open_detector(chosen, device=device)
    if isinstance(chosen, Detector):
        return chosen
    if callable(chosen):
        return FromFunction(chosen)
    raise InputError(f"expected a detector's name, a detector or a function, got {chosen!r}")


def open_detector(
    name: str = "yunet", min_face: int | None = None, device: str = "cpu"
) -> Detector:
    """A detector by name; InputError for an unknown one, and as `mien.faces.yunet.YuNet`.

    `yunet` is in the package and finds faces from about `min_face` px on, by default
    `mien.faces.yunet.MIN_FACE_PX`; `none` takes the whole picture for the face.
    """
    if name not in DETECTORS:
        raise InputError(f"no detector {name!r}; there are: {', '.join(DETECTORS)}")
    if name == "none":
        return WholePicture()
    from mien.faces.yunet import MIN_FACE_PX, YuNet

    return YuNet(MIN_FACE_PX if min_face is None else min_face, device)


class WholePicture:
    """The whole picture is the face, for ready-made crops."""

    name = "none"
    margin = 1.0

    def detect(self, picture: NDArray[np.uint8]) -> list[Face]:
        """One face, as large as the picture."""
        height, width = picture.shape[:2]
        return [Face(Box(0, 0, width, height))]


class FromFunction:
    """A detector around any function that finds faces; its boxes are framed like YuNet's.

    The function is never called by two threads at once.
    """

    name = "function"
    margin = 1.0

    def __init__(self, find: Finder) -> None:
        self._find = find
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type["FromFunction"], tuple[Finder]]:
        return type(self), (self._find,)

    def detect(self, picture: NDArray[np.uint8]) -> list[Face]:
        """What the function finds, the largest first."""
        with self._lock:
            found = as_faces(self._find(picture))
        return largest_first(found)


def largest_first(faces: Iterable[Face]) -> list[Face]:
    """The faces by the area of their boxes; those that are as large by their place."""
    return sorted(faces, key=lambda f: (-f.box.width * f.box.height, f.box.x, f.box.y))


def find(
    picture: NDArray[np.uint8], detector: Detector, *, align: bool = True, photo: bool = True
) -> tuple[list[Face], list[NDArray[np.uint8]]]:
    """The faces of a (H, W, 3) uint8 RGB picture, and the `crop` of each.

    A `photo` may be searched longer than the frame of a film (`PhotoDetector`). Raises as `framed`.
    """
    # By name: Python 3.11 takes long to ask for a protocol, and this is asked for each picture.
    search = getattr(detector, "detect_in_photo", detector.detect) if photo else detector.detect
    return framed(picture, search(picture), detector, align=align)


def framed(
    picture: NDArray[np.uint8], found: Iterable[Face], detector: Detector, *, align: bool = True
) -> tuple[list[Face], list[NDArray[np.uint8]]]:
    """What a detector `found` in a (H, W, 3) uint8 RGB picture, and the `crop` of each.

    A box that the detector draws beyond the picture ends at its edge; the crop does not. Raises
    InputError for a box wholly outside the picture, and for an answer that is no list of faces.
    """
    found = as_faces(found)
    faces = [_within(face, picture) for face in found]
    return faces, [crop(picture, face, detector, align=align) for face in found]


def _within(face: Face, picture: NDArray[np.uint8]) -> Face:
    height, width = picture.shape[:2]
    box = face.box.within(width, height)
    if box is None:
        raise InputError(
            f"expected the detector's boxes to lie in the picture of {width}x{height} px, "
            f"got {face.box}; are they in pixels of another size?"
        )
    return face if box == face.box else dataclasses.replace(face, box=box)


def crop(
    picture: NDArray[np.uint8], face: Face, detector: Detector, *, align: bool = True
) -> NDArray[np.uint8]:
    """(S, S, 3) uint8 RGB: the face framed as FER-2013 frames it.

    With `align`, a face whose eyes are off the level by more than `LEVEL_DEG` is turned upright.
    Where the frame leaves the picture its edge is repeated. `none` keeps the picture as it is.
    """
    if detector.name == "none":
        return picture
    frame = face.box.square(detector.margin)
    if align and abs(face.roll_deg) > LEVEL_DEG:
        return _turned(picture, frame, face.roll_deg)
    height, width = picture.shape[:2]
    rows = np.arange(frame.y, frame.y + frame.height)
    columns = np.arange(frame.x, frame.x + frame.width)
    if rows[0] >= 0 and columns[0] >= 0 and rows[-1] < height and columns[-1] < width:
        return picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]  # without a copy
    return np.asarray(picture[np.ix_(rows.clip(0, height - 1), columns.clip(0, width - 1))])


def _turned(picture: NDArray[np.uint8], frame: Box, roll_deg: float) -> NDArray[np.uint8]:
    import cv2

    near = frame.square(1.5)  # what the turn needs: OpenCV turns no picture of 32,767 px and more
    height, width = picture.shape[:2]
    # A box may lie beyond the picture: at least its nearest row and column are kept.
    top, left = min(max(0, near.y), height - 1), min(max(0, near.x), width - 1)
    part = picture[top : max(1, near.y + near.height), left : max(1, near.x + near.width)]
    x, y = frame.centre
    to_upright = cv2.getRotationMatrix2D((x - left, y - top), roll_deg, 1)
    to_upright[:, 2] -= (frame.x - left, frame.y - top)
    size = (frame.width, frame.height)
    return np.asarray(
        cv2.warpAffine(part, to_upright, size, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )
