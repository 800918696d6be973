"""Bootstrap intervals: how far a figure could have come out otherwise on as many images."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
LEVEL = 0.95
_PAIRS = 500
"""Whose differences are resampled at once: 8 MB."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A measured value with the two ends of its 95 % interval."""

    value: float
    low: float
    high: float

    def plain(self, digits: int = 4) -> str:
        """`0.9251 [0.8954, 0.9533]`: value and interval as they are."""
        return f"{self.value:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}]"

    def percent(self, digits: int = 2) -> str:
        """`67.21 [65.66, 68.73]`: value and interval in per cent."""
        value, low, high = (f"{100 * v:.{digits}f}" for v in (self.value, self.low, self.high))
        return f"{value} [{low}, {high}]"


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and standard deviation of a value over runs."""

    mean: float
    sd: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Of two values or more."""
        return cls(float(np.mean(values)), float(np.std(values, ddof=1)))

    def plain(self, digits: int = 4) -> str:
        """`0.9251 ± 0.0123`: as they are."""
        return f"{self.mean:.{digits}f} ± {self.sd:.{digits}f}"

    def percent(self, digits: int = 2) -> str:
        """`67.21 ± 0.32`: in per cent."""
        return f"{100 * self.mean:.{digits}f} ± {100 * self.sd:.{digits}f}"


def bootstrap(
    size: int,
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    seed: int = 0,
) -> Estimate:
    """Percentile interval (Efron 1979) of `statistic`: (R, N) weights → (R,) figures."""
    return bootstraps(size, lambda weights: statistic(weights)[:, None], seed=seed)[0]


def bootstraps(
    size: int,
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    seed: int = 0,
) -> tuple[Estimate, ...]:
    """The same of K figures at once: `statistic` maps (R, N) weights to (R, K).

    Each of `RESAMPLES` resamples of `size` = N images is a row of weights: how often each image was
    drawn; in blocks that keep memory flat. Figures of equally many images share their resamples.
    """
    draws = _draws(size, seed)
    figures = [
        statistic(draws[start : start + 100].astype(np.float64))
        for start in range(0, RESAMPLES, 100)
    ]
    return _estimates(statistic(np.ones((1, size)))[0], np.concatenate(figures))


@functools.lru_cache(maxsize=8)
def _draws(size: int, seed: int) -> NDArray[np.uint8]:
    """(R, N) how often each image is in each resample: rarely above 10, never 256."""
    rng = np.random.default_rng(seed)
    rows = (np.bincount(rng.integers(0, size, size), minlength=size) for _ in range(RESAMPLES))
    return np.stack([row.astype(np.uint8) for row in rows])


def mean_interval(values: NDArray[np.float64], *, seed: int = 0) -> Estimate:
    """The mean of `values` (N,) with its interval."""
    return bootstrap(len(values), lambda weights: weights @ values / len(values), seed=seed)


def mean_differences(
    values: Mapping[str, NDArray[np.float64]], pairs: Sequence[tuple[str, str]], *, seed: int = 0
) -> list[Estimate]:
    """How much larger the mean of the first of each pair is: what `mean_interval` says of their
    differences, with every mean resampled once."""
    table = np.stack([*values.values()], axis=1)
    place = {name: number for number, name in enumerate(values)}
    sums = _draws(len(table), seed).astype(np.float64) @ table
    first, second = ([place[pair[n]] for pair in pairs] for n in (0, 1))
    found = []
    for start in range(0, len(pairs), _PAIRS):
        one, other = first[start : start + _PAIRS], second[start : start + _PAIRS]
        value = (table.sum(0)[one] - table.sum(0)[other]) / len(table)
        tail = (1 - LEVEL) / 2
        gaps = (sums[:, one] - sums[:, other]) / len(table)
        low, high = np.quantile(gaps, [tail, 1 - tail], axis=0)
        found += [Estimate(*map(float, ends)) for ends in zip(value, low, high, strict=True)]
    return found


def confusion_interval(
    confusion: NDArray[np.int64],
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> Estimate:
    """Interval of a figure of the confusion matrix: (R, C, C) counts → (R,)."""
    return confusion_intervals(confusion, lambda counts: statistic(counts)[:, None])[0]


def confusion_intervals(
    confusion: NDArray[np.int64],
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> tuple[Estimate, ...]:
    """Intervals of K figures of the confusion matrix: (R, C, C) counts → (R, K).

    Resampling images is resampling cells, so N images cost no more than C x C cells.
    """
    draws = _cells(tuple(confusion.ravel().tolist()))
    resampled = statistic(draws.reshape(-1, *confusion.shape))
    return _estimates(statistic(confusion[None].astype(np.float64))[0], resampled)


@functools.lru_cache(maxsize=1)
def _cells(counts: tuple[int, ...]) -> NDArray[np.float64]:
    """(R, cells) resampled counts: the figures of one matrix share them."""
    total = sum(counts)
    chances = np.array(counts) / total
    return np.random.default_rng(0).multinomial(total, chances, size=RESAMPLES).astype(np.float64)


def _estimates(values: NDArray[np.float64], resampled: NDArray[np.float64]) -> tuple[Estimate, ...]:
    """Of (K,) figures and the same (R, K) of each resample."""
    pairs = zip(values, resampled.T, strict=True)
    return tuple(Estimate(float(value), *_ends(column)) for value, column in pairs)


def _ends(figures: NDArray[np.float64]) -> tuple[float, float]:
    if np.isnan(figures).all():
        return np.nan, np.nan
    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile(figures, [tail, 1 - tail])
    return float(low), float(high)
