"""Readings for people who look at them: drawn on their photo, and as HTML in a notebook."""

import base64
import html
import importlib
import sys
import tempfile
import webbrowser
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError, MienError
from mien.output.drawing import draw, save_picture
from mien.sources import load, read_picture
from mien.style import palette, percent
from mien.types import SHOWN, Box, Reading

Pixels = NDArray[np.uint8]

_THUMB_PX = 72
_STYLE = "display:inline-block;vertical-align:top;margin:4px;font:12px sans-serif;width:190px"
_BAR = "height:9px;outline:1px solid #888"


def drawn(readings: Sequence[Reading], picture: Any = None) -> Pixels:
    """(H, W, 3) uint8 RGB: `picture`, or the file of the readings, with boxes and bars."""
    if picture is not None:
        return draw(load(picture), readings)
    paths = {reading.path for reading in readings}
    path = paths.pop() if len(paths) == 1 else None
    if path is None or any(reading.time_s is not None for reading in readings):
        raise InputError(
            "expected readings of one photo that lies in a file; for a frame of a film, pixels, or "
            "one photo of several, give the picture: readings.draw(picture)"
        )
    return draw(load(path), readings)


def show(picture: Pixels) -> None:
    """Show (H, W, 3) RGB in the notebook that runs, else in the machine's viewer of pictures."""
    if _in_notebook():
        notebook = importlib.import_module("IPython.display")
        notebook.display(notebook.Image(data=_encoded(picture, ".png")))
        return
    with tempfile.NamedTemporaryFile(prefix="mien-", suffix=".png", delete=False) as file:
        path = Path(file.name)
    save_picture(path, picture)
    if not webbrowser.open(path.as_uri()):
        raise InputError(f"expected a viewer of pictures on this machine; the drawing is {path}")


def _in_notebook() -> bool:
    """Whether a notebook's kernel runs this; a notebook has imported IPython already."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and hasattr(shell, "kernel")


def to_html(readings: Sequence[Reading]) -> str:
    """A card for each of the first `SHOWN` readings.

    Faces are cut from the files that are there, and nothing is kept; films are not opened again.
    """
    cards = [
        _card(reading, face)
        for path, some in groupby(readings[:SHOWN], key=lambda reading: reading.path)
        for reading, face in _with_faces(path, list(some))
    ]
    rest = len(readings) - SHOWN
    more = f"<div>... {rest} more</div>" if rest > 0 else ""
    return f"<div>{''.join(cards) or 'no readings'}{more}</div>"


def _with_faces(
    path: str | None, readings: list[Reading]
) -> Iterator[tuple[Reading, Pixels | None]]:
    picture = None
    if path is not None and all(reading.time_s is None for reading in readings):
        try:
            picture = read_picture(path) if Path(path).is_file() else None
        except (MienError, OSError):  # it has changed since: bars alone
            picture = None
    for reading in readings:
        box = reading.face and reading.face.box
        yield reading, None if picture is None or not box else _cut(picture, box)


def _cut(picture: Pixels, box: Box) -> Pixels | None:
    import cv2

    part = picture[box.y : box.y + box.height, box.x : box.x + box.width]
    if part.size == 0:
        return None
    scale = _THUMB_PX / max(part.shape[:2])
    size = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
    return np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)


def _card(reading: Reading, face: Pixels | None) -> str:
    image = ""
    if face is not None:
        data = base64.b64encode(_encoded(face, ".jpg")).decode()
        image = f'<img alt="the face" src="data:image/jpeg;base64,{data}"><br>'
    words = html.escape(repr(reading).removeprefix("<Reading ").removesuffix(">"))
    return f'<div style="{_STYLE}">{image}{words}{_bars(reading)}</div>'


def _bars(reading: Reading) -> str:
    colours = palette(tuple(reading.expressions))
    rows = "".join(
        f"<tr><td>{html.escape(label)}</td><td>"
        f'<div style="{_BAR};background:{colours[label]};width:{round(80 * value)}px"></div>'
        f"</td><td>{percent(value)}</td></tr>"
        for label, value in reading.expressions.items()
    )
    return f"<table>{rows}</table>" if rows else ""


def _encoded(picture: Pixels, suffix: str) -> bytes:
    import cv2

    _, data = cv2.imencode(suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    return bytes(data.tobytes())
