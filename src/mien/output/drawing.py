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
from mien.output.boxes import Mark, mark
from mien.output.panels import beside
from mien.output.veil import hide
from mien.style import palette, percent
from mien.types import Box, Reading, Scores

if TYPE_CHECKING:
    from rich.table import Table

Pixels = NDArray[np.uint8]

RAW = "not smoothed"
"""What is said where a frame shows the probabilities of that frame alone."""
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
    for heading in ("face", "box (x y w h)", "detector score", "expression"):
        table.add_column(heading, no_wrap=True)
    for label in labels:
        table.add_column(escape(label), justify="right")
    for number, reading in enumerate(readings, 1):
        if reading.face is None or reading.scores is None:
            continue
        box, score = reading.face.box, reading.face.score
        shown = percent(reading.scores.confidence)
        doubt = "" if reading.status == "ok" else f" [dim]({reading.status})[/dim]"
        table.add_row(
            str(number),
            f"{box.x} {box.y} {box.width} {box.height}",
            "-" if score is None else f"{score:.2f}",
            f"[bold]{escape(reading.scores.label)}[/bold] {shown}{doubt}",
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
    marks = [
        _mark(reading, reading.face.box.scaled(scale), reading.scores, str(number))
        for number, reading in enumerate((r for r in readings if r.face and r.scores), 1)
        if reading.face and reading.scores
    ]
    scores = [r.scores for r in readings if r.face and r.scores]
    mark(canvas, marks, RAW if any(r.time_s is not None for r in readings) and marks else "")
    return beside(canvas, marks, scores) if marks else canvas


def overlay(picture: Pixels, readings: Sequence[Reading], *, blur: bool = False) -> Pixels:
    """(H, W, 3) uint8 RGB: a frame with a box, the face's id and its smoothed expression, if it has
    one; the corner says whether it is smoothed.

    With `blur`, all faces are hidden before any is marked.
    """
    canvas = np.array(picture, np.uint8)
    faces = [(r, r.face, r.smoothed or r.scores) for r in readings if r.face and r.scores]
    if blur:
        hide(canvas, [r.face.box for r in readings if r.face])
    marks = [
        _mark(reading, face.box, scores, "" if reading.face_id is None else str(reading.face_id))
        for reading, face, scores in faces
        if scores is not None
    ]
    raw = RAW if any(reading.time_s is not None for reading, _, _ in faces) else ""
    mark(canvas, marks, SMOOTHED if any(r.smoothed for r, _, _ in faces) else raw)
    return canvas


def _mark(reading: Reading, box: Box, scores: Scores, number: str) -> Mark:
    sure = reading.status == "ok"
    doubt = "" if sure else f", {reading.status}"
    words = f"{scores.label} {percent(scores.confidence)}{doubt}"
    return Mark(box, number, words, palette(scores.labels)[scores.label], sure)


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
