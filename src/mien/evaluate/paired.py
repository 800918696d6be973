"""Is one model really better than another? Paired tests on the same images."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.evaluate.intervals import Estimate, mean_differences
from mien.extras import need

SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Difference:
    """How much more accurate `better` is than `worse` on the same images.

    `accuracy` is the difference with its paired bootstrap interval; `wins` and `losses` count the
    images that only one of the two got right; `p` is McNemar's (1947) exact two-sided probability
    of so uneven a split by chance, `adjusted` the same after Holm's (1979) correction for all
    pairs that were compared.
    """

    better: str
    worse: str
    accuracy: Estimate
    wins: int
    losses: int
    p: float
    adjusted: float

    @property
    def real(self) -> bool:
        """Whether chance alone is an unlikely reason."""
        return self.adjusted < SIGNIFICANT


def differences(right: dict[str, NDArray[np.bool_]]) -> list[Difference]:
    """All pairs of models, from which of the (N,) images each got right."""
    pairs = [
        (one, other) if right[one].mean() >= right[other].mean() else (other, one)
        for one, other in itertools.combinations(right, 2)
    ]
    if not pairs:
        return []
    answers = {name: found.astype(np.float64) for name, found in right.items()}
    place = {name: number for number, name in enumerate(answers)}
    hits = np.stack([*answers.values()])
    both = hits @ hits.T
    first, second = ([place[pair[n]] for pair in pairs] for n in (0, 1))
    wins, losses = (
        np.asarray(np.diag(both)[one] - both[first, second], int) for one in (first, second)
    )
    chances = mcnemar(wins, losses).tolist()
    columns = (mean_differences(answers, pairs), wins.tolist(), losses.tolist(), chances)
    return [
        Difference(*pair, *told) for pair, *told in zip(pairs, *columns, holm(chances), strict=True)
    ]


def mcnemar(wins: ArrayLike, losses: ArrayLike) -> NDArray[np.float64]:
    """Exact two-sided p-values that `wins` and `losses` are equally likely; 1 without any."""
    stats = need("scipy.stats", extra="report")
    tails = stats.binom.cdf(np.minimum(wins, losses), np.add(wins, losses), 0.5)
    return np.asarray(np.minimum(2 * tails, 1))


def holm(chances: Sequence[float]) -> list[float]:
    """p-values adjusted step by step, the smallest times their number (Holm 1979)."""
    order = np.argsort(chances, kind="stable")
    steps = np.arange(len(chances), 0, -1)
    grown = np.maximum.accumulate(np.asarray(chances, float)[order] * steps)
    adjusted = np.empty(len(chances))
    adjusted[order] = np.minimum(grown, 1)
    return [float(value) for value in adjusted]
