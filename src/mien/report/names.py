"""Names of lines and points in figures: where they belong, and never one over another."""

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

from mien.extras import need
from mien.report.figures import is_narrow, styled
from mien.style import INK

Named: TypeAlias = tuple[str, float, float, str]
"""A name, where it belongs (x, y), and a colour."""
Bar: TypeAlias = tuple[float, float, float]
"""An interval at x, from one y to another."""
_LINE_PT = 12.5
"""From one name to the next."""
_REACH_PT = (9, 14, 20, 28, 38, 50, 64, 80, 100)
_ANGLES = tuple(math.radians(a) for a in (0, 180, 30, -30, 150, -150, 60, -60, 120, -120, 90, -90))
"""Where the name of a point is tried, the nearest first."""


@styled
def name_ends(axes: Any, entries: Sequence[Named]) -> None:
    """Names beside the right ends of lines, moved apart, each with a leader to its end. On a phone,
    where they have no room, numbers, and the names below."""
    figure = axes.figure
    if is_narrow():
        _number_below(figure, entries)
    figure.draw_without_rendering()
    scale = 72 / figure.dpi
    bottom, height = axes.bbox.y0, axes.bbox.height * scale
    wanted = [(axes.transData.transform((x, y))[1] - bottom) * scale for _, x, y, _ in entries]
    places = apart(wanted, _LINE_PT, height)
    for number, ((name, x, y, tone), place) in enumerate(zip(entries, places, strict=True), 1):
        axes.annotate(
            str(number) if is_narrow() else name,
            (x, y),
            (1.025, place / height),
            textcoords="axes fraction",
            va="center",
            fontsize=9,
            color=INK,
            arrowprops=_leader(tone, 0),
            annotation_clip=False,
        )


@styled
def name_points(axes: Any, entries: Sequence[Named], bars: Sequence[Bar]) -> None:
    """The same for points all over: names stand close by, where they cover neither `bars` nor one
    another; of a point alone, the bar has no length."""
    figure, narrow = axes.figure, is_narrow()
    if narrow:
        _number_below(figure, entries)
    figure.draw_without_rendering()
    scale = 72 / figure.dpi
    points = [axes.transData.transform((x, y)) * scale for _, x, y, _ in entries]
    left, right = axes.bbox.x0 * scale, axes.bbox.x1 * scale
    taken = [_around(axes, bar, scale) for bar in bars]
    named: list[tuple[float, ...]] = []
    leaders: list[tuple[float, ...]] = []
    for number, ((name, x, y, tone), (at_x, at_y)) in enumerate(
        zip(entries, points, strict=True), 1
    ):
        text = str(number) if narrow else name
        width = 5.2 * len(text) + 2
        offsets = [(r * math.cos(a), 0.7 * r * math.sin(a)) for r in _REACH_PT for a in _ANGLES]
        boxes = [
            (x0 := at_x + dx + (0 if dx >= 0 else -width), y0 := at_y + dy - 6, x0 + width, y0 + 12)
            for dx, dy in offsets
        ]
        lines = [(at_x, at_y, *offset) for offset in offsets]
        place = min(  # the first without a fault, else that with the least
            range(len(boxes)),
            key=lambda n: (
                boxes[n][0] < left or right < boxes[n][2],
                any(_meet(boxes[n], one) for one in named),
                any(_meet(boxes[n], one) for one in taken),
                any(_crosses(line, boxes[n]) for line in leaders)
                or any(_crosses(lines[n], one) for one in named),
            ),
        )
        named.append(boxes[place])
        leaders.append(lines[place])
        axes.annotate(
            text,
            (x, y),
            offsets[place],
            textcoords="offset points",
            va="center",
            ha="left" if offsets[place][0] >= 0 else "right",
            fontsize=9,
            color=INK,
            arrowprops=_leader(tone, int(offsets[place][0] < 0)),
        )


def _around(axes: Any, bar: Bar, scale: float) -> tuple[float, ...]:
    """What a bar and its point take of the figure."""
    x, low, high = bar
    ends = axes.transData.transform([(x, low), (x, high)]) * scale
    return ends[0, 0] - 5, ends[0, 1] - 5, ends[1, 0] + 5, ends[1, 1] + 5


def _leader(tone: str, side: int) -> dict[str, Any]:
    """The line from the left (0) or right (1) side of a name to what it names."""
    shrink = {"shrinkA": 1, "shrinkB": 0}
    return {"arrowstyle": "-", "color": tone, "linewidth": 0.8, "relpos": (side, 0.5), **shrink}


def _meet(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _crosses(line: tuple[float, ...], box: tuple[float, ...]) -> bool:
    """Whether a line from x, y over so far (dx, dy) goes through a box."""
    x, y, dx, dy = line
    steps = [(x + n / 20 * dx, y + n / 20 * dy) for n in range(20)]
    return any(box[0] < a < box[2] and box[1] < b < box[3] for a, b in steps)


def _number_below(figure: Any, entries: Sequence[Named]) -> None:
    handles = [_handle(c, f"{n} {name}") for n, (name, _, _, c) in enumerate(entries, 1)]
    figure.legend(handles=handles, loc="outside lower left", ncols=1, handlelength=0.8)
    figure.set_figheight(figure.get_figheight() + 0.2 * len(entries))


def _handle(tone: str, name: str) -> Any:
    lines = need("matplotlib.lines", extra="report")
    return lines.Line2D([], [], color=tone, linewidth=4, label=name)


def apart(wanted: Sequence[float], gap: float, height: float) -> list[float]:
    """Places, `gap` apart and near those that are `wanted`, from 0 to `height` if they fit."""
    order = sorted(range(len(wanted)), key=lambda n: wanted[n])
    groups: list[tuple[float, int]] = []
    """Middle and number of each run of touching places."""
    for n in order:
        middle, size = wanted[n], 1
        while groups and middle - groups[-1][0] < gap * (size + groups[-1][1]) / 2:
            before, many = groups.pop()
            middle = (before * many + middle * size) / (many + size)
            size += many
        groups.append((middle, size))
    found = [
        middle + gap * (place - (size - 1) / 2) for middle, size in groups for place in range(size)
    ]
    lowest = [max(value, gap * place) for place, value in enumerate(found)]
    most = len(found) - 1
    shown = [min(value, height - gap * (most - place)) for place, value in enumerate(lowest)]
    places = dict(zip(order, shown, strict=True))
    return [places[n] for n in range(len(wanted))]
