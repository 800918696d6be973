"""Probabilities and labels → the figures of an evaluation, each with its interval."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError, ShapeError
from mien.evaluate.calibration import Calibration, calibration
from mien.evaluate.intervals import Estimate, confusion_interval, confusion_intervals
from mien.extras import need
from mien.values import as_json


@dataclass(frozen=True, slots=True)
class ClassMetrics:
    """Figures of one class; NaN for recall and F1 without `images` of it, and for precision where
    it was never answered."""

    images: int
    recall: Estimate
    precision: Estimate
    f1: Estimate


@dataclass(frozen=True, slots=True)
class Metrics:
    """Figures of one evaluation; fractions are 0-1.

    `confusion` (C, C) int64 counts true labels in rows, predictions in columns.
    """

    accuracy: Estimate
    calibration: Calibration
    macro_recall: Estimate
    macro_f1: Estimate
    classes: tuple[ClassMetrics, ...]
    confusion: NDArray[np.int64]
    report: str
    """scikit-learn's classification report, four digits."""

    @property
    def loss(self) -> Estimate:
        """Cross-entropy in nats."""
        return self.calibration.loss


def measure(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64], names: tuple[str, ...]
) -> Metrics:
    """All figures of (N, C) `probabilities` against (N,) `labels`; macro figures average over the
    classes that occur. Raises ShapeError for probabilities that are none or do not fit."""
    _check(probabilities, labels, names)
    sklearn = need("sklearn.metrics", extra="report")
    predicted = probabilities.argmax(1)
    indices = np.arange(len(names))
    confusion = np.asarray(sklearn.confusion_matrix(labels, predicted, labels=indices), np.int64)
    return Metrics(
        accuracy=confusion_interval(confusion, _accuracy),
        calibration=calibration(probabilities, labels),
        macro_recall=confusion_interval(confusion, macro_recall),
        macro_f1=confusion_interval(confusion, macro_f1),
        classes=_classes(confusion),
        confusion=confusion,
        report=sklearn.classification_report(
            labels, predicted, labels=indices, target_names=names, digits=4, zero_division=0
        ),
    )


def _classes(confusion: NDArray[np.int64]) -> tuple[ClassMetrics, ...]:
    kinds = (_recalls, _precisions, _f1s)
    figures = zip(*(confusion_intervals(confusion, kind) for kind in kinds), strict=True)
    images = confusion.sum(1)
    return tuple(ClassMetrics(int(n), *three) for n, three in zip(images, figures, strict=True))


def macro_recall(confusions: NDArray[np.float64]) -> NDArray[np.float64]:
    """(R, C, C) → (R,): mean recall over the classes that occur (balanced accuracy)."""
    return _present_mean(_recalls(confusions))


def macro_f1(confusions: NDArray[np.float64]) -> NDArray[np.float64]:
    """(R, C, C) → (R,): mean F1 over the classes that occur."""
    return _present_mean(_f1s(confusions))


def _accuracy(confusions: NDArray[np.float64]) -> NDArray[np.float64]:
    hits: NDArray[np.float64] = np.trace(confusions, axis1=1, axis2=2)
    return np.asarray(hits / confusions.sum((1, 2)))


def _recalls(confusions: NDArray[np.float64]) -> NDArray[np.float64]:
    hits = np.diagonal(confusions, axis1=1, axis2=2)
    true = confusions.sum(2)
    return np.where(true > 0, hits / np.maximum(true, 1), np.nan)


def _precisions(confusions: NDArray[np.float64]) -> NDArray[np.float64]:
    hits = np.diagonal(confusions, axis1=1, axis2=2)
    predicted = confusions.sum(1)
    return np.where(predicted > 0, hits / np.maximum(predicted, 1), np.nan)


def _f1s(confusions: NDArray[np.float64]) -> NDArray[np.float64]:
    hits = np.diagonal(confusions, axis1=1, axis2=2)
    true, predicted = confusions.sum(2), confusions.sum(1)
    return np.where(true > 0, 2 * hits / np.maximum(true + predicted, 1), np.nan)


def _present_mean(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the last axis that passes over NaN, the mark of a class without images."""
    present = ~np.isnan(scores)
    total: NDArray[np.float64] = np.where(present, scores, 0).sum(1) / present.sum(1)
    return total


def _check(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64], names: tuple[str, ...]
) -> None:
    if len(labels) == 0:
        raise DataError("there is no image to evaluate")
    if probabilities.shape != (len(labels), len(names)):
        raise ShapeError(
            f"expected {(len(labels), len(names))} probabilities, got {probabilities.shape}"
        )
    if not np.isfinite(probabilities).all():
        raise ShapeError("the network gave probabilities that are not numbers (NaN or infinite)")


def to_json(metrics: Metrics, names: tuple[str, ...]) -> dict[str, Any]:
    """JSON-safe form, with labels as keys; what cannot be said is null."""
    figures = {name: getattr(metrics, name) for name in ("accuracy", "macro_recall", "macro_f1")}
    return {
        **as_json(figures),
        **as_json(metrics.calibration),
        "classes": as_json(dict(zip(names, metrics.classes, strict=True))),
        "confusion": metrics.confusion.tolist(),
    }
