"""Bootstrap intervals: how far a figure could have come out otherwise on as many images."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
LEVEL = 0.95


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
    """Percentile interval (Efron 1979) of `statistic`, which maps (R, N) weights to (R,) figures.

    Each of `RESAMPLES` resamples of `size` = N images is a row of weights: how often each image was
    drawn; in blocks that keep memory flat. Figures of equally many images share their resamples.
    """
    draws = _draws(size, seed)
    figures = [
        statistic(draws[start : start + 100].astype(np.float64))
        for start in range(0, RESAMPLES, 100)
    ]
    low, high = _ends(np.concatenate(figures))
    return Estimate(float(statistic(np.ones((1, size)))[0]), low, high)


@functools.lru_cache(maxsize=4)
def _draws(size: int, seed: int) -> NDArray[np.uint8]:
    """(R, N) how often each image is in each resample: rarely above 10, never 256."""
    rng = np.random.default_rng(seed)
    rows = (np.bincount(rng.integers(0, size, size), minlength=size) for _ in range(RESAMPLES))
    return np.stack([row.astype(np.uint8) for row in rows])


def mean_interval(values: NDArray[np.float64], *, seed: int = 0) -> Estimate:
    """The mean of `values` (N,) with its interval."""
    return bootstrap(len(values), lambda weights: weights @ values / len(values), seed=seed)


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
    total = int(confusion.sum())
    chances = confusion.ravel() / total
    draws = np.random.default_rng(0).multinomial(total, chances, size=RESAMPLES)
    resampled = statistic(draws.reshape(-1, *confusion.shape).astype(np.float64))
    values = statistic(confusion[None].astype(np.float64))[0]
    return tuple(
        Estimate(float(value), *_ends(column))
        for value, column in zip(values, resampled.T, strict=True)
    )


def _ends(figures: NDArray[np.float64]) -> tuple[float, float]:
    if np.isnan(figures).all():
        return np.nan, np.nan
    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile(figures, [tail, 1 - tail])
    return float(low), float(high)
