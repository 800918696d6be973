"""Figures of training and evaluation: learning curves, confusion matrices, recalls, costs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.evaluate.calibration import Coverage, Reliability
from mien.evaluate.intervals import Estimate
from mien.evaluate.metrics import ClassMetrics
from mien.report.figures import (
    colour,
    heat,
    in_percent,
    look,
    name_below,
    new_figure,
    png,
    styled,
)
from mien.runs import History
from mien.style import SERIES


@styled
def learning_curves(history: History, title: str) -> bytes:
    """PNG of one run: loss and accuracy by epoch, training and validation (report Fig. 1-3)."""
    figure, panels = new_figure(9, 3.4, columns=2)
    for axes, kind in zip(panels.flat, ("loss", "accuracy"), strict=True):
        for stage, name, number in (("train", "training", 0), ("val", "validation", 1)):
            axes.plot(history.epochs, history[f"{stage}_{kind}"], color=colour(number), label=name)
        best = history.best
        axes.axvline(history.epochs[best], color="0.7", linewidth=1, linestyle=":", zorder=0)
        _dress(axes, "epoch", kind, history.epochs)
        axes.legend()
    figure.suptitle(title)
    return png(figure)


@styled
def all_curves(histories: dict[str, History]) -> bytes:
    """PNG of all runs together: validation loss and accuracy by epoch (the report's Fig. 5)."""
    figure, panels = new_figure(9, 3.6, columns=2)
    for axes, kind in zip(panels.flat, ("loss", "accuracy"), strict=True):
        for number, (name, history) in enumerate(histories.items()):
            axes.plot(
                history.epochs,
                history[f"val_{kind}"],
                **look(number),
                marker=".",
                label=name,
            )
        longest = max(histories.values(), key=lambda h: len(h.epochs))
        _dress(axes, "epoch", f"validation {kind}", longest.epochs)
    name_below(figure, panels.flat[0])
    return png(figure)


@styled
def confusion_matrix(
    confusion: NDArray[np.int64], labels: Sequence[str], title: str, *, normalised: bool = True
) -> bytes:
    """PNG of (C, C) counts, true labels in rows; shaded by row share (the report's Fig. 4).

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
    return png(figure)


@styled
def recalls(by_model: dict[str, Sequence[ClassMetrics]], labels: Sequence[str]) -> bytes:
    """PNG of bars: recall of each class with its interval, models side by side."""
    figure, panels = new_figure(9, 3.4)
    axes = panels.flat[0]
    width = 0.8 / len(by_model)
    places = np.arange(len(labels))
    for number, (name, classes) in enumerate(by_model.items()):
        shift = (number - (len(by_model) - 1) / 2) * width
        value, ends = in_percent([c.recall for c in classes])
        axes.bar(
            places + shift,
            value,
            width * 0.92,
            yerr=ends,
            error_kw={"elinewidth": 0.8, "ecolor": "0.35"},
            color=colour(number),
            hatch=("", "////", "....")[number // len(SERIES) % 3],
            edgecolor="white",
            linewidth=0,
            label=name,
        )
    axes.set_xticks(places, labels)
    axes.set_ylabel("recall, %")
    axes.set_ylim(0, 100)
    name_below(figure, axes)
    return png(figure)


@styled
def reliability_diagrams(before: dict[str, Reliability], after: dict[str, Reliability]) -> bytes:
    """PNG: accuracy by confidence of all models, at temperature 1 and as they are."""
    figure, panels = new_figure(8.4, 4, columns=2)
    titles = ("at temperature 1", "with each model's temperature")
    for axes, title, by_model in zip(panels.flat, titles, (before, after), strict=True):
        axes.plot([0, 1], [0, 1], color="0.7", linewidth=1, linestyle=":", zorder=0)
        for number, (name, found) in enumerate(by_model.items()):
            full = found.images > 0
            axes.plot(
                found.confidence[full],
                found.accuracy[full],
                **look(number),
                marker=".",
                label=name,
            )
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="accuracy", title=title)
    name_below(figure, panels.flat[0])
    return png(figure)


@styled
def coverage_curves(
    by_model: dict[str, Coverage], thresholds: Mapping[str, float] | None = None
) -> bytes:
    """PNG: accuracy of the surest images by their share, all models; dots are the `thresholds` of
    `unsure`."""
    figure, panels = new_figure(6.4, 3.8)
    axes = panels.flat[0]
    for number, (name, found) in enumerate(by_model.items()):
        axes.plot(100 * found.coverage, 100 * found.accuracy, **look(number), label=name)
        kept = np.flatnonzero(found.threshold >= (thresholds or {}).get(name, np.inf))
        if kept.size:
            place = (100 * found.coverage[kept[-1]], 100 * found.accuracy[kept[-1]])
            axes.scatter(*place, 40, color=colour(number + 1), zorder=3)
            axes.annotate(f"{place[1]:.1f} %", place, (6, 6), textcoords="offset points")
    axes.set(xlabel="images kept, the surest first, %", ylabel="accuracy, %")
    axes.set_ylim(top=101)
    name_below(figure, axes)
    return png(figure)


@styled
def accuracy_by_cost(by_model: dict[str, tuple[int, Estimate]]) -> bytes:
    """PNG: accuracy with its interval over multiply-accumulates per face, all models."""
    from matplotlib.ticker import LogLocator, NullLocator

    figure, panels = new_figure(6.8, 3.8)
    axes = panels.flat[0]
    for number, (name, (macs, accuracy)) in enumerate(by_model.items()):
        value, ends = in_percent([accuracy])
        axes.errorbar(
            [macs / 1e6],
            value,
            ends,
            fmt="os^"[number // len(SERIES) % 3],
            color=colour(number),
            elinewidth=1,
            label=name,
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set(xlabel="computation of a face, million multiply-accumulates", ylabel="accuracy, %")
    name_below(figure, axes)
    return png(figure)


def _dress(axes: Any, x: str, y: str, epochs: Sequence[int]) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlim(min(epochs) - 0.5, max(epochs) + 0.5)
