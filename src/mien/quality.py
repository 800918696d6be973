"""The status of a reading: ok, small, rotated, blurred, occluded or unsure."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.faces import cover
from mien.preprocess import grey, scale
from mien.types import Face, Scores, Status

SMALL_PX = 30
"""A face of fewer pixels has less to show than FER-2013's 48 px frame."""
ROTATED_DEG = 30.0
"""Not turned upright, 39 % of faces that are tilted by so much are read right, of upright ones
62 % (scripts/framing.py)."""
SHARPNESS = 0.02
"""Below it a crop is blurred: a Gaussian of 1.5 px in 48 brings FER-2013's faces to a median of
0.023; as they are, 1 % of them are below 0.21."""
SIDE_PX = 48
"""Of the grey crop that is looked at."""


def sharpness(crop: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian over the variance of the picture, at 48 px."""
    image = scale(grey(crop), SIDE_PX)
    edges = np.asarray(cv2.Laplacian(image, cv2.CV_32F), np.float32)
    return _variance(edges) / (_variance(image) + 1)


def _variance(values: NDArray[np.uint8] | NDArray[np.float32]) -> float:
    """As NumPy's, in a fifth of its time."""
    return float(cv2.meanStdDev(values)[1][0, 0] ** 2)


@dataclass(frozen=True, slots=True)
class Look:
    """What can be seen of a face in its crop."""

    sharpness: float
    covered: float
    """As `mien.faces.cover.scores`."""

    @property
    def clear(self) -> bool:
        """Whether the face is neither blurred nor covered."""
        return self.sharpness >= SHARPNESS and self.covered <= cover.COVERED


def look_at(crops: Sequence[NDArray[np.uint8]]) -> list[Look]:
    """A look at each crop, (H, W) or (H, W, 3) RGB uint8."""
    covered = cover.scores(crops).tolist()
    return [Look(sharpness(crop), value) for crop, value in zip(crops, covered, strict=True)]


def status_of(
    face: Face, look: Look, scores: Scores, unsure_below: float, *, aligned: bool
) -> Status:
    """`small`, `rotated`, `blurred`, `occluded` or `unsure`, whichever comes first, else `ok`.

    An `aligned` face was turned upright before it was read.
    """
    if max(face.box.width, face.box.height) < SMALL_PX:
        return "small"
    if not aligned and abs(face.roll_deg) > ROTATED_DEG:
        return "rotated"
    if look.sharpness < SHARPNESS:
        return "blurred"
    if look.covered > cover.COVERED:
        return "occluded"
    return "unsure" if scores.confidence < unsure_below else "ok"
