"""A live table of a camera's readings in the terminal."""

import contextlib
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mien.files import check_outputs
from mien.memory import ClipReadings
from mien.output import Tables
from mien.recognizer import Recognizer
from mien.sources.live import Live
from mien.style import percent
from mien.types import Readings, Scores

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_BAR_CELLS = 12


@dataclass(slots=True)
class Watched:
    """Frames read and dropped, and how many were read in a second."""

    frames: int = 0
    dropped: int = 0
    rate: float = 0.0
    errors: list[str] = field(default_factory=list)
    """Why frames could not be read."""
    warnings: list[str] = field(default_factory=list)
    """What a film lacks."""
    clips: ClipReadings = field(default_factory=ClipReadings)
    """What a network for clips reads of each face."""


def watch(
    recognizer: Recognizer,
    source: Live,
    csv: Path | None,
    seconds: float | None,
    console: "Console",
) -> Watched:
    """Show the newest frame's readings until the source ends, `seconds` are over, or Ctrl-C.

    Rows are added to a `csv` that is there. Raises InputError if that is the source or of another
    model or detector, and PictureError if the source stops.
    """
    from rich.live import Live as LiveTable

    check_outputs([("--csv", csv)], source.files)
    watched = Watched()
    with contextlib.ExitStack() as stack:
        paths = [csv] if csv else []
        tables = Tables(paths, recognizer.labels, recognizer.origin(), resume=True)
        stack.enter_context(tables).begin()
        screen = stack.enter_context(LiveTable(console=console, auto_refresh=False, transient=True))
        stack.enter_context(contextlib.suppress(KeyboardInterrupt))
        started = time.monotonic()
        for result in recognizer.stream(source):
            tables.write(result.readings)
            for reading in result.readings if recognizer.card.state else ():
                watched.clips.add(reading)
            watched.errors += [r.error for r in result.readings if r.error]
            watched.frames += not watched.errors
            watched.dropped = source.dropped
            watched.rate = watched.frames / max(1e-3, time.monotonic() - started)
            screen.update(_table(result.readings, recognizer.labels, watched), refresh=True)
            if seconds is not None and time.monotonic() - started >= seconds:
                break
    watched.warnings += source.warnings
    return watched


def _table(readings: Readings, labels: tuple[str, ...], watched: Watched) -> "Table":
    from rich.markup import escape
    from rich.table import Table

    title = f"{watched.rate:.1f} frames/s, {watched.dropped} dropped; Ctrl-C ends"
    table = Table(box=None, pad_edge=False, header_style="bold", title=title, title_justify="left")
    table.add_column("expression")
    faces = [(r, r.smoothed or r.scores) for r in readings if r.scores]
    for reading, _ in faces:
        table.add_column(f"face {reading.face_id}", no_wrap=True)
    if not faces:
        table.add_column("no face")
    for label in labels:
        table.add_row(escape(label), *(_bar(scores, label) for _, scores in faces))
    return table


def _bar(scores: Scores | None, label: str) -> str:
    value = scores.to_dict()[label] if scores else 0.0
    cells = "█" * round(value * _BAR_CELLS)
    style = "bold cyan" if scores and scores.label == label else "dim"
    return f"[{style}]{cells:<{_BAR_CELLS}}[/{style}] {percent(value):>5}"
