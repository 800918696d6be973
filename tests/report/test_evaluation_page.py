"""What `mien evaluate` writes beside its numbers, and says."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.evaluate import Evaluation
from mien.evaluate.intervals import Estimate, mean_interval
from mien.evaluate.robustness import Robustness, Score
from mien.report.evaluation_page import summary, write_evaluation
from mien.report.facts import facts
from mien.report.robustness import write_robustness
from mien.runs import RunFolder
from tests.fakes import an_evaluation

LABELS = ("yes", "no")
SURE = np.array([0.9, 0.8, 0.7, 0.6, 0.95, 0.85, 0.75, 0.65, 0.55, 0.99])
RIGHT = np.array([1, 1, 0, 1, 1, 1, 1, 0, 1, 1])


def evaluation(**more: object) -> Evaluation:
    probabilities = np.stack([SURE, 1 - SURE], 1)
    told = {"labels": LABELS, "parameters": 1_234_000, "macs": 5_600_000, "latency_ms": 1.239}
    return an_evaluation(1 - RIGHT, probabilities, **told | more)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run's evaluation; beside it that of a bundle's, `bare`."""
    folder = tmp_path_factory.mktemp("evaluation")
    run = folder / "run"
    run.mkdir()
    heading = "epoch,lr,train_loss,train_accuracy,val_loss,val_accuracy,seconds"
    (run / "history.csv").write_text(f"{heading}\n1,0.1,1,0.5,1,0.5,9\n2,0.1,1,0.6,1,0.6,9\n")
    found = evaluation(temperature=1.5)
    write_evaluation(found, found.metrics(), folder / "out", RunFolder(run))
    bare = evaluation()
    a_robustness(bare, folder / "bare")
    write_evaluation(bare, bare.metrics(), folder / "bare", None)
    return folder / "out"


def a_robustness(found: Evaluation, folder: Path) -> None:
    """Of that network: half of two images are right under every corruption."""
    score, half = Score(1, 0.5, 0.2, 0.8), Estimate(0.5, 0.2, 0.8)
    kinds = {"JPEG": (score,) * 5, "covered eyes": (score,) * 5}
    who = ("name", "data", "split", "digest", "network", "views")
    robust = Robustness(
        **{name: getattr(found, name) for name in who},
        images=2,
        strengths=dict.fromkeys(kinds, (1.0,) * 5),
        clean=Score(2, 1, 0.4, 1),
        scores=kinds,
        means=dict.fromkeys(kinds, half),
        mean=half,
    )
    folder.mkdir()
    (folder / "metrics.json").write_text("{}")
    write_robustness(robust, folder)


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
    tables = {"reliability.csv", "coverage.csv", "confusion.csv", "evaluation.md", "index.html"}
    assert names == {*figures, *tables, "learning_curves.png"}
    spoilt = {"robustness.csv", "robustness.json", "robustness.png", "metrics.json"}
    assert {path.name for path in (page.parent / "bare").iterdir()} == figures | tables | spoilt
    for name in (*figures, "learning_curves.png"):
        assert Image.open(page / name).width > 300
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


def test_the_markdown_of_an_evaluation(page: Path):
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


def test_the_page_has_every_figure_with_its_interval(page: Path):
    html = (page / "index.html").read_text()
    for fact in facts(evaluation(temperature=1.5), evaluation(temperature=1.5).metrics()):
        value, _, interval = fact.shown.partition(" ")
        assert f"<dd>{value}<small>{interval}, n = {fact.images}</small></dd>" in html
    assert re.findall("<h2>(.*?)</h2>", html) == [
        *("Figures", "Classes", "Calibration", "Learning curves"),
    ]
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", html), "nothing is fetched"


def test_spoilt_faces_stand_beside_their_figures(page: Path):
    html = (page.parent / "bare" / "index.html").read_text()
    rows = re.findall(
        r'<img src="data:image/webp;base64,[^"]+" alt="">(.*?)</span>(.*?)</tr>', html
    )
    assert [name for name, _ in rows] == ["clean", "JPEG", "covered eyes"]
    assert [re.findall(">([0-9]+)<", cells) for _, cells in rows] == [
        ["100"] * 6,
        *[["50"] * 6] * 2,
    ]
