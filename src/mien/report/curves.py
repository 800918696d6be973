"""Figures of training and evaluation: learning curves, confusion matrices, costs."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.evaluate.calibration import Coverage, Reliability
from mien.evaluate.intervals import Estimate
from mien.report.figures import (
    WIDE,
    colour,
    heat,
    in_percent,
    look,
    new_figure,
    styled,
)
from mien.report.names import Bar, Named, name_ends, name_points
from mien.runs import History
from mien.style import SERIES, SOFT

_FEW, _SURE = 0.002, 0.02
"""Shares of the images, by confidence and the surest, of which accuracy is drawn: of few it
leaps."""


@styled
def learning_curves(history: History, title: str) -> Any:
    """One run: loss and accuracy by epoch, training and validation (report Fig. 1-3)."""
    figure, panels = new_figure(WIDE, 3.4, columns=2)
    for axes, kind in zip(panels.flat, ("loss", "accuracy"), strict=True):
        for stage, name, number in (("train", "training", 0), ("val", "validation", 1)):
            axes.plot(history.epochs, history[f"{stage}_{kind}"], color=colour(number), label=name)
        best = history.best
        axes.axvline(history.epochs[best], color="0.7", linewidth=1, linestyle=":", zorder=0)
        _dress(axes, "epoch", kind, history.epochs)
        axes.legend()
    figure.suptitle(title)
    return figure


@styled
def all_curves(histories: dict[str, History]) -> Any:
    """All runs together: validation loss and accuracy by epoch (the report's Fig. 5)."""
    figure, panels = new_figure(WIDE, 3.8, columns=2)
    for axes, kind in zip(panels.flat, ("loss", "accuracy"), strict=True):
        for number, (name, history) in enumerate(histories.items()):
            axes.plot(history.epochs, history[f"val_{kind}"], **look(number), label=name)
        longest = max(histories.values(), key=lambda h: len(h.epochs))
        _dress(axes, "epoch", f"validation {kind}", longest.epochs)
    ends = [(h.epochs[-1], h["val_accuracy"][-1]) for h in histories.values()]
    name_ends(panels.flat[-1], _named(histories, ends))
    return figure


@styled
def confusion_matrix(
    confusion: NDArray[np.int64], labels: Sequence[str], title: str, *, normalised: bool = True
) -> Any:
    """(C, C) counts, true labels in rows; shaded by row share (the report's Fig. 4).

    `normalised` writes each row's shares in per cent, otherwise counts.
    """
    shares = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    side = 1.2 + 0.62 * len(labels)
    figure, panels = new_figure(side + 0.4, side)
    axes = panels.flat[0]
    cells = [[f"{100 * share:.0f}" for share in row] for row in shares]
    heat(axes, shares, cells if normalised else [[f"{n:,}" for n in row] for row in confusion])
    axes.set_xticks(range(len(labels)), labels, rotation=40, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set(xlabel="predicted", ylabel="true")
    unit = "% of each true class" if normalised else "images"
    axes.set_title(f"{title}\n{unit}")
    return figure


@styled
def reliability_diagrams(before: dict[str, Reliability], after: dict[str, Reliability]) -> Any:
    """Accuracy by confidence of all models, at temperature 1 and as they are."""
    figure, panels = new_figure(WIDE, 4.2, columns=2)
    whose = "its" if len(after) == 1 else "each model's"
    titles = ("at temperature 1", f"with {whose} temperature")
    for axes, title, by_model in zip(panels.flat, titles, (before, after), strict=True):
        axes.plot([0, 1], [0, 1], color="0.7", linewidth=1, linestyle=":", zorder=0)
        for number, (name, found) in enumerate(by_model.items()):
            full = found.images > _FEW * found.images.sum()
            axes.plot(
                found.confidence[full],
                found.accuracy[full],
                **look(number),
                marker=".",
                label=name,
            )
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="accuracy", title=title)
    if len(after) > 1:
        full = [np.flatnonzero(found.images)[-1] for found in after.values()]
        last = zip(after.values(), full, strict=True)
        ends = [(float(f.confidence[n]), float(f.accuracy[n])) for f, n in last]
        name_ends(panels.flat[-1], _named(after, ends))
    return figure


@styled
def coverage_curves(
    by_model: dict[str, Coverage], thresholds: Mapping[str, float] | None = None
) -> Any:
    """Accuracy of the surest images by their share, all models; dots are the `thresholds` of
    `unsure`."""
    figure, panels = new_figure(WIDE, 4.4)
    axes = panels.flat[0]
    for number, (name, found) in enumerate(by_model.items()):
        some = found.coverage >= _SURE
        axes.plot(
            100 * found.coverage[some], 100 * found.accuracy[some], **look(number), label=name
        )
        kept = np.flatnonzero(found.threshold >= (thresholds or {}).get(name, np.inf))
        if kept.size:
            place = (100 * found.coverage[kept[-1]], 100 * found.accuracy[kept[-1]])
            axes.scatter(*place, 40, color=colour(number + 1), zorder=3)
            axes.annotate(f"{place[1]:.1f} %", place, (6, 6), textcoords="offset points")
    axes.set(xlabel="images kept, the surest first, %", ylabel="accuracy, %")
    axes.set_ylim(top=101)
    if len(by_model) > 1:
        ends = [(100 * f.coverage[-1], 100 * f.accuracy[-1]) for f in by_model.values()]
        name_ends(axes, _named(by_model, ends))
    return figure


@styled
def accuracy_by_cost(by_model: Mapping[str, tuple[int, Estimate]], named: int) -> Any:
    """Accuracy over multiply-accumulates per face; the first so many are `named` and have their
    intervals, the others are grey. Signs change where colours come round again."""
    from matplotlib.ticker import LogLocator, NullLocator

    figure, panels = new_figure(WIDE, 4.6)
    axes = panels.flat[0]
    entries: list[Named] = []
    bars: list[Bar] = []
    for number, (name, (macs, accuracy)) in enumerate(by_model.items()):
        (value,), ((down,), (up,)) = in_percent([accuracy])
        x = macs / 1e6
        if number >= named:
            axes.plot(x, value, "o", color=SOFT, markersize=3, alpha=0.6)
            bars.append((x, value, value))
            continue
        tone, sign = colour(number), "osD"[number // len(SERIES) % 3]
        axes.errorbar(x, value, [[down], [up]], fmt=sign, color=tone, elinewidth=1, label=name)
        entries.append((name, x, float(value), tone))
        bars.append((x, value - down, value + up))
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set(xlabel="computation of a face, million multiply-accumulates", ylabel="accuracy, %")
    name_points(axes, entries, bars)
    return figure


def _named(names: Iterable[str], ends: Iterable[tuple[float, float]]) -> list[Named]:
    """What `name_ends` takes, in the colours of `look`."""
    both = zip(names, ends, strict=True)
    return [(name, x, y, colour(number)) for number, (name, (x, y)) in enumerate(both)]


def _dress(axes: Any, x: str, y: str, epochs: Sequence[int]) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlim(min(epochs) - 0.5, max(epochs) + 0.5)
