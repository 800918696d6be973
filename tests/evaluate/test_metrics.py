import json

import numpy as np
import pytest
from sklearn import metrics as sklearn

from mien.errors import DataError, ShapeError
from mien.evaluate.metrics import measure, to_json

NAMES = ("a", "b", "c")


def some(n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, n)
    logits = rng.normal(size=(n, 3)) + 1.2 * np.eye(3)[labels]
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True), labels


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


def test_figures_of_each_class_are_those_of_scikit_learn():
    probabilities, labels = some()
    expected = sklearn.precision_recall_fscore_support(labels, probabilities.argmax(1))
    classes = measure(probabilities, labels, NAMES).classes
    for name, values in zip(("precision", "recall", "f1"), expected, strict=False):
        found = [getattr(c, name) for c in classes]
        assert [f.value for f in found] == pytest.approx(list(values))
        assert all(f.low < f.value < f.high for f in found)
    assert [c.images for c in classes] == list(expected[3])


def test_all_happy_scores_the_share_of_happy():
    labels = np.array([0] * 75 + [1] * 25)
    always = np.tile([1.0, 0.0], (100, 1))
    found = measure(always, labels, ("happy", "sad"))
    assert found.accuracy.value == 0.75
    assert found.macro_recall.value == 0.5
    assert np.isfinite(found.loss.value)


def test_a_class_without_images_is_left_out_of_the_macro_figures_and_null_in_json():
    probabilities, labels = some()
    kept = labels < 2
    found = measure(probabilities[kept], labels[kept], NAMES)
    recalls = [c.recall.value for c in found.classes]
    assert np.isnan(recalls[2])
    assert found.macro_recall.value == pytest.approx(np.mean(recalls[:2]))
    told = json.loads(json.dumps(to_json(found, NAMES)))["classes"]["c"]
    assert told["images"] == 0
    assert told["recall"] == {"value": None, "low": None, "high": None}


def test_a_single_image_can_be_measured():
    found = measure(np.array([[0.2, 0.8]]), np.array([1]), ("a", "b"))
    assert (found.accuracy.value, found.accuracy.low, found.accuracy.high) == (1, 1, 1)


@pytest.mark.parametrize(
    ("probabilities", "labels", "error", "message"),
    [
        (np.empty((0, 3)), np.empty(0, int), DataError, "no image"),
        (np.ones((2, 2)) / 2, np.array([0, 1]), ShapeError, "expected"),
        (np.full((2, 3), np.nan), np.array([0, 1]), ShapeError, "NaN"),
    ],
)
def test_what_cannot_be_measured(probabilities, labels, error, message):
    with pytest.raises(error, match=message):
        measure(probabilities, labels, NAMES)
