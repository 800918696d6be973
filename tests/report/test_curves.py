"""What figures show: read from the drawing before it is painted."""

from typing import Any

import numpy as np
import pytest

from mien.evaluate.calibration import BINS, Coverage, Reliability
from mien.evaluate.intervals import Estimate
from mien.report.curves import (
    accuracy_by_cost,
    all_curves,
    confusion_matrix,
    coverage_curves,
    learning_curves,
    reliability_diagrams,
)
from mien.report.figures import colour, look
from mien.runs import History
from mien.style import SERIES


def test_no_two_of_many_lines_look_alike():
    assert len({tuple(look(i).values()) for i in range(24)}) == 24
    assert look(24) == look(0) == {"color": SERIES[0], "linestyle": "-"}
    assert look(8)["linestyle"] == "--"
    assert colour(9) == SERIES[1]


HISTORY = History(
    {
        "epoch": [1, 2, 3],
        "train_loss": [2, 1, 0.5],
        "train_accuracy": [0.2, 0.4, 0.6],
        "val_loss": [2.1, 1.2, 1.1],
        "val_accuracy": [0.1, 0.5, 0.3],
    }
)


def points(axes: Any) -> dict[str, tuple[list[float], list[float]]]:
    """x and y of each named line."""
    return {
        line.get_label(): (list(line.get_xdata()), list(line.get_ydata()))
        for line in axes.lines
        if not line.get_label().startswith("_")
    }


def titles(axes: Any) -> tuple[str, str]:
    return axes.get_xlabel(), axes.get_ylabel()


def test_learning_curves_show_training_and_validation():
    figure = learning_curves(HISTORY, "net")
    loss, accuracy = figure.axes
    assert points(loss) == {
        "training": ([1, 2, 3], [2, 1, 0.5]),
        "validation": ([1, 2, 3], [2.1, 1.2, 1.1]),
    }
    assert points(accuracy)["validation"] == ([1, 2, 3], [0.1, 0.5, 0.3])
    assert (titles(loss), titles(accuracy)) == (("epoch", "loss"), ("epoch", "accuracy"))
    dotted = loss.lines[-1]
    assert list(dotted.get_xdata()) == [2, 2], "the epoch that was kept"
    assert loss.get_xlim() == (0.5, 3.5)
    assert figure.get_suptitle() == "net"
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["training", "validation"]


def test_all_runs_share_a_figure_of_their_validation():
    short = History({name: column[:2] for name, column in HISTORY.columns.items()})
    figure = all_curves({"a": short, "b": HISTORY})
    loss, accuracy = figure.axes
    assert points(loss) == {"a": ([1, 2], [2.1, 1.2]), "b": ([1, 2, 3], [2.1, 1.2, 1.1])}
    assert points(accuracy)["a"] == ([1, 2], [0.1, 0.5])
    assert titles(accuracy) == ("epoch", "validation accuracy")
    assert accuracy.get_xlim() == (0.5, 3.5), "as long as the longest"
    assert [text.get_text() for text in accuracy.texts] == ["a", "b"]


def bins(**of: tuple[float, float, int]) -> Reliability:
    """Confidence, accuracy and images of some bins."""
    confidence, accuracy = np.full(BINS, np.nan), np.full(BINS, np.nan)
    images = np.zeros(BINS, np.int64)
    for name, values in of.items():
        number = int(name[1:])
        confidence[number], accuracy[number], images[number] = values
    return Reliability(confidence, accuracy, images)


def test_reliability_of_all_models_before_and_after():
    before, after = bins(b3=(0.25, 0.5, 10)), bins(b12=(0.85, 0.75, 40))
    left, right = reliability_diagrams({"a": before}, {"a": after}).axes
    assert left.get_title("left") == "at temperature 1"
    assert right.get_title("left") == "with its temperature"
    assert points(left) == {"a": ([0.25], [0.5])}
    assert points(right) == {"a": ([0.85], [0.75])}
    assert titles(left) == ("confidence", "accuracy")
    assert (left.get_xlim(), left.get_ylim()) == ((0, 1), (0, 1))
    diagonal = left.lines[0]
    assert (list(diagonal.get_xdata()), list(diagonal.get_ydata())) == ([0, 1], [0, 1])


KEPT = Coverage(np.array([0.9, 0.6, 0.3]), np.array([0.2, 0.5, 1]), np.array([1, 0.75, 0.5]))


@pytest.mark.parametrize(
    ("threshold", "dot"),
    [(0.95, None), (0.9, [20, 100]), (0.6, [50, 75]), (0.61, [20, 100]), (0, [100, 50])],
)
def test_a_coverage_curve_marks_the_threshold(threshold: float, dot):
    axes = coverage_curves({"net": KEPT}, {"net": threshold}).axes[0]
    (line,) = axes.lines
    assert (list(line.get_xdata()), list(line.get_ydata())) == ([20, 50, 100], [100, 75, 50])
    assert [c.get_offsets().tolist() for c in axes.collections] == ([[dot]] if dot else [])
    assert [t.get_text() for t in axes.texts] == ([f"{dot[1]:.1f} %"] if dot else [])
    assert titles(axes) == ("images kept, the surest first, %", "accuracy, %")


def test_coverage_of_all_models():
    axes = coverage_curves({"a": KEPT}).axes[0]
    assert points(axes) == {"a": ([20, 50, 100], [100, 75, 50])}
    assert axes.get_ylim()[1] == 101


CONFUSION = np.array([[1200, 400], [0, 0]])


@pytest.mark.parametrize(
    ("normalised", "cells", "unit"),
    [
        (True, ["75", "25", "0", "0"], "% of each true class"),
        (False, ["1,200", "400", "0", "0"], "images"),
    ],
)
def test_a_confusion_matrix_has_its_shares_or_counts(normalised, cells, unit):
    figure = confusion_matrix(CONFUSION, ("a", "b"), "net", normalised=normalised)
    axes = figure.axes[0]
    assert [(t.get_position(), t.get_text()) for t in axes.texts] == list(
        zip([(0, 0), (1, 0), (0, 1), (1, 1)], cells, strict=True)
    )
    assert [t.get_color() for t in axes.texts] == ["white", "0.2", "0.2", "0.2"]
    assert axes.images[0].get_array().tolist() == [[0.75, 0.25], [0, 0]]
    assert axes.images[0].get_clim() == (0, 1)
    assert titles(axes) == ("predicted", "true")
    assert axes.get_title("left") == f"net\n{unit}"
    for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [tick.get_text() for tick in ticks] == ["a", "b"]


def test_accuracy_by_cost_names_the_best():
    models = {
        "a": (80_000_000, Estimate(0.7, 0.6, 0.75)),
        "b": (1_500_000, Estimate(0.5, 0.4, 0.6)),
        "c": (3_000_000, Estimate(0.4, 0.3, 0.5)),
    }
    axes = accuracy_by_cost(models, 2).axes[0]
    one, other = axes.containers
    assert (list(one[0].get_xdata()), list(one[0].get_ydata())) == ([80], [pytest.approx(70)])
    assert list(other[0].get_xdata()) == [1.5]
    (segment,) = one[2][0].get_segments()
    assert segment[:, 1].tolist() == pytest.approx([60, 75])
    assert [text.get_text() for text in axes.texts] == ["a", "b"]
    assert list(axes.lines[-1].get_xdata()) == [3], "the third is a point without a name"
    assert axes.get_xscale() == "log"
    assert titles(axes) == ("computation of a face, million multiply-accumulates", "accuracy, %")


def test_what_few_images_tell_is_not_drawn():
    few = bins(b3=(0.25, 0.5, 1), b12=(0.85, 0.75, 999))
    assert points(reliability_diagrams({"a": few}, {"a": few}).axes[0]) == {"a": ([0.85], [0.75])}
    share = np.array([0.01, 0.02, 1])
    leaps = Coverage(np.array([0.9, 0.8, 0.3]), share, np.array([0, 0.9, 0.5]))
    assert points(coverage_curves({"a": leaps}).axes[0]) == {"a": ([2, 100], [90, 50])}
