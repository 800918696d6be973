"""Figures: one look for all, and the drawings of a data set's page.

matplotlib's objects are used directly, never pyplot: no global state, no display.
"""

import functools
import hashlib
import io
import re
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from mien.evaluate.intervals import Estimate
from mien.extras import need
from mien.style import INK, RULE, SERIES, SOFT, figure_type, in_page

_Arguments = ParamSpec("_Arguments")
_Drawn = TypeVar("_Drawn")

_STYLE = {
    "font.size": 10,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "svg.fonttype": "none",
    "svg.hashsalt": "mien",
}
WIDE, _PHONE = 10.0, 4.6
"""Inches of a page's figures on a desk and on a phone."""
_NARROW: ContextVar[bool] = ContextVar("narrow", default=False)


def colour(number: int) -> str:
    """The colour of the class or series `number`; they come round again after eight."""
    return SERIES[number % len(SERIES)]


def look(number: int) -> dict[str, str]:
    """Colour and dashes of the line `number`: of twenty-four no two are alike."""
    dashes = ("-", "--", ":")[number // len(SERIES) % 3]
    return {"color": colour(number), "linestyle": dashes}


def is_narrow() -> bool:
    """Whether a figure is drawn for a phone."""
    return _NARROW.get()


def styled(draw: Callable[_Arguments, _Drawn]) -> Callable[_Arguments, _Drawn]:
    """`draw`, run in mien's style; decorate every function that draws a figure with it.

    matplotlib reads its settings when a title or a legend is made, not when it is printed.
    MissingExtra without matplotlib, when the function is called.
    """

    @functools.wraps(draw)
    def in_style(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Drawn:
        matplotlib = need("matplotlib", extra="report")
        with matplotlib.rc_context(_STYLE | figure_type()):
            return draw(*args, **kwargs)

    return in_style


@styled
def new_figure(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Any, Any]:
    """A matplotlib Figure of `width` x `height` inches and its (rows, columns) array of Axes.

    For a phone it is narrower, and panels stand one below the other.
    """
    figures = need("matplotlib.figure", extra="report")
    if _NARROW.get():
        rows, columns, height = rows * columns, 1, height * columns
        width = min(width, _PHONE)
    figure = figures.Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


@styled
def name_below(figure: Any, axes: Any) -> None:
    """The legend of `axes` under the whole `figure`, which grows by as much."""
    handles, names = axes.get_legend_handles_labels()
    inches = 0.6 + 0.08 * max(map(len, names))
    columns = min(len(names), max(1, int(figure.get_figwidth() / inches)))
    figure.legend(handles, names, loc="outside lower center", ncols=columns)
    figure.set_figheight(figure.get_figheight() + 0.24 * -(-len(names) // columns))


@styled
def png(figure: Any) -> bytes:
    """The figure as PNG, 160 dpi, cut to its content; the same figure gives the same bytes."""
    need("matplotlib.backends.backend_agg", extra="report").FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160, bbox_inches="tight", metadata={"Software": None})
    return buffer.getvalue()


@styled
def drawing(draw: Callable[[], Any]) -> dict[str, str]:
    """`wide` and `narrow`: the figure that `draw` makes as SVG for a desk and for a phone, in the
    colours of the page."""
    found = {"wide": _svg(draw())}
    token = _NARROW.set(True)
    try:
        found["narrow"] = _svg(draw())
    finally:
        _NARROW.reset(token)
    return found


def _svg(figure: Any) -> str:
    need("matplotlib.backends.backend_svg", extra="report").FigureCanvasSVG(figure)
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", bbox_inches="tight", transparent=True, metadata=nothing)
    text = buffer.getvalue()
    text = re.sub(r"<(metadata|style).*?</\1>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r"'?Aileron'?[^;\"]*", "var(--type)", text)
    text = re.sub(r'="[^"]*"', lambda given: re.sub(r"(\.\d\d)\d+", r"\1", given[0]), text)
    text = re.sub(r' (?:xmlns(?::xlink)?|version)="[^"]*"', "", text).replace("xlink:href", "href")
    text = re.sub(r' id="(?![mpC][0-9a-f]{10}")[^"]*"', "", text)
    own = hashlib.sha256(text.encode()).hexdigest()[:8]  # no two drawings of a page share a name
    text = re.sub(r'(id="|href="#|url\(#)([mpC][0-9a-f]{10})', rf"\g<1>n{own}\2", text)
    return in_page(re.sub(r">\s+<", "><", text))


def in_percent(
    estimates: Sequence[Estimate],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(N,) values and (2, N) lengths down and up to the ends of their intervals, in per cent."""
    ends = np.array([[e.value, e.low, e.high] for e in estimates]).reshape(-1, 3)
    value, low, high = 100 * np.nan_to_num(ends).T
    return value, np.maximum([value - low, high - value], 0)


def heat(axes: Any, shares: NDArray[np.float64], cells: Sequence[Sequence[str]]) -> None:
    """A matrix of `shares`, 0-1, in blue, with the text of each cell."""
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), share in np.ndenumerate(shares):
        tone = "white" if share > 0.6 else "0.2"
        axes.text(column, row, cells[row][column], ha="center", va="center", color=tone)
    axes.grid(visible=False)


@styled
def bars(
    labels: Sequence[str], series: Mapping[str, Sequence[float]], axis: str, form: str = "{:,.0f}"
) -> Any:
    """A figure of horizontal bars: for each label one bar per series, its number beside it."""
    figure, axes = new_figure(6.8, 0.9 + len(labels) * (0.22 + 0.22 * len(series)))
    ax = axes[0, 0]
    thick = 0.82 / len(series)
    for number, (name, values) in enumerate(series.items()):
        places = np.arange(len(labels)) + (number - (len(series) - 1) / 2) * thick
        drawn = ax.barh(places, values, thick * 0.92, color=colour(number), label=name)
        ax.bar_label(drawn, [form.format(v) for v in values], padding=3, fontsize=9)
    ax.set_yticks(range(len(labels)), labels)
    ax.invert_yaxis()
    ax.margins(x=0.12)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel(axis)
    if len(series) > 1:
        name_below(figure, ax)
    return figure


@styled
def lines(x: NDArray[Any], series: Mapping[str, NDArray[Any]], axes_names: tuple[str, str]) -> Any:
    """A figure with one line per series over `x`; `axes_names` are those of x and y."""
    figure, axes = new_figure(WIDE, 4.2)
    ax = axes[0, 0]
    for number, (name, values) in enumerate(series.items()):
        ax.plot(x, values, **look(number), linewidth=1.4, label=name)
    ax.set_xlabel(axes_names[0])
    ax.set_ylabel(axes_names[1])
    ax.set_xlim(x.min(), x.max())
    ax.set_ylim(bottom=0)
    ax.legend(ncols=1 + len(series) // 6)
    return figure


@styled
def picture_rows(rows: Mapping[str, NDArray[np.uint8]]) -> Any:
    """A figure with a named row of pictures, (N, H, W) uint8 grey, per entry."""
    figure, axes = new_figure(6.8, 0.2 + 0.66 * len(rows), rows=len(rows))
    for ax, (name, pictures) in zip(axes[:, 0], rows.items(), strict=True):
        spaced = np.pad(pictures, ((0, 0), (0, 0), (0, 3)), constant_values=255)
        ax.imshow(np.hstack(list(spaced)), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        _only_picture(ax)
        ax.set_ylabel(name, rotation=0, ha="right", va="center")
    return figure


@styled
def picture_sheets(sheets: Mapping[str, NDArray[np.uint8]], columns: int) -> Any:
    """A figure with a named contact sheet of (N, H, W) uint8 grey pictures per entry."""
    tiles = {name: _tiled(pictures, columns) for name, pictures in sheets.items()}
    inches = [0.4 + 6.8 * tile.shape[0] / tile.shape[1] for tile in tiles.values()]
    figures = need("matplotlib.figure", extra="report")
    figure = figures.Figure(figsize=(6.8, sum(inches)), layout="constrained")
    panels = figure.subplots(len(tiles), 1, squeeze=False, height_ratios=inches)
    for ax, (name, tile) in zip(panels[:, 0], tiles.items(), strict=True):
        ax.imshow(tile, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        _only_picture(ax)
        ax.set_title(name)
    return figure


def _tiled(pictures: NDArray[np.uint8], columns: int) -> NDArray[np.uint8]:
    """One picture of all, row by row, white between them and where there are none."""
    spaced = np.pad(pictures, ((0, -len(pictures) % columns), (0, 3), (0, 3)), constant_values=255)
    spaced[len(pictures) :] = 255
    rows = [np.hstack(list(row)) for row in spaced.reshape(-1, columns, *spaced.shape[1:])]
    return np.vstack(rows) if rows else np.full((3, 3 * columns), 255, np.uint8)


@styled
def picture_grid(pictures: Mapping[str, NDArray[Any]], columns: int = 4) -> Any:
    """A figure of named (H, W) grey pictures, all on one scale from their darkest to brightest."""
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    figure, axes = new_figure(1.7 * columns, 1.95 * rows, rows, columns)
    darkest = min(picture.min() for picture in pictures.values())
    brightest = max(picture.max() for picture in pictures.values())
    for ax in axes.flat[len(pictures) :]:
        ax.remove()
    for ax, (name, picture) in zip(axes.flat, pictures.items(), strict=False):
        ax.imshow(picture, cmap="gray", vmin=darkest, vmax=brightest, interpolation="bilinear")
        _only_picture(ax)
        ax.set_title(name, loc="center", fontweight="normal")
    return figure


def _only_picture(ax: Any) -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set_visible(False)
