"""A timeline as a picture: a lane of stacked areas for each face."""

from itertools import pairwise
from pathlib import Path
from typing import Any

from mien.extras import need
from mien.faces.tracking import SMOOTHED
from mien.files import replacing
from mien.marks import MARK
from mien.output.timeline import Lane, Moment, Timeline, stretches
from mien.style import INK, PAPER, SOFT, figure_type, ink_on, palette

_AWAY: dict[str, Any] = {"facecolor": PAPER, "edgecolor": SOFT, "hatch": "////"}
"""No expression is hatched."""
_LEGEND: dict[str, Any] = {
    **{"fontsize": 9, "columnspacing": 1.2, "handlelength": 1.4, "handletextpad": 0.5},
    **{"ncols": 11, "frameon": False},
}
_WORD = 0.06
"""The part of the film that an expression must last for its name to be written into it."""


def save(timeline: Timeline, path: Path) -> None:
    """Draw as the format of the suffix, PNG by default; needs mien[report]."""
    matplotlib = need("matplotlib", extra="report")
    with matplotlib.rc_context({**figure_type(), "hatch.linewidth": 0.6}):
        _save(timeline, path)


def _save(timeline: Timeline, path: Path) -> None:
    from matplotlib.figure import Figure

    lanes = timeline.lanes()
    figure = Figure(figsize=(11, 1.6 + 1.15 * max(1, len(lanes))), layout="constrained")
    bands = figure.subplots(max(1, len(lanes)), 1, sharex=True, squeeze=False)[:, 0]
    for band, lane in zip(bands, lanes, strict=False):
        _draw(band, timeline, lane)
    for band in bands:
        _dress(band, timeline)
    if not lanes:
        bands[0].text(0.5, 0.5, "no face", ha="center", transform=bands[0].transAxes)
    _legend(figure, timeline)
    bands[0].set_title(timeline.heading(), loc="left", color=INK)
    bands[-1].set_xlabel(f"time, {timeline.unit}; probabilities {SMOOTHED}", color=INK)
    kind = path.suffix[1:].lower() or "png"
    told = {"Software" if kind == "png" else "Creator": MARK}
    with replacing(path) as file:
        figure.savefig(file, format=kind, dpi=120, metadata=told)


def _draw(band: Any, timeline: Timeline, lane: Lane) -> None:
    colours = [*palette(timeline.labels).values()]
    width = timeline.span_s[1] - timeline.span_s[0]
    for run in lane.runs(timeline.step_s):
        times = [moment.time_s for moment in run]
        columns = [*zip(*(moment.values for moment in run), strict=True)]
        band.stackplot(times, columns, colors=colours, edgecolor=PAPER, linewidth=0.2)
        doubtful = [not moment.sure for moment in run]
        until = [one or other for one, other in pairwise([False, *doubtful])]
        band.fill_between(times, -0.09, -0.03, where=until, color=INK, linewidth=0)
        for begin, end, place in stretches(run):
            if end - begin > _WORD * width:
                _name(band, run, (begin + end) / 2, place, timeline.labels)
    band.set_ylabel(f"face {lane.face_id}", color=INK)


def _name(band: Any, run: list[Moment], time_s: float, place: int, labels: tuple[str, ...]) -> None:
    """The expression's name in its area: by it, and not by the colour alone, it is known."""
    values = min(run, key=lambda moment: abs(moment.time_s - time_s)).values
    ink = ink_on(palette(labels)[labels[place]])
    middle = sum(values[:place]) + values[place] / 2
    band.text(time_s, middle, labels[place], color=ink, ha="center", va="center", fontsize=9)


def _dress(band: Any, timeline: Timeline) -> None:
    """The axes, and where the film is cut."""
    first, last = timeline.span_s
    for time_s in timeline.cuts_s:
        band.axvline(time_s, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    band.set_xlim(first, last if last > first else first + 1)
    band.set_ylim(-0.09, 1)
    band.axhspan(0, 1, **_AWAY, linewidth=0, zorder=0)
    band.set_xticks(*zip(*timeline.ticks(), strict=True))
    band.set_yticks((0, 0.5, 1), ("0", "", "1"))
    band.tick_params(colors=SOFT)
    band.spines[:].set_visible(False)


def _legend(figure: Any, timeline: Timeline) -> None:
    """Of the expressions, and of the signs that are there."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    colours = palette(timeline.labels)
    entries: list[Any] = [
        Patch(facecolor=colours[label], edgecolor=SOFT, linewidth=0.5, label=label)
        for label in colours
    ]
    moments = [moment for lane in timeline.lanes() for moment in lane.moments]
    if any(not moment.sure for moment in moments):
        entries.append(Line2D([], [], color=INK, linewidth=4, label="in doubt"))
    if timeline.cuts_s:
        entries.append(Line2D([], [], color=INK, linewidth=1, linestyle=(0, (4, 3)), label="cut"))
    if moments:
        entries.append(Patch(**_AWAY, linewidth=0.5, label="away"))
        figure.legend(handles=entries, loc="outside lower center", **_LEGEND)
