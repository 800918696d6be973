"""OpenCV's Haar cascade (Viola & Jones 2001), in the OpenCV wheel: the offline fallback."""

import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.faces.shrink import shrunk
from mien.types import Box, Face

_LONGEST_PX = 1280


class Haar:
    """Frontal faces. FER-2013's own frames came from such a cascade, hence the margin near 1."""

    name = "haar"
    margin = 1.03  # scripts/framing.py: median over training faces

    def __init__(self) -> None:
        self._local = threading.local()  # a cascade holds the state of a run

    def detect(self, picture: NDArray[np.uint8]) -> list[Face]:
        """Faces of a (H, W, 3) uint8 RGB picture, the largest first; Haar gives no score."""
        smaller, scale = shrunk(picture, _LONGEST_PX)
        grey = cv2.cvtColor(smaller, cv2.COLOR_RGB2GRAY)
        smallest = max(24, min(grey.shape) // 20)
        found = self._cascade().detectMultiScale(
            cv2.equalizeHist(grey), scaleFactor=1.1, minNeighbors=6, minSize=(smallest, smallest)
        )
        boxes = [Box(*(round(int(v) / scale) for v in box)) for box in found]
        return [Face(b) for b in sorted(boxes, key=lambda b: (-b.width * b.height, b.x, b.y))]

    def _cascade(self) -> Any:
        if not hasattr(self._local, "cascade"):
            folder = Path(cv2.__file__).parent / "data"
            file = folder / "haarcascade_frontalface_default.xml"
            self._local.cascade = cv2.CascadeClassifier(str(file))
        return self._local.cascade
