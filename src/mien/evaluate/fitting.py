"""What a bundle's card says of its answers, fitted on images that it was not trained on."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.bundle import CARD_FILE, Bundle, temper
from mien.card import Measured
from mien.data import Dataset
from mien.errors import InputError
from mien.evaluate.evaluation import TESTS, Evaluation, evaluate
from mien.extras import need

CALIBRATED_FROM = 100
"""Fewer images say too little about a temperature."""
_TRAINED_ON = "train"
_FLOOR = 1e-12


def calibrate(
    bundle: Bundle,
    data: Dataset,
    split: str,
    *,
    views: str | None = None,
    votes: Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> tuple[Evaluation, Bundle]:
    """Measure `bundle` on `split` of `data` and write what was found into its card.

    The card gets the `views` (default: its own), the temperature that fits best (from
    `CALIBRATED_FROM` images on), the threshold of `unsure`, and accuracy and field accuracy, which
    replace those measured before on the same images. Returns the evaluation with the new
    temperature, and the bundle as it is now. `progress` is told the pictures done: each image and
    its framings; `votes` is as in `evaluate`. Raises InputError as `check_calibration`.
    """
    check_calibration(bundle, split)
    evaluation = evaluate(bundle, data, split, progress, views=views, votes=votes, jitter=True)
    if len(evaluation.truth) >= CALIBRATED_FROM:
        evaluation = tempered(evaluation)
    measured = measured_of(evaluation)
    card = dataclasses.replace(
        bundle.card,
        views=evaluation.views,
        temperature=evaluation.temperature,
        unsure_below=evaluation.unsure_below,
        measured=(*(m for m in bundle.card.measured if m.digest != measured.digest), measured),
    )
    card.save(bundle.folder / CARD_FILE)
    return evaluation, dataclasses.replace(bundle, card=card)


def check_calibration(bundle: Bundle, split: str) -> None:
    """InputError for a bundle in the package, and for a split that is trained on or kept for
    tests."""
    if bundle.is_shipped:
        raise InputError(
            f"{bundle.card.name} is shipped with mien and is not changed; copy {bundle.folder} "
            "and give the copy"
        )
    if split in TESTS:
        raise InputError(f"{split} is a test: fit the temperature on public or val")
    if split == _TRAINED_ON:
        raise InputError(
            "a network is surer of what it was trained on: fit the temperature on public or val"
        )


def tempered(evaluation: Evaluation) -> Evaluation:
    """The same with the temperature that fits its images best."""
    factor = fit_temperature(evaluation.probabilities, evaluation.truth)
    temperature = round(evaluation.temperature * factor, 4)
    return dataclasses.replace(
        evaluation,
        temperature=temperature,
        probabilities=temper(evaluation.probabilities, temperature / evaluation.temperature),
    )


def measured_of(evaluation: Evaluation) -> Measured:
    """The accuracies of an evaluation as a card holds them."""
    accuracy, field = evaluation.metrics().accuracy, evaluation.field_accuracy
    return Measured(
        data=evaluation.data,
        split=evaluation.split,
        images=len(evaluation.truth),
        digest=evaluation.digest,
        accuracy=accuracy.value,
        low=accuracy.low,
        high=accuracy.high,
        field_accuracy=None if field is None else field.value,
        field_low=None if field is None else field.low,
        field_high=None if field is None else field.high,
    )


def fit_temperature(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The temperature that gives (N, C) `probabilities` the least loss against (N,) `labels`
    (Guo et al. 2017), between 1/20 and 20."""
    optimize, special = (need(f"scipy.{name}", extra="report") for name in ("optimize", "special"))
    logs = np.log(np.maximum(probabilities, _FLOOR))
    rows = np.arange(len(labels))

    def loss(inverse: float) -> float:
        return -float(special.log_softmax(inverse * logs, axis=1)[rows, labels].mean())

    # The loss has one minimum along the inverse temperature.
    found = optimize.minimize_scalar(loss, bounds=(1 / 20, 20), options={"xatol": 1e-6})
    return float(1 / found.x)
