"""The figures in these documents are those of the saved predictions, computed again."""

import csv
import functools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.evaluate import Evaluation
from mien.evaluate.evaluation import load
from mien.evaluate.intervals import Figure
from mien.evaluate.metrics import Metrics
from scripts import gpu_table

ROOT = Path(__file__).parents[1]

FIGURES: dict[str, Callable[[str], str]] = {
    "accuracy": lambda of: metrics(of).accuracy.percent(),
    "macro-recall": lambda of: metrics(of).macro_recall.percent(),
    "macro-F1": lambda of: metrics(of).macro_f1.percent(),
    "without copies": lambda of: evaluation(of).subsets()["deduplicated"].accuracy.percent(),
    "FER+ agrees": lambda of: evaluation(of).subsets()["ferplus_agreed"].accuracy.percent(),
    "agreement with FER+": lambda of: evaluation(of).subsets()["ferplus"].accuracy.percent(),
    "surest 80 %": lambda of: evaluation(of).sure().accuracy.percent(),
    "loss, 3": lambda of: metrics(of).loss.plain(3),
    "loss": lambda of: metrics(of).loss.plain(),
    "loss at temperature 1": lambda of: evaluation(of).uncalibrated().loss.plain(),
    "ECE": lambda of: metrics(of).calibration.ece.percent(),
    "ECE at temperature 1": lambda of: evaluation(of).uncalibrated().ece.percent(),
    "Brier": lambda of: metrics(of).calibration.brier.plain(),
    "temperature": lambda of: f"{evaluation(of).temperature:.2f}",
    "temperature, all digits": lambda of: f"{evaluation(of).temperature:g}",
    "parameters, M": lambda of: f"{evaluation(of).parameters / 1e6:.2f}",
    "MACs, M": lambda of: f"{evaluation(of).macs / 1e6:.0f}",
    "size, MB": lambda of: f"{evaluation(of).size_mb:.1f}",
    "ms/face": lambda of: f"{evaluation(of).latency_ms:.1f}",
}

ACCURACY = {
    "accuracy, %": "accuracy",
    "without copies of training images (n = 3,311), %": "without copies",
    "agreement with FER+'s majority (n = 3,372), %": "agreement with FER+",
    "accuracy of the surest 80 %, %": "surest 80 %",
    "macro-recall, %": "macro-recall",
    "loss": "loss, 3",
    "calibration error (ECE, 15 bins), %": "ECE",
}


@pytest.mark.parametrize(
    ("document", "head", "columns", "rows"),
    [
        ("docs/accuracy.md", "0.68 M parameters", "mien-s mien-s/-flip mien-s/-ten-crop", ACCURACY),
        ("docs/accuracy.md", "| seed 0, plain", "mien-s-wide mien-s-wide/-flip", ACCURACY),
        ("docs/accuracy.md", "2.72 M parameters", "mien-m mien-m/-flip", ACCURACY),
        ("docs/accuracy.md", "5.6 M parameters", "ensemble ensemble/-flip", ACCURACY),
        ("docs/accuracy.md", "11.5 M param", "ensemble-of-five ensemble-of-five/-flip", ACCURACY),
        ("docs/accuracy.md", "mirrored | that bundle", "ensemble-of-three/-flip", ACCURACY),
    ],
)
def test_networks_side_by_side(document: str, head: str, columns: str, rows: dict[str, str]):
    names = columns.split()
    compared = [
        (name, rows[label], cell)
        for label, *cells in table(document, head)
        if label in rows
        for name, cell in zip(names, cells, strict=False)
    ]
    assert len(compared) >= 5 * len(names)
    assert wrong(compared) == []


@pytest.mark.parametrize(
    ("document", "head", "columns"),
    [
        ("docs/accuracy.md", "| here, PublicTest", {1: "accuracy"}),
    ],
)
def test_a_network_in_a_row(document: str, head: str, columns: dict[int, str]):
    compared = [
        (cells[0].split("`")[1], figure, cells[column])
        for cells in table(document, head)
        if cells[0].startswith("`")
        for column, figure in columns.items()
    ]
    assert len(compared) >= 3 * len(columns)
    assert wrong(compared) == []


@pytest.mark.parametrize(
    ("head", "row", "column", "names"),
    [
        ("mirrored | that bundle", "accuracy, %", 2, "facenet mien-m face-mobilenet"),
        ("mirrored, %", "of three, with seed 0", 1, "facenet mien-m face-mobilenet"),
        ("mirrored, %", "of three, with seed 1", 1, "facenet-1 mien-m face-mobilenet"),
        ("mirrored, %", "of three, with seed 2", 1, "facenet-2 mien-m face-mobilenet"),
        ("mirrored, %", "seeds 0 and 1", 1, "facenet facenet-1 mien-m face-mobilenet"),
        (
            "mirrored, %",
            "all three seeds",
            1,
            "facenet facenet-1 facenet-2 mien-m face-mobilenet",
        ),
    ],
)
def test_a_mean_of_full_networks(head: str, row: str, column: int, names: str):
    members = [evaluation(f"{name}/-flip") for name in names.split()]
    mean = np.mean([member.probabilities for member in members], axis=0)
    accuracy = f"{100 * (mean.argmax(1) == members[0].truth).mean():.2f}"
    cells = next(cells for cells in table("docs/accuracy.md", head) if cells[0] == row)
    assert cells[column].replace("*", "").startswith(f"{accuracy} [")


def test_networks_of_the_graphics_card():
    rows = list(table("docs/accuracy.md", "| mirrored, % | seed 0 | seed 1"))[1:]
    for kind, row in zip(("mien-m", "mien-s-wide"), rows, strict=True):
        found = [kept_metrics(f"{kind}-h100-{seed}") for seed in range(3)]
        assert row[0].startswith(f"`{kind}`")
        accuracies = [Figure(**metrics["accuracy"]) for metrics in found]
        assert row[1:4] == [accuracy.percent() for accuracy in accuracies]
        values = [100 * accuracy.value for accuracy in accuracies]
        assert row[4] == f"{np.mean(values):.2f} ± {np.std(values, ddof=1):.2f}"
        assert row[5] == ", ".join(f"{metrics['loss']['value']:.3f}" for metrics in found)


def test_networks_of_the_second_round():
    said = list(table("docs/accuracy.md", "| network | plain, % | with mirror image"))[1:]
    assert said == list(gpu_table.rows())


@pytest.mark.parametrize("name", ["mien-l-int8", "mien-m-int8", "mien-s-wide-int8"])
def test_bundles_of_the_second_round(name: str):
    row = next(r for r in table("docs/accuracy.md", "| bundle | plain, %") if f"`{name}`" in r[0])
    assert row[1].split(" ±")[0] == metrics(name).accuracy.percent().split(" [")[0]


def test_what_cross_fitted_teachers_know():
    rows = list(table("docs/accuracy.md", "| five networks | of the four"))[1:]
    assert len(rows) == 2
    for name, *cells in rows:
        with (ROOT / f"results/folds/{name.split('`')[1]}.csv").open(newline="") as file:
            *five, mean = csv.DictReader(file)
        assert (len(five), mean["network"]) == (5, "their mean")
        assert cells == [
            proportion(five, "seen_right", "seen")[:4],
            proportion(five, "left_out_right", "left_out"),
            proportion([mean], "public_right_mirrored", "public", digits=2),
        ]


def proportion(rows: list[dict[str, str]], right: str, images: str, digits: int = 1) -> str:
    """Per cent, and Wald's interval of one digit."""
    n = sum(int(row[images]) for row in rows)
    p = sum(int(row[right]) for row in rows) / n
    half = 1.96 * (p * (1 - p) / n) ** 0.5
    return f"{100 * p:.{digits}f} [{100 * (p - half):.1f}, {100 * (p + half):.1f}]"


def kept_metrics(name: str) -> dict[str, Any]:
    """The mirrored figures of a network whose predictions are not kept."""
    found = json.loads((ROOT / "results" / name / "public-flip.json").read_text())
    return dict(found["metrics"])


def table(document: str, head: str) -> Iterator[list[str]]:
    """The cells of each row of the table whose first line has `head`."""
    lines = iter((ROOT / document).read_text().splitlines())
    assert any(head in line for line in lines if line.startswith("|")), f"no table {head!r}"
    for line in lines:
        if not line.startswith("|"):
            return
        yield [cell.strip() for cell in line.strip("|").split(" | ")]


@functools.cache
def evaluation(name: str) -> Evaluation:
    """`mien-s` or, of other views, `mien-s/-flip`."""
    network, _, views = name.partition("/")
    return load(ROOT / "results" / network / "evaluation" / f"public{views}")


@functools.cache
def metrics(name: str) -> Metrics:
    """Figures of `evaluation`."""
    return evaluation(name).metrics()


def wrong(cells: list[tuple[str, str, str]]) -> list[str]:
    """Of (network, figure, cell of a document), those that say another figure, with its interval or
    without, than the predictions."""
    found = []
    for name, figure, cell in cells:
        said = cell.replace("**", "").removesuffix(" M").removesuffix(" ms")
        is_so = FIGURES[figure](name)
        if said not in (is_so, is_so.split(" [")[0]):
            found.append(f"{name}, {figure}: {is_so}, not {said}")
    return found
