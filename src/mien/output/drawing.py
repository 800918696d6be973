"""Readings → a table in the terminal, and pictures with boxes and bars."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError
from mien.faces.tracking import SMOOTHED
from mien.files import replacing
from mien.marks import MARK
from mien.types import Box, Reading, Scores

if TYPE_CHECKING:
    from rich.table import Table

Pixels = NDArray[np.uint8]

_INK, _PAPER, _BAR, _TOP = (33, 37, 41), (255, 255, 255), (173, 181, 189), (0, 114, 178)
_LINE_PX = 22
_PANEL_PX = 236
_FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
_FORMATS |= {"": "PNG", ".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF"}
"""Suffix → the name that Pillow gives to a format in which there is room for mien's mark."""
_SOFTWARE = 0x0131
"""The EXIF tag that names what has made a picture."""


def to_table(readings: Sequence[Reading], labels: tuple[str, ...]) -> "Table":
    """A rich table: a row per face with box, detector score, label and all probabilities."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("face", "box (x y w h)", "found", "expression"):
        table.add_column(heading, no_wrap=True)
    for label in labels:
        table.add_column(escape(label), justify="right")
    for number, reading in enumerate(readings, 1):
        if reading.face is None or reading.scores is None:
            continue
        box, score = reading.face.box, reading.face.score
        doubt = "" if reading.status == "ok" else f" [dim]({reading.status})[/dim]"
        table.add_row(
            str(number),
            f"{box.x} {box.y} {box.width} {box.height}",
            "-" if score is None else f"{score:.2f}",
            f"[bold]{escape(reading.scores.label)}[/bold] {reading.confidence:.0%}{doubt}",
            *(_cell(v, v == reading.confidence) for v in reading.scores.values),
        )
    return table


def _cell(value: float, top: bool) -> str:
    return f"[bold]{value:.3f}[/bold]" if top else f"[dim]{value:.3f}[/dim]"


def draw(picture: Pixels, readings: Sequence[Reading]) -> Pixels:
    """(H', W', 3) uint8 RGB: the picture with numbered boxes, and beside it a panel of bars.

    A small picture is enlarged so that the words can be read.
    """
    import cv2

    scale = min(max(1.0, 480 / picture.shape[0]), 12.0, max(1.0, 8000 / picture.shape[1]))
    size = (max(1, round(picture.shape[1] * scale)), round(picture.shape[0] * scale))
    canvas = np.array(cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    faces = [(r.face, r.scores) for r in readings if r.face and r.scores]
    for number, (face, scores) in enumerate(faces, 1):
        _draw_box(canvas, face.box, f"{number} {scores.label} {scores.confidence:.0%}", scale)
    panels = [_panel(scores, number) for number, (_, scores) in enumerate(faces, 1)]
    return _beside(canvas, panels) if panels else canvas


def overlay(picture: Pixels, readings: Sequence[Reading], *, blur: bool = False) -> Pixels:
    """(H, W, 3) uint8 RGB: a frame with a box, the face's id and its smoothed expression, if it has
    one; then it is said in the corner.

    With `blur`, faces are made unrecognisable: a box of 8 x 8 averages, wider than the face.
    """
    canvas = np.array(picture, np.uint8)
    faces = [(r, r.face, r.smoothed or r.scores) for r in readings if r.face and r.scores]
    for _, face, _ in faces if blur else []:
        _hide(canvas, face.box)
    for reading, face, scores in faces:
        if scores is not None:
            number = "" if reading.face_id is None else f"{reading.face_id} "
            _draw_box(canvas, face.box, f"{number}{scores.label} {scores.confidence:.0%}", 1.0)
    if any(reading.smoothed for reading, _, _ in faces):
        _caption(canvas, SMOOTHED)
    return canvas


def _caption(canvas: Pixels, words: str) -> None:
    """Words in the lower left corner, smaller where the frame is narrow."""
    import cv2

    size = min(0.45, 0.45 * canvas.shape[1] / 190)
    (width, height), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
    bottom = canvas.shape[0]
    cv2.rectangle(canvas, (0, bottom - height - 9), (width + 8, bottom), _PAPER, cv2.FILLED)
    _write(canvas, words, 4, bottom - 5, size, _INK)


def _hide(canvas: Pixels, box: Box) -> None:
    import cv2

    frame = box.square(1.3)
    top, bottom = (max(0, y) for y in (frame.y, frame.y + frame.height))
    left, right = (max(0, x) for x in (frame.x, frame.x + frame.width))
    part = canvas[top:bottom, left:right]
    if part.size:
        small = cv2.resize(part, (8, 8), interpolation=cv2.INTER_AREA)
        size = (part.shape[1], part.shape[0])
        part[...] = cv2.resize(small, size, interpolation=cv2.INTER_LINEAR)


def save_picture(path: Path, picture: Pixels) -> None:
    """Write (H, W, 3) RGB as the format of the suffix, with mien's mark; InputError for an unknown
    one."""
    from PIL import Image

    if (kind := _FORMATS.get(path.suffix.lower())) is None:
        raise InputError(f"{path}: cannot write {path.suffix!r}; use .png, .jpg or .webp")
    image, notes, data = Image.fromarray(picture), Image.Exif(), io.BytesIO()
    notes[_SOFTWARE] = MARK
    try:
        image.save(data, kind, exif=notes, quality=95, compress_level=1)
    except (OSError, ValueError):
        size = f"{image.width}x{image.height}"
        raise InputError(f"{path}: {size} px do not fit; use .png") from None
    with replacing(path) as file:
        file.write(data.getbuffer())


def _draw_box(canvas: Pixels, box: Box, words: str, scale: float) -> None:
    import cv2

    x, y, right, bottom = (
        round(v * scale) for v in (box.x, box.y, box.x + box.width, box.y + box.height)
    )
    cv2.rectangle(canvas, (x, y), (right, bottom), _PAPER, 4, cv2.LINE_AA)
    cv2.rectangle(canvas, (x, y), (right, bottom), _TOP, 2, cv2.LINE_AA)
    (width, height), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, 0.55, 1)
    left = int(np.clip(x, 0, max(0, canvas.shape[1] - width - 10)))
    top = y - height - 12 if y > height + 12 else bottom
    cv2.rectangle(canvas, (left, top), (left + width + 10, top + height + 12), _TOP, cv2.FILLED)
    _write(canvas, words, left + 5, top + height + 5, 0.55, _PAPER)


def _panel(scores: Scores, number: int) -> Pixels:
    """Bars of one face: (height, _PANEL_PX, 3)."""
    import cv2

    values = scores.to_dict()
    panel = np.full((_LINE_PX * (len(values) + 2), _PANEL_PX, 3), 255, np.uint8)
    _write(panel, f"face {number}", 14, 20, 0.55, _INK)
    for line, (label, value) in enumerate(values.items(), 1):
        y = _LINE_PX * line + 8
        left, room = 92, _PANEL_PX - 92 - 50
        colour = _TOP if label == scores.label else _BAR
        cv2.rectangle(
            panel, (left, y + 3), (left + max(1, round(room * value)), y + 15), colour, cv2.FILLED
        )
        _write(panel, label, 14, y + 14, 0.45, _INK)
        _write(panel, f"{value:.0%}", _PANEL_PX - 44, y + 14, 0.45, _INK)
    return panel


def _write(
    canvas: Pixels, words: str, x: int, y: int, size: float, colour: tuple[int, ...]
) -> None:
    import cv2

    cv2.putText(canvas, words, (x, y), cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)


def _beside(canvas: Pixels, panels: list[Pixels]) -> Pixels:
    """The panels in columns right of the picture, as many to a column as its height holds."""
    height = panels[0].shape[0]
    rows = max(1, canvas.shape[0] // height)
    columns = -(-len(panels) // rows)
    whole = np.full(
        (max(canvas.shape[0], height), canvas.shape[1] + columns * _PANEL_PX, 3), 255, np.uint8
    )
    whole[: canvas.shape[0], : canvas.shape[1]] = canvas
    for place, panel in enumerate(panels):
        top, left = place % rows * height, canvas.shape[1] + place // rows * _PANEL_PX
        whole[top : top + height, left : left + _PANEL_PX] = panel
    return whole
