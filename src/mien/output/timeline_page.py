"""A timeline as one HTML file that answers the pointer; nothing is fetched from elsewhere."""

import html
import json
from importlib import resources
from pathlib import Path
from typing import Any

from mien.faces.tracking import SMOOTHED
from mien.files import write_text
from mien.marks import MARK
from mien.output.timeline import Lane, Timeline
from mien.style import page_look, palette

_MOST_MOMENTS = 700
"""Of each face: so that the file stays below 300 kB."""


def save(timeline: Timeline, path: Path) -> None:
    """Write the page."""
    write_text(path, page_of(timeline))


def page_of(timeline: Timeline) -> str:
    """The page of `timeline.html` with the timeline in it."""
    page = (resources.files("mien.output") / "timeline.html").read_text("utf-8")
    data = json.dumps(_told(timeline), separators=(",", ":")).replace("<", "\\u003c")
    for name, text in (
        ("MARK", MARK),
        ("TITLE", html.escape(timeline.heading())),
        ("NOTE", f"Time in {timeline.unit}; probabilities {SMOOTHED}."),
        ("LOOK", page_look()),
        ("DATA", data),
    ):
        page = page.replace(f"{{{{{name}}}}}", text)
    return page


def _told(timeline: Timeline) -> dict[str, Any]:
    first, last = timeline.span_s
    return {
        "colours": palette(timeline.labels),
        "span": (first, last if last > first else first + 1),
        "count": timeline.count(),
        "unit": timeline.unit,
        "ticks": timeline.ticks(),
        "cuts": [round(time_s, 3) for time_s in timeline.cuts_s],
        "lanes": [_lane(lane, timeline.step_s) for lane in timeline.lanes()],
    }


def _lane(lane: Lane, step_s: float) -> dict[str, Any]:
    """Times, probabilities in per cent, and which are doubtful, for each run."""
    runs = [
        {
            "times": [round(moment.time_s, 2) for moment in run],
            "shares": [[round(100 * value) for value in moment.values] for moment in run],
            "check": [int(not moment.sure) for moment in run],
        }
        for run in lane.runs(step_s, _MOST_MOMENTS)
    ]
    return {"face": lane.face_id, "runs": runs}
