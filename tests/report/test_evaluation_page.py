"""What `mien evaluate` writes beside its numbers, and says."""

import csv
from pathlib import Path

import numpy as np
import pytest

from mien.evaluate import Evaluation
from mien.evaluate.intervals import mean_interval
from mien.report import evaluation_page
from mien.report.evaluation_page import summary, write_evaluation
from mien.report.facts import facts
from mien.runs import RunFolder
from tests.fakes import an_evaluation

LABELS = ("yes", "no")
SURE = np.array([0.9, 0.8, 0.7, 0.6, 0.95, 0.85, 0.75, 0.65, 0.55, 0.99])
RIGHT = np.array([1, 1, 0, 1, 1, 1, 1, 0, 1, 1])


def evaluation(**more: object) -> Evaluation:
    probabilities = np.stack([SURE, 1 - SURE], 1)
    told = {"labels": LABELS, "parameters": 1_234_000, "macs": 5_600_000, "latency_ms": 1.239}
    return an_evaluation(1 - RIGHT, probabilities, **told | more)


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Written without painting; which figure each file would hold stands in it."""
    for name in ("confusion_matrix", "reliability_diagrams", "coverage_curves", "learning_curves"):
        monkeypatch.setattr(
            evaluation_page, name, lambda *a, _name=name, **k: f"{_name} {a[-1]} {k}".encode()
        )
    run = tmp_path / "run"
    run.mkdir()
    (run / "history.csv").write_text("epoch,val_accuracy,val_loss\n1,0.5,1\n")
    found = evaluation(temperature=1.5)
    write_evaluation(found, found.metrics(), tmp_path / "out", RunFolder(run))
    write_evaluation(found, found.metrics(), tmp_path / "bare", None)
    return tmp_path / "out"


def test_rows_of_facts():
    found = evaluation(copies=np.arange(10) < 2, ferplus=np.array([0] * 9 + [-1]))
    metrics = found.metrics()
    rows = facts(found, metrics)
    assert [(fact.column.title, fact.images) for fact in rows] == [
        *(("accuracy, %", 10), ("macro-recall, %", 10), ("macro-F1, %", 10)),
        ("accuracy without copies of training images, %", 8),
        ("agreement with FER+'s majority, %", 9),
        ("accuracy where FER+'s majority is the label, %", 7),
        ("accuracy of the surest 80 %, %", 8),
        *(("loss, nats", 10), ("calibration error (ECE), %", 10), ("Brier score", 10)),
    ]
    values = {fact.column.title: fact.shown for fact in rows}
    assert values["accuracy, %"] == mean_interval_percent(RIGHT)
    assert (
        values["accuracy without copies of training images, %"]
        == mean_interval(RIGHT[2:].astype(float)).percent()
    )
    assert values["loss, nats"] == metrics.loss.plain()
    assert values["calibration error (ECE), %"] == metrics.calibration.ece.percent()
    assert values["Brier score"] == metrics.calibration.brier.plain()
    assert values["macro-F1, %"] == metrics.macro_f1.percent()
    assert values["macro-recall, %"] == metrics.macro_recall.percent()


def mean_interval_percent(right: np.ndarray) -> str:
    """The accuracy's own interval, which is resampled by cells, has the same value."""
    found = evaluation().metrics().accuracy
    assert found.value == right.mean()
    return found.percent()


def test_a_temperature_brings_the_figures_without_it():
    warm = evaluation(temperature=1.5)
    *_, loss, ece = facts(warm, warm.metrics())
    before = warm.uncalibrated()
    assert (loss.column.title, loss.estimate) == ("loss at temperature 1, nats", before.loss)
    assert (ece.column.title, ece.shown) == (
        "calibration error at temperature 1, %",
        before.ece.percent(),
    )


def test_a_summary_for_the_terminal():
    found = evaluation()
    first, *rows = summary(found, found.metrics()).splitlines()
    assert first == "public, 95 % intervals"
    width = len("accuracy of the surest 80 %, %")
    assert rows[0] == f"{'accuracy, %':<{width}}  {found.metrics().accuracy.percent()}  n=10"
    assert len(rows) == 7


def test_files_of_an_evaluation(page: Path):
    names = {path.name for path in page.iterdir()}
    figures = {"confusion.png", "confusion_counts.png", "reliability.png", "coverage.png"}
    tables = {"reliability.csv", "coverage.csv", "confusion.csv", "evaluation.md"}
    assert names == {*figures, *tables, "learning_curves.png"}
    assert {path.name for path in (page.parent / "bare").iterdir()} == figures | tables
    assert (page / "confusion.png").read_text() == "confusion_matrix fake {}"
    assert (page / "confusion_counts.png").read_text() == (
        "confusion_matrix fake {'normalised': False}"
    )
    assert (page / "learning_curves.png").read_text().startswith("learning_curves fake")
    with (page / "confusion.csv").open() as file:
        assert list(csv.reader(file)) == [
            ["label", "yes", "no"],
            ["yes", "8", "0"],
            ["no", "2", "0"],
        ]
    with (page / "coverage.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["threshold"] for row in rows][:2] == ["0.99", "0.95"]
    assert rows[-1] == {"threshold": "0.55", "coverage": "1", "accuracy": "0.8"}
    with (page / "reliability.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 15
    assert sum(int(row["images"]) for row in rows) == 10


def test_the_page_of_an_evaluation(page: Path):
    text = (page / "evaluation.md").read_text()
    found = evaluation(temperature=1.5)
    assert text.startswith(
        "# fake on public of fer2013\n\n95 % bootstrap intervals over images in brackets; views "
        "averaged: plain; temperature 1.5.\n\n| figure | value [95 %] | images |\n"
        "| --- | --- | --- |\n"
        f"| accuracy, % | {found.metrics().accuracy.percent()} | 10 |\n"
    )
    assert (
        "\n\n1.23 M parameters, 6 M multiply-accumulates; 1.24 ms for one face on one CPU thread."
        f"\n\n```\n{found.metrics().report.rstrip()}\n```\n"
    ) in text
    assert [line for line in text.splitlines() if line.startswith("![")] == [
        *("![confusion](confusion.png)", "![confusion counts](confusion_counts.png)"),
        *("![reliability](reliability.png)", "![coverage](coverage.png)"),
        "![learning curves](learning_curves.png)",
    ]
