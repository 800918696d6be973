"""Shrink a large picture before the search for faces."""

import cv2
import numpy as np
from numpy.typing import NDArray


def shrunk(picture: NDArray[np.uint8], longest_px: float) -> tuple[NDArray[np.uint8], float]:
    """The (H, W, 3) picture with no side above `longest_px`, and the scale it was brought to."""
    height, width = picture.shape[:2]
    scale = min(1.0, longest_px / max(height, width))
    if scale == 1:
        return picture, scale
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8), scale
