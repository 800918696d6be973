import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn
from sklearn.calibration import calibration_curve

from mien.bundle import softmax, temper
from mien.evaluate.calibration import (
    BINS,
    calibration,
    coverage,
    kept_accuracy,
    reliability,
)
from mien.evaluate.fitting import fit_temperature
from mien.values import as_json

law = settings(max_examples=50, deadline=None, derandomize=True)


def some(n: int = 2000, sharpness: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that are exactly right, made surer by `sharpness`."""
    rng = np.random.default_rng(0)
    honest = softmax(rng.normal(size=(n, 4)) * 1.5)
    labels = (honest.cumsum(1) > rng.random((n, 1))).argmax(1)
    return temper(honest, 1 / sharpness), labels


def answers(*confidences: float, right: str = "") -> tuple[np.ndarray, np.ndarray]:
    """Two classes, of which the first is answered so surely; `1` where that is right."""
    sure = np.array(confidences)
    marks = right or "1" * len(sure)
    return np.stack([sure, 1 - sure], 1), np.array([int(mark == "0") for mark in marks])


def test_ece_is_the_weighted_gap_between_confidence_and_accuracy():
    probabilities, labels = some(300, 2)
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    expected = 0.0
    for low in np.arange(15) / 15:
        inside = (confidence > low) & (confidence <= low + 1 / 15)
        if inside.any():
            expected += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    found = calibration(probabilities, labels).ece
    assert found.value == pytest.approx(expected)
    assert 0 < found.low < found.high < 2 * found.value


def test_ece_by_hand():
    """Within a bin errors cancel: (0.95 + 0.97)/2 against 1/2; in another bin 0.6 against 1."""
    found = calibration(*answers(0.95, 0.97, 0.59, right="101")).ece
    assert found.value == pytest.approx((2 * (0.96 - 0.5) + (1 - 0.59)) / 3)
    perfect = calibration(*answers(1.0, 1.0)).ece
    assert (perfect.value, perfect.low, perfect.high) == (0, 0, 0)


def test_loss_and_brier_are_those_of_scikit_learn():
    probabilities, labels = some()
    found = calibration(probabilities, labels)
    assert found.loss.value == pytest.approx(sklearn.log_loss(labels, probabilities))
    brier = sum(sklearn.brier_score_loss(labels == c, probabilities[:, c]) for c in range(4))
    assert found.brier.value == pytest.approx(brier)
    for figure in (found.loss, found.brier):
        assert figure.low < figure.value < figure.high


def test_a_right_answer_of_no_probability_has_a_loss_that_can_be_said():
    found = calibration(np.array([[0.0, 1.0], [0.0, 1.0]]), np.array([0, 1]))
    assert found.loss.value == pytest.approx(-np.log(1e-12) / 2)
    assert found.brier.value == pytest.approx(1), "2 for the wrong one, 0 for the right"


@pytest.mark.parametrize("sharpness", [0.4, 1.0, 3.0])
def test_the_temperature_that_was_applied_is_found(sharpness: float):
    probabilities, labels = some(8000, sharpness)
    temperature = fit_temperature(probabilities, labels)
    assert temperature == pytest.approx(sharpness, rel=0.08)
    before, after = (
        calibration(p, labels) for p in (probabilities, temper(probabilities, temperature))
    )
    assert after.loss.value <= before.loss.value
    assert after.ece.value < 0.03


@pytest.mark.parametrize("seed", range(3))
def test_no_other_temperature_has_less_loss(seed: int):
    rng = np.random.default_rng(seed)
    probabilities, labels = softmax(rng.normal(size=(200, 3)) * 3), rng.integers(0, 3, 200)
    labels[::2] = probabilities[::2].argmax(1)
    best = fit_temperature(probabilities, labels)

    def loss(temperature: float) -> float:
        return sklearn.log_loss(labels, temper(probabilities, temperature))

    assert loss(best) <= min(loss(best * factor) for factor in (0.5, 0.98, 1.02, 2))


def test_temperatures_that_would_be_none_or_endless():
    wrong = np.tile([0.9, 0.1], (50, 1))
    assert fit_temperature(wrong, np.ones(50, int)) == pytest.approx(20, rel=0.001)
    assert 1 / 20 <= fit_temperature(wrong, np.zeros(50, int)) < 0.06, "of no loss at all"
    certain = np.tile([1.0, 0.0], (50, 1))
    assert fit_temperature(certain, np.arange(50) % 2) == pytest.approx(20, rel=0.001)


def test_coverage_by_hand():
    """Surest first: right, wrong, and two of equal confidence that come together."""
    found = coverage(*answers(0.6, 0.9, 0.8, 0.6, right="1101"))
    assert found.threshold.tolist() == [0.9, 0.8, 0.6]
    assert found.coverage.tolist() == [0.25, 0.5, 1]
    assert found.accuracy.tolist() == pytest.approx([1, 0.5, 0.75])
    assert {name: column.tolist() for name, column in found.to_columns().items()} == {
        "threshold": found.threshold.tolist(),
        "coverage": found.coverage.tolist(),
        "accuracy": found.accuracy.tolist(),
    }


def test_coverage_starts_with_the_surest_and_ends_with_all():
    probabilities, labels = some()
    found = coverage(probabilities, labels)
    right = probabilities.argmax(1) == labels
    assert found.coverage[-1] == 1
    assert found.accuracy[-1] == pytest.approx(right.mean())
    assert (np.diff(found.coverage) > 0).all()
    assert (np.diff(found.threshold) < 0).all()
    at = len(found.threshold) // 2
    kept = kept_accuracy(probabilities, labels, found.threshold[at])
    assert kept.value == pytest.approx(found.accuracy[at])


def test_equal_confidences_cannot_be_told_apart():
    found = coverage(np.tile([0.7, 0.3], (10, 1)), np.arange(10) % 2)
    assert found.coverage.tolist() == [1.0]
    assert found.accuracy.tolist() == [0.5]


@pytest.mark.parametrize(
    ("threshold", "accuracy"), [(0, 0.5), (0.6, 0.5), (0.61, 1 / 3), (0.9, 1), (0.91, np.nan)]
)
def test_accuracy_of_the_images_that_reach_a_threshold(threshold: float, accuracy: float):
    found = kept_accuracy(*answers(0.6, 0.7, 0.8, 0.9, right="1001"), threshold)
    assert found.value == pytest.approx(accuracy, nan_ok=True)
    assert np.isnan(found.low) == np.isnan(found.high) == np.isnan(accuracy)


@pytest.mark.parametrize(
    ("confidence", "place"),
    [
        (0.0, 0),
        (1e-9, 0),
        (1 / 15, 0),
        (1 / 15 + 1e-9, 1),
        (0.2, 2),
        (0.2 + 1e-9, 3),
        (0.5, 7),
        (0.6, 8),
        (0.8, 11),
        (14 / 15 + 1e-9, 14),
        (1.0, 14),
    ],
)
def test_a_bin_takes_its_upper_end(confidence: float, place: int):
    found = reliability(np.array([[confidence]]), np.array([0]))
    assert found.images.tolist() == [int(number == place) for number in range(15)]
    assert found.confidence[place] == confidence
    assert found.accuracy[place] == 1


@law
@given(st.lists(st.floats(0, 1, exclude_min=True), min_size=1, max_size=30))
def test_an_image_lies_between_the_ends_of_its_bin(confidences: list[float]):
    found = reliability(np.array(confidences)[:, None], np.zeros(len(confidences), int))
    columns = found.to_columns()
    full = found.images > 0
    near = 1e-9
    assert (found.confidence[full] >= columns["from"][full] - near).all()
    assert (found.confidence[full] <= columns["to"][full] + near).all()
    assert found.images.sum() == len(confidences)
    assert np.isnan(found.confidence[~full]).all()
    assert np.isnan(found.accuracy[~full]).all()


def test_the_reliability_diagram_is_that_of_scikit_learn():
    probabilities, labels = some()
    found = reliability(probabilities, labels)
    right = probabilities.argmax(1) == labels
    accuracy, confidence = calibration_curve(right, probabilities.max(1), n_bins=BINS)
    full = found.images > 0
    assert found.accuracy[full] == pytest.approx(accuracy)
    assert found.confidence[full] == pytest.approx(confidence)
    assert np.flatnonzero(~full).tolist() == [0, 1, 2, 3], "of four classes, none is below 0.27"
    gaps = np.abs(found.confidence - found.accuracy)
    ece = np.nansum(gaps * found.images) / len(labels)
    assert ece == pytest.approx(calibration(probabilities, labels).ece.value)


def test_the_table_of_the_reliability_diagram_says_from_where_to_where():
    columns = reliability(*answers(0.7, 0.95, 0.96, right="110")).to_columns()
    assert list(columns) == ["from", "to", "confidence", "accuracy", "images"]
    assert columns["from"] == pytest.approx([number / 15 for number in range(15)])
    assert columns["to"] == pytest.approx([number / 15 for number in range(1, 16)])
    assert columns["images"].tolist() == [0] * 10 + [1, 0, 0, 0, 2]
    assert columns["accuracy"][[10, 14]].tolist() == [1, 0.5]
    assert columns["confidence"][[10, 14]] == pytest.approx([0.7, 0.955])


def test_figures_in_json_by_their_names():
    told = as_json(calibration(*some(50)))
    assert list(told) == ["ece", "loss", "brier"]
    assert told["brier"]["low"] < told["brier"]["value"] < told["brier"]["high"]
