import json
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn

from mien.errors import DataError, ShapeError
from mien.evaluate.metrics import macro_f1, macro_recall, measure, to_json
from mien.values import as_json

NAMES = ("a", "b", "c")
NAN = float("nan")
law = settings(max_examples=50, deadline=None, derandomize=True)


def some(n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, n)
    logits = rng.normal(size=(n, 3)) + 1.2 * np.eye(3)[labels]
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True), labels


def answered(answers: list[int], classes: int) -> np.ndarray:
    """(N, C) probabilities of a network that is sure of its `answers`."""
    return np.eye(classes)[answers] * 0.9 + 0.1 / classes


def test_figures_are_those_of_scikit_learn():
    probabilities, labels = some()
    predicted = probabilities.argmax(1)
    found = measure(probabilities, labels, NAMES)
    assert found.accuracy.value == pytest.approx(sklearn.accuracy_score(labels, predicted))
    assert found.loss.value == pytest.approx(sklearn.log_loss(labels, probabilities))
    assert found.macro_recall.value == pytest.approx(
        sklearn.balanced_accuracy_score(labels, predicted)
    )
    assert found.macro_f1.value == pytest.approx(
        sklearn.f1_score(labels, predicted, average="macro")
    )
    assert (found.confusion == sklearn.confusion_matrix(labels, predicted)).all()
    assert found.report == sklearn.classification_report(
        labels, predicted, target_names=NAMES, digits=4
    )
    for figure in (found.accuracy, found.macro_recall, found.macro_f1, found.loss):
        assert figure.low < figure.value < figure.high


def test_figures_of_each_class_are_those_of_scikit_learn():
    probabilities, labels = some()
    expected = sklearn.precision_recall_fscore_support(labels, probabilities.argmax(1))
    classes = measure(probabilities, labels, NAMES).classes
    for name, values in zip(("precision", "recall", "f1"), expected, strict=False):
        found = [getattr(c, name) for c in classes]
        assert [f.value for f in found] == pytest.approx(list(values))
        assert all(f.low < f.value < f.high for f in found)
    assert [c.images for c in classes] == list(expected[3])


# What each class lacks, of seven images:   a    b    c: never   d: no image,  e: neither
#                                                   answered    but answered
TRUTH, ANSWERS = [0, 0, 0, 1, 1, 1, 2], [0, 0, 3, 1, 0, 1, 1]
LACKING = {
    "images": [3, 3, 1, 0, 0],
    "recall": [2 / 3, 2 / 3, 0, NAN, NAN],
    "precision": [2 / 3, 2 / 3, NAN, 0, NAN],
    "f1": [2 / 3, 2 / 3, 0, NAN, NAN],
}


def test_figures_of_classes_that_are_absent_or_never_answered():
    found = measure(answered(ANSWERS, 5), np.array(TRUTH), tuple("abcde"))
    assert [c.images for c in found.classes] == LACKING["images"]
    for name in ("recall", "precision", "f1"):
        values = [getattr(c, name).value for c in found.classes]
        assert values == pytest.approx(LACKING[name], nan_ok=True), name
    assert found.accuracy.value == pytest.approx(4 / 7)
    assert found.macro_recall.value == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    assert found.macro_f1.value == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    absent = found.classes[3]
    assert np.isnan([absent.recall.low, absent.recall.high, absent.f1.low, absent.f1.high]).all()


def test_macro_figures_of_absent_classes_are_those_of_scikit_learn():
    found = measure(answered(ANSWERS, 5), np.array(TRUTH), tuple("abcde"))
    kinds = {"labels": [0, 1, 2], "average": "macro", "zero_division": 0}
    assert found.macro_f1.value == pytest.approx(sklearn.f1_score(TRUTH, ANSWERS, **kinds))
    assert found.macro_recall.value == pytest.approx(sklearn.recall_score(TRUTH, ANSWERS, **kinds))


@law
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=12))
def test_macro_figures_are_those_of_scikit_learn_whatever_is_absent(pairs):
    truth, answers = (list(column) for column in zip(*pairs, strict=True))
    confusion = sklearn.confusion_matrix(truth, answers, labels=range(4))[None].astype(float)
    kinds = {"labels": np.unique(truth), "average": "macro", "zero_division": 0}
    assert macro_recall(confusion)[0] == pytest.approx(
        sklearn.recall_score(truth, answers, **kinds)
    )
    assert macro_f1(confusion)[0] == pytest.approx(sklearn.f1_score(truth, answers, **kinds))


def test_macro_figures_of_many_confusions_are_those_of_each():
    rng = np.random.default_rng(0)
    many = rng.integers(0, 4, (20, 3, 3)).astype(float)
    many[:, 0, 0] += 1
    for statistic in (macro_recall, macro_f1):
        assert statistic(many) == pytest.approx([statistic(one[None])[0] for one in many])


def test_all_happy_scores_the_share_of_happy():
    labels = np.array([0] * 75 + [1] * 25)
    always = np.tile([1.0, 0.0], (100, 1))
    found = measure(always, labels, ("happy", "sad"))
    assert found.accuracy.value == 0.75
    assert found.macro_recall.value == 0.5
    assert found.macro_f1.value == pytest.approx((2 * 75 / 175 + 0) / 2)
    assert [c.precision.value for c in found.classes] == pytest.approx([0.75, NAN], nan_ok=True)
    assert found.loss.value == pytest.approx(0.25 * 12 * np.log(10)), "zero counts as 1e-12"


def test_in_json_what_cannot_be_said_is_null():
    metrics = measure(answered(ANSWERS, 5), np.array(TRUTH), tuple("abcde"))
    told = json.loads(json.dumps(to_json(metrics, tuple("abcde")), allow_nan=False))
    assert list(told) == [
        *("accuracy", "macro_recall", "macro_f1", "ece", "loss", "brier", "classes", "confusion")
    ]
    assert list(told["classes"]) == list("abcde")
    for number, name in enumerate("abcde"):
        found = told["classes"][name]
        assert found["images"] == LACKING["images"][number]
        for kind in ("recall", "precision", "f1"):
            value = found[kind]["value"]
            assert (NAN if value is None else value) == pytest.approx(
                LACKING[kind][number], nan_ok=True
            )
    assert told["classes"]["d"]["recall"] == {"value": None, "low": None, "high": None}
    assert told["confusion"] == [
        *([2, 0, 0, 1, 0], [1, 2, 0, 0, 0], [0, 1, 0, 0, 0], [0] * 5, [0] * 5)
    ]
    assert told["accuracy"] == as_json(metrics.accuracy)
    assert told["macro_f1"] == as_json(metrics.macro_f1)
    assert told["macro_recall"] == as_json(metrics.macro_recall)
    assert told["loss"] == as_json(metrics.loss)


def test_the_report_names_every_class_and_warns_of_none():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = measure(answered(ANSWERS, 5), np.array(TRUTH), tuple("abcde")).report
    rows = {line.split()[0]: line.split()[1:] for line in report.splitlines() if line.strip()}
    assert rows["c"] == ["0.0000", "0.0000", "0.0000", "1"]
    assert rows["e"] == ["0.0000", "0.0000", "0.0000", "0"]
    assert rows["a"] == ["0.6667", "0.6667", "0.6667", "3"]


def test_a_single_image_can_be_measured():
    found = measure(np.array([[0.2, 0.8]]), np.array([1]), ("a", "b"))
    assert (found.accuracy.value, found.accuracy.low, found.accuracy.high) == (1, 1, 1)


@pytest.mark.parametrize(
    ("probabilities", "labels", "error", "message"),
    [
        (np.empty((0, 3)), np.empty(0, int), DataError, "no image to evaluate"),
        (np.ones((2, 2)) / 2, [0, 1], ShapeError, r"expected \(2, 3\) .*, got \(2, 2\)"),
        (np.ones((3, 3)) / 3, [0, 1], ShapeError, r"expected \(2, 3\) .*, got \(3, 3\)"),
        (np.array([[0.5, 0.5, NAN], [1, 0, 0]]), [0, 1], ShapeError, "NaN"),
        (np.array([[np.inf, 0, 0], [1, 0, 0]]), [0, 1], ShapeError, "infinite"),
    ],
)
def test_what_cannot_be_measured(probabilities, labels, error, message):
    with pytest.raises(error, match=message):
        measure(probabilities, np.array(labels), NAMES)
