"""Explanations as a picture: the face, and the same under a heat map."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError
from mien.explain.explainer import Explanation
from mien.output.boxes import paste, plate
from mien.style import percent

_SIDE_PX, _LINE_PX, _GAP_PX, _TEXT_PX = 320, 30, 8, 15


def draw(explanations: Sequence[Explanation]) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB: a row per face; the map from its lowest value (dark) to its highest
    (bright), which for occlusion is written beside the label.

    Raises InputError if there is nothing to draw.
    """
    if not explanations:
        raise InputError("expected at least one explanation to draw")
    return np.concatenate([_row(found) for found in explanations])


def _row(found: Explanation) -> NDArray[np.uint8]:
    colour = found.crop if found.crop.ndim == 3 else cv2.cvtColor(found.crop, cv2.COLOR_GRAY2RGB)
    face = _square(colour, cv2.INTER_CUBIC)
    heat = found.method
    if heat == "occlusion":
        heat += f": brightest, {100 * found.map.max():.0f} points lost"
    row = np.full((_LINE_PX + _SIDE_PX + _GAP_PX, 2 * _SIDE_PX + 3 * _GAP_PX, 3), 255, np.uint8)
    for left, panel, text in (
        (_GAP_PX, face, f"{found.label} {percent(found.score)}"),
        (2 * _GAP_PX + _SIDE_PX, _heated(face, found.map), heat),
    ):
        row[_LINE_PX : _LINE_PX + _SIDE_PX, left : left + _SIDE_PX] = panel
        words = plate(text, _TEXT_PX)
        paste(row, words, left, (_LINE_PX - words.shape[0]) // 2)
    return row


def _heated(face: NDArray[np.uint8], found: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The face in grey, coloured the more the hotter: inferno, which is even to the eye."""
    span = max(float(np.ptp(found)), 1e-12)
    heat = _square((found - found.min()) / span, cv2.INTER_LINEAR)
    coloured = cv2.applyColorMap((255 * heat).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    grey = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)[..., None]
    opacity = 0.3 + 0.4 * heat[..., None]
    return np.asarray((1 - opacity) * grey + opacity * coloured, np.uint8)


def _square(image: NDArray[Any], how: int) -> NDArray[Any]:
    return cv2.resize(image, (_SIDE_PX, _SIDE_PX), interpolation=how)
