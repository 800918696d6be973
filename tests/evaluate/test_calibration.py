import numpy as np
import pytest
from sklearn import metrics as sklearn

from mien.bundle import softmax, temper
from mien.evaluate.calibration import (
    BINS,
    calibration,
    coverage,
    fit_temperature,
    kept_accuracy,
    reliability,
)


def some(n: int = 2000, sharpness: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that are exactly right, made surer by `sharpness`."""
    rng = np.random.default_rng(0)
    honest = softmax(rng.normal(size=(n, 4)) * 1.5)
    labels = (honest.cumsum(1) > rng.random((n, 1))).argmax(1)
    return temper(honest, 1 / sharpness), labels


def test_ece_is_the_weighted_gap_between_confidence_and_accuracy():
    probabilities, labels = some(300, 2)
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    expected = 0.0
    for low in np.arange(BINS) / BINS:
        inside = (confidence > low) & (confidence <= low + 1 / BINS)
        if inside.any():
            expected += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    found = calibration(probabilities, labels).ece
    assert found.value == pytest.approx(expected)
    assert found.low <= found.high


def test_loss_and_brier_are_those_of_scikit_learn():
    probabilities, labels = some()
    found = calibration(probabilities, labels)
    assert found.loss.value == pytest.approx(sklearn.log_loss(labels, probabilities))
    brier = sum(sklearn.brier_score_loss(labels == c, probabilities[:, c]) for c in range(4))
    assert found.brier.value == pytest.approx(brier)


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


def test_a_temperature_changes_no_answer_and_can_be_taken_back():
    probabilities, _ = some(200)
    warm = temper(probabilities, 2.5)
    assert (warm.argmax(1) == probabilities.argmax(1)).all()
    assert (warm.max(1) <= probabilities.max(1) + 1e-12).all()
    assert np.allclose(temper(warm, 1 / 2.5), probabilities)


def test_answers_that_are_never_right_get_the_highest_temperature():
    wrong = np.tile([0.9, 0.1], (50, 1))
    assert fit_temperature(wrong, np.ones(50, int)) == pytest.approx(20, rel=0.01)


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
    same = np.tile([0.7, 0.3], (10, 1))
    found = coverage(same, np.arange(10) % 2)
    assert found.coverage.tolist() == [1.0]
    assert found.accuracy.tolist() == [0.5]
    assert np.isnan(kept_accuracy(same, np.zeros(10, int), 0.9).value)


def test_the_reliability_diagram_counts_every_image_once():
    probabilities, labels = some()
    found = reliability(probabilities, labels)
    assert found.images.sum() == len(labels)
    gaps = np.abs(found.confidence - found.accuracy)
    ece = np.nansum(gaps * found.images) / len(labels)
    assert ece == pytest.approx(calibration(probabilities, labels).ece.value)
    assert np.isnan(found.accuracy[0]), "four classes leave no confidence below a quarter"
