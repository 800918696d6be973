"""Sentences of a comparison, from numbers made up for them."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from mien.evaluate.calibration import Calibration
from mien.evaluate.intervals import Estimate
from mien.evaluate.metrics import ClassMetrics, Metrics
from mien.evaluate.paired import Difference
from mien.labels import FER2013
from mien.provenance import Images
from mien.report.entries import Entry, Pool
from mien.report.narrative import caveats, complexity, fit, published, verdict
from mien.report.references import read_reference
from mien.runs import History, RunData, RunFolder
from tests.fakes import an_evaluation

REPORT = read_reference("report")
NONE = Estimate(np.nan, np.nan, np.nan)


def history(train: list[float], val: list[float], seconds: float = 10) -> History:
    epochs = list(range(1, len(val) + 1))
    return History(
        {
            "epoch": [float(e) for e in epochs],
            "train_accuracy": train,
            "val_accuracy": val,
            "val_loss": [1.0] * len(val),
            "seconds": [seconds] * len(val),
        }
    )


def entry(name: str, accuracy: Estimate, *, images: int = 3589, model="attention", **more):
    """Of three labels with a recall of 80, 50 and none; fear is taken for sad by 30 of 100."""
    recalls = [0.8, *[np.nan] * 3, 0.5, np.nan, np.nan]
    confusion = np.zeros((7, 7), np.int64)
    confusion[0, [0, 1]] = 80, 20
    confusion[4, [4, 0, 2]] = 10, 4, 6
    metrics = Metrics(
        accuracy,
        Calibration(NONE, NONE, NONE),
        NONE,
        NONE,
        tuple(ClassMetrics(0, Estimate(r, r, r), NONE, NONE) for r in recalls),
        confusion,
        "",
    )
    told = {name: more.pop(name) for name in ("latency_ms", "parameters", "labels") if name in more}
    evaluation = an_evaluation(
        np.zeros(images, int), np.tile(np.eye(7)[0], (images, 1)), model=model, **told
    )
    return Entry(name, evaluation, metrics, **more)


A = entry("a", Estimate(0.7, 0.68, 0.72), latency_ms=2.04, parameters=5_000_000)
B = entry("b", Estimate(0.6, 0.58, 0.62), latency_ms=1.0, parameters=1_230_000, model="other")


def difference(better: str, worse: str, adjusted: float) -> Difference:
    return Difference(better, worse, Estimate(0.1, 0.05, 0.16), 20, 5, 0.0001, adjusted)


@pytest.mark.parametrize(
    ("macs", "word"),
    [
        (0, "low"),
        (49_999_999, "low"),
        (50_000_000, "medium"),
        (299_999_999, "medium"),
        (300_000_000, "high"),
    ],
)
def test_the_cost_of_a_network_in_a_word(macs: int, word: str):
    assert complexity(macs) == word


def test_a_verdict_in_its_order():
    c = dataclasses.replace(B, name="c")
    pooled = [Pool("net", (A, B)), Pool("alone", (A,))]
    found = [difference("a", "b", 0.0002), difference("a", "c", 0.2), difference("b", "c", 0)]
    assert verdict([A, B, c], found, pooled, REPORT) == [
        "a is more accurate than b by 10.0 points [5.0, 16.0] (McNemar's test, Holm-corrected: "
        "p < 0.001).",
        "1 of the 2 other models cannot be told apart from a on these images; the smallest of them "
        "all is c (1.23 M parameters).",
        "a reaches 70.00 %, above the 26.41 % published for attention (technical report, Table 1; "
        "n = 7,178).",
        "On average angry is found most (80 % recall) and neutral least (50 %); a most often takes "
        "neutral for fear (30 % of neutral faces).",
        "b is the fastest (1.0 ms a face on one CPU thread) and the smallest (1.23 M parameters).",
    ]


def test_seeds_are_told_where_nothing_is_published():
    sentences = verdict([A, B], [difference("a", "b", 0)], [Pool("net", (A, B))])
    assert sentences[1] == "net, 2 seeds: 65.00 ± 7.07 % (mean and standard deviation)."


def test_a_model_alone():
    assert verdict([A], [], [])[0] == "a answers 70.00 [68.00, 72.00] % rightly."


def test_all_others_are_less_accurate():
    c = dataclasses.replace(B, name="c")
    found = [difference("a", "b", 0), difference("a", "c", 0), difference("b", "c", 0.9)]
    assert verdict([A, B, c], found, [])[1] == (
        "All others are less accurate than a, and chance alone is no reason for it."
    )


def test_what_is_not_known_is_not_told():
    """The mean of several networks has neither a size nor a time of its own."""
    a, b = (entry(n, A.metrics.accuracy, latency_ms=np.nan, parameters=0) for n in "ab")
    sentences = verdict([a, b, dataclasses.replace(b, name="c")], [], [])
    assert not [s for s in sentences if "nan" in s or "smallest" in s]


@pytest.mark.parametrize(
    ("adjusted", "start", "chance"),
    [
        (0.0009, "a is more accurate than b by", "< 0.001"),
        (0.001, "a is more accurate than b by", "= 0.001"),
        (0.05, "a and b cannot be told apart on these images:", "= 0.050"),
    ],
)
def test_a_difference_in_words(adjusted: float, start: str, chance: str):
    assert verdict([A, B], [difference("a", "b", adjusted)], [])[0] == (
        f"{start} 10.0 points [5.0, 16.0] (McNemar's test, Holm-corrected: p {chance})."
    )


@pytest.mark.parametrize(
    ("accuracy", "place"),
    [
        (Estimate(0.3, 0.2642, 0.32), "above"),
        (Estimate(0.3, 0.2641, 0.32), "at"),
        (Estimate(0.25, 0.24, 0.2641), "at"),
        (Estimate(0.25, 0.24, 0.2640), "below"),
    ],
)
def test_against_the_report(accuracy: Estimate, place: str):
    found = next(s for s in verdict([entry("a", accuracy)], [], [], REPORT) if "report" in s)
    assert f"{place} the 26.41 % published for attention" in found


@pytest.mark.parametrize(
    ("model", "accuracy"), [("attention", 0.2641), ("resnet50", 0.2481), ("mien-s", None)]
)
def test_published_figures_are_those_of_the_same_architecture(model: str, accuracy: float | None):
    one = entry("a", Estimate(0.3, 0.2, 0.4), model=model)
    found = published(one, REPORT)
    assert (found and found.accuracy) == accuracy
    assert published(one, None) is None


@pytest.mark.parametrize(
    ("train", "val", "words"),
    [
        ([0.5, 0.651], [0.5, 0.6], "overfits by 5 points"),
        ([0.5, 0.649], [0.5, 0.6], "best in its last epoch"),
        ([0.5, 0.9], [0.5, 0.4], "peaked in epoch 1"),
        ([0.4, 0.5, 0.6], [0.5, 0.6, 0.6], "peaked in epoch 2"),
    ],
)
def test_how_well_a_run_fits(train: list[float], val: list[float], words: str):
    assert fit(history(train, val)) == words


def test_the_fastest_and_the_smallest_may_be_two():
    slow = entry("s", A.metrics.accuracy, latency_ms=9.0, parameters=500_000)
    assert verdict([A, B, slow], [], [])[-1] == (
        "b is the fastest (1.0 ms a face on one CPU thread), s the smallest (0.50 M parameters)."
    )


def ran(folder: Path, name: str, split: str) -> RunFolder:
    """A run whose epoch was chosen on `split`."""
    run = RunFolder(folder / name)
    run.recipe_file.parent.mkdir()
    run.recipe_file.write_text("name: x")
    chosen = Images(split, 5, "v")
    run.write_data(RunData("d", FER2013, 48, Images("train", 5, "t"), chosen))
    return run


def test_caveats_where_the_epoch_was_chosen_on_the_same_images(tmp_path: Path):
    runs = [dataclasses.replace(B, name=n, run=ran(tmp_path, n, "public")) for n in "xyz"]
    twice = dataclasses.replace(runs[0], name="x-flip")
    here = "was chosen on these same images (public), so their figures are a little optimistic."
    intervals = "Intervals are 95 % bootstrap intervals over images."
    assert caveats([B]) == [intervals]
    assert caveats([runs[0], twice]) == [intervals, f"The epoch of x {here}"]
    assert caveats(runs) == [intervals, f"The epoch of x, y and z {here}"]
    elsewhere = dataclasses.replace(runs[0], run=ran(tmp_path, "w", "private"))
    assert caveats([elsewhere]) == [intervals]


def test_published_figures_come_with_a_caveat():
    assert caveats([B, A])[1:] == []
    assert caveats([B], REPORT)[1:] == [
        "The reference has no figure for these models; it has: resnet50, attention, mobilenetv2."
    ]
    assert caveats([B, A], REPORT)[1:] == [
        "Published figures are on other images than these 3,589: compare with care.",
        REPORT.note,
    ]
