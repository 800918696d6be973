"""Learning-rate factors as functions of the epoch, a fraction between whole epochs."""

import math
from collections.abc import Callable

from mien.recipes.schema import Schedule


def factor_of(schedule: Schedule, epochs: int) -> Callable[[float], float]:
    """Epochs done → factor on the learning rate. `plateau` is 1: it is driven by the loss."""
    if schedule.name == "exponential":
        return lambda done: exponential(done, schedule.hold_epochs, schedule.rate)
    if schedule.name == "cosine":
        return lambda done: cosine(done, epochs, schedule.warmup_epochs)
    return lambda _done: 1.0


def exponential(done: float, hold_epochs: int, rate: float) -> float:
    """1 for `hold_epochs`, then x exp(-rate) with each epoch that begins."""
    return math.exp(-rate * max(0, math.floor(done) - hold_epochs + 1))


def cosine(done: float, epochs: int, warmup_epochs: float) -> float:
    """Linear rise from 0, then half a cosine down to 0."""
    if done < warmup_epochs:
        return done / warmup_epochs
    progress = (done - warmup_epochs) / max(1e-9, epochs - warmup_epochs)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
