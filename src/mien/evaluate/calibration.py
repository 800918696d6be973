"""Whether confidence means what it says: calibration error, temperature, coverage."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.evaluate.intervals import Estimate, bootstraps, mean_interval

BINS = 15
_FLOOR = 1e-12

Probabilities = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Calibration:
    """Calibration of (N, C) probabilities, each figure with its interval.

    `ece` is the expected calibration error over `BINS` bins of equal width (Guo et al. 2017),
    `loss` the cross-entropy in nats, `brier` the squared error summed over classes (0-2).
    """

    ece: Estimate
    loss: Estimate
    brier: Estimate


def calibration(probabilities: Probabilities, labels: Labels) -> Calibration:
    """The calibration of `probabilities` (N, C) against `labels` (N,)."""
    images, rows = len(labels), np.arange(len(labels))
    truth = np.eye(probabilities.shape[1])[labels]
    confidence, right = _answers(probabilities, labels)
    gaps = np.zeros((images, BINS))
    gaps[rows, _bins(confidence)] = confidence - right
    losses = -np.log(np.maximum(probabilities[rows, labels], _FLOOR))
    figures = np.column_stack([gaps, losses, ((probabilities - truth) ** 2).sum(1)])

    def statistic(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        means = weights @ figures / images
        return np.column_stack([np.abs(means[:, :BINS]).sum(1), means[:, BINS:]])

    return Calibration(*bootstraps(images, statistic))


@dataclass(frozen=True, slots=True)
class Reliability:
    """Per bin of confidence: mean `confidence` and `accuracy` (NaN where empty), `images`."""

    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    images: NDArray[np.int64]

    def to_columns(self) -> dict[str, NDArray[Any]]:
        """Columns of a table, a row per bin."""
        bins = np.arange(BINS)
        return {
            "from": bins / BINS,
            "to": (bins + 1) / BINS,
            "confidence": self.confidence,
            "accuracy": self.accuracy,
            "images": self.images,
        }


def reliability(probabilities: Probabilities, labels: Labels) -> Reliability:
    """What a reliability diagram shows (DeGroot & Fienberg 1983)."""
    confidence, right = _answers(probabilities, labels)
    places = _bins(confidence)
    images = np.bincount(places, minlength=BINS)
    with np.errstate(invalid="ignore"):
        return Reliability(
            np.bincount(places, confidence, BINS) / images,
            np.bincount(places, right, BINS) / images,
            images,
        )


@dataclass(frozen=True, slots=True)
class Coverage:
    """The surest images first: (N,) `threshold` of confidence, share of images at or above it, and
    the `accuracy` of those."""

    threshold: NDArray[np.float64]
    coverage: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    def to_columns(self) -> dict[str, NDArray[Any]]:
        """Columns of a table, a row per threshold."""
        return {
            "threshold": self.threshold,
            "coverage": self.coverage,
            "accuracy": self.accuracy,
        }


def coverage(probabilities: Probabilities, labels: Labels) -> Coverage:
    """The coverage-accuracy curve (El-Yaniv & Wiener 2010); equal confidences share a point."""
    confidence, right = _answers(probabilities, labels)
    order = np.argsort(-confidence, kind="stable")
    kept = np.arange(1, len(order) + 1)
    threshold = confidence[order]
    whole = np.append(threshold[1:] != threshold[:-1], True)
    accuracy = np.cumsum(right[order]) / kept
    return Coverage(threshold[whole], kept[whole] / len(order), accuracy[whole])


def kept_accuracy(probabilities: Probabilities, labels: Labels, threshold: float) -> Estimate:
    """Accuracy of the images whose confidence is at least `threshold`; NaN if there is none."""
    confidence, right = _answers(probabilities, labels)
    kept = right[confidence >= threshold]
    return mean_interval(kept) if len(kept) else Estimate(np.nan, np.nan, np.nan)


def _bins(confidence: NDArray[np.float64]) -> NDArray[np.int64]:
    """Bin numbers of confidences; a bin takes its upper end, as in Guo et al.'s code."""
    return np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)


def _answers(
    probabilities: Probabilities, labels: Labels
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(N,) confidence of each answer, and 1 where it is right."""
    return probabilities.max(1), (probabilities.argmax(1) == labels).astype(np.float64)
