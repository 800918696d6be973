"""Face detectors behind one protocol, and the crop each of them calls for."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError
from mien.types import Box, Face

__all__ = ["DETECTORS", "Detector", "crop", "open_detector"]

DETECTORS = ("auto", "yunet", "haar", "none")


class Detector(Protocol):
    """Finds faces. `margin` is the side of FER-2013's frame in units of the box's longer side."""

    name: str
    margin: float

    def detect(self, picture: NDArray[np.uint8]) -> list[Face]:
        """Faces of a (H, W, 3) uint8 RGB picture, the largest first."""
        ...


def open_detector(name: str = "auto") -> Detector:
    """A detector by name; InputError for an unknown one.

    `auto` is YuNet if its weights are on this machine or can be downloaded, else Haar; `none`
    takes the whole picture for the face.
    """
    if name == "auto":
        return _best()
    if name == "yunet":
        from mien.faces.yunet import YuNet

        return YuNet()
    if name == "haar":
        from mien.faces.haar import Haar

        return Haar()
    if name == "none":
        return WholePicture()
    raise InputError(f"no detector {name!r}; there are: {', '.join(DETECTORS)}")


def _best() -> Detector:
    from mien.errors import WeightsError
    from mien.faces.haar import Haar
    from mien.faces.weights import say_once
    from mien.faces.yunet import YuNet

    try:
        return YuNet()
    except WeightsError as error:
        say_once(f"{error} Using OpenCV's Haar cascade instead, which misses more faces.")
        return Haar()


class WholePicture:
    """For ready-made crops: the picture is the face."""

    name = "none"
    margin = 1.0

    def detect(self, picture: NDArray[np.uint8]) -> list[Face]:
        """One face, as large as the picture."""
        height, width = picture.shape[:2]
        return [Face(Box(0, 0, width, height))]


def crop(picture: NDArray[np.uint8], face: Face, detector: Detector) -> NDArray[np.uint8]:
    """(S, S, 3) uint8 RGB: the face framed as FER-2013 frames it.

    Where the frame leaves the picture its edge is repeated. `none` keeps the picture as it is.
    """
    if detector.name == "none":
        return picture
    frame = face.box.square(detector.margin)
    height, width = picture.shape[:2]
    rows = np.clip(np.arange(frame.y, frame.y + frame.height), 0, height - 1)
    columns = np.clip(np.arange(frame.x, frame.x + frame.width), 0, width - 1)
    return picture[np.ix_(rows, columns)]
