"""Is one model really better than another? Paired tests on the same images."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.evaluate.intervals import Estimate, mean_interval
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
    counts = [
        (int((right[a] & ~right[b]).sum()), int((right[b] & ~right[a]).sum())) for a, b in pairs
    ]
    chances = [mcnemar(wins, losses) for wins, losses in counts]
    return [
        Difference(
            better,
            worse,
            mean_interval(right[better].astype(float) - right[worse]),
            wins,
            losses,
            p,
            adjusted,
        )
        for (better, worse), (wins, losses), p, adjusted in zip(
            pairs, counts, chances, holm(chances), strict=True
        )
    ]


def mcnemar(wins: int, losses: int) -> float:
    """Exact two-sided p-value that `wins` and `losses` are equally likely; 1 without any."""
    if wins + losses == 0:
        return 1.0
    stats = need("scipy.stats", extra="report")
    return float(stats.binomtest(wins, wins + losses).pvalue)


def holm(chances: Sequence[float]) -> list[float]:
    """p-values adjusted step by step, the smallest times their number (Holm 1979)."""
    order = np.argsort(chances, kind="stable")
    steps = np.arange(len(chances), 0, -1)
    grown = np.maximum.accumulate(np.asarray(chances, float)[order] * steps)
    adjusted = np.empty(len(chances))
    adjusted[order] = np.minimum(grown, 1)
    return [float(value) for value in adjusted]
