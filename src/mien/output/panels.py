"""All probabilities of each face as bars, beside the picture."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mien.output.boxes import Mark, paste, plate
from mien.style import INK, PANEL, PAPER, SOFT, ink_on, lettering, palette, percent, rgb, text_px
from mien.types import Scores

Pixels = NDArray[np.uint8]

_SMALLEST_PX = 11
_BAR = 6.0
"""The length of a full bar, in heights of the words."""


def beside(canvas: Pixels, marks: Sequence[Mark], scores: Sequence[Scores]) -> Pixels:
    """(H', W', 3): the picture, right of it a panel for each face, as many to a column as its
    height holds. Words are smaller where the panels would be wider than the picture."""
    height, width = canvas.shape[:2]
    px = max(13, text_px(width, height))
    while px > _SMALLEST_PX:
        rows, columns = _grid(height, scores, px)
        if columns * _width(scores, px) <= max(width, 400):
            break
        px = max(_SMALLEST_PX, min(px - 1, round(0.9 * px)))
    rows, columns = _grid(height, scores, px)
    each = _height(scores, px), _width(scores, px)
    panels = [_panel(*given, px, each) for given in zip(marks, scores, strict=True)]
    shape = (max(height, min(rows, len(panels)) * each[0]), width + columns * each[1], 3)
    whole = np.full(shape, 255, np.uint8)
    whole[:height, :width] = canvas
    for place, panel in enumerate(panels):
        paste(whole, panel, width + place // rows * each[1], place % rows * each[0])
    return whole


def _grid(height: int, scores: Sequence[Scores], px: int) -> tuple[int, int]:
    """Rows and columns of panels."""
    rows = max(1, height // _height(scores, px))
    return rows, -(-len(scores) // rows)


def _height(scores: Sequence[Scores], px: int) -> int:
    return round(1.5 * px) * (max(len(s.labels) for s in scores) + 1) + px


def _names(scores: Sequence[Scores], px: int) -> int:
    drawn = (lettering(label, px) for s in scores for label in s.labels)
    return round(max(face.getlength(words) for words, face in drawn))


def _width(scores: Sequence[Scores], px: int) -> int:
    return _names(scores, px) + round((_BAR + 5.5) * px)


def _panel(one: Mark, scores: Scores, px: int, size: tuple[int, int]) -> Pixels:
    """The number and the words of a face, and a bar with an outline, by which it is seen in any
    colour, for each probability; `size`: (H, W)."""
    line, width = round(1.5 * px), size[1]
    panel = np.full((*size, 3), 255, np.uint8)
    heading = f"{one.number}   {one.words}"
    left = round(0.65 * px)
    paste(panel, plate(heading, px, one.colour, ink_on(one.colour)), left, px // 2)
    bar = width - round((_BAR + 3.6) * px)
    colours = palette(scores.labels)
    for place, (label, value) in enumerate(scores.to_dict().items(), 1):
        top = px // 2 + line * place
        paste(panel, plate(label, px, PAPER, INK), left, top)
        lower, upper = top + round(0.45 * px), top + round(1.15 * px)
        panel[lower:upper, bar : bar + round(_BAR * px)] = rgb(PANEL)
        end, edge = bar + max(1, round(_BAR * px * value)), max(1, px // 14)
        panel[lower - edge : upper + edge, bar - edge : end + edge] = rgb(SOFT)
        panel[lower:upper, bar:end] = rgb(colours[label])
        share = plate(percent(value), px)
        paste(panel, share, width - share.shape[1] - px // 4, top)
    return panel
