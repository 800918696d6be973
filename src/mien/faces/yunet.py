"""YuNet (Wu et al. 2023), OpenCV Zoo's face detector: 232 KB, milliseconds on a CPU."""

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.faces.shrink import shrunk
from mien.faces.weights import YUNET, locate
from mien.types import Box, Face

_LONGEST_PX = 960
_SMALLEST_PX = 64
_SCORE = 0.7


class YuNet:
    """Faces from about 10 px up, turned ones too."""

    name = "yunet"
    margin = 0.98  # benchmarks/framing.py: median over training faces

    def __init__(self) -> None:
        self._network = cv2.FaceDetectorYN.create(
            str(locate(YUNET)), "", (320, 320), score_threshold=_SCORE
        )

    def detect(self, picture: NDArray[np.uint8]) -> list[Face]:
        """Faces of a (H, W, 3) uint8 RGB picture, the largest first."""
        smaller, scale = shrunk(picture, _LONGEST_PX)
        height, width = smaller.shape[:2]
        # With 32 px or less on a side, its largest stride, OpenCV 4.14 finds faces of garbage.
        below, right = max(0, _SMALLEST_PX - height), max(0, _SMALLEST_PX - width)
        bgr = cv2.cvtColor(smaller, cv2.COLOR_RGB2BGR)
        bgr = cv2.copyMakeBorder(bgr, 0, below, 0, right, cv2.BORDER_REPLICATE)
        self._network.setInputSize((bgr.shape[1], bgr.shape[0]))
        _, rows = self._network.detect(bgr)
        faces = [_face(row, scale) for row in (rows if rows is not None else [])]
        return sorted(faces, key=lambda f: -f.box.width * f.box.height)


def _face(row: NDArray[np.float32], scale: float) -> Face:
    """A row of OpenCV's answer: x, y, width, height, five landmarks, score."""
    x, y, width, height = (round(float(v) / scale) for v in row[:4])
    return Face(Box(x, y, max(1, width), max(1, height)), round(float(row[14]), 4))
