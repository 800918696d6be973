import math

import pytest

from mien.recipe import Schedule
from mien.train.schedules import factor_of

DROP = math.exp(-0.1)


@pytest.mark.parametrize(
    ("schedule", "done", "expected"),
    [
        ({"name": "constant"}, 17.5, 1),
        ({"name": "plateau"}, 17.5, 1),
        ({"name": "exponential"}, 0, 1),
        ({"name": "exponential"}, 9.99, 1),
        ({"name": "exponential"}, 10, DROP),
        ({"name": "exponential"}, 10.99, DROP),
        ({"name": "exponential"}, 11, DROP**2),
        ({"name": "exponential"}, 19.5, DROP**10),
        ({"name": "exponential", "hold_epochs": 0}, 0, DROP),
        ({"name": "exponential", "hold_epochs": 2, "rate": 1.0}, 3, math.exp(-2)),
        ({"name": "cosine", "warmup_epochs": 2}, 0, 0),
        ({"name": "cosine", "warmup_epochs": 2}, 1, 0.5),
        ({"name": "cosine", "warmup_epochs": 2}, 2, 1),
        ({"name": "cosine", "warmup_epochs": 2}, 11, 0.5),
        ({"name": "cosine", "warmup_epochs": 2}, 20, 0),
        ({"name": "cosine", "warmup_epochs": 2}, 21, 0),
        ({"name": "cosine", "warmup_epochs": 0}, 0, 1),
        ({"name": "cosine", "warmup_epochs": 20}, 20, 1),
        ({"name": "cosine", "warmup_epochs": 30}, 15, 0.5),
    ],
)
def test_the_factor_after_some_epochs_of_twenty(schedule, done, expected):
    assert factor_of(Schedule(**schedule), 20)(done) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("warmup", [0, 1, 2.5])
def test_cosine_rises_once_and_then_only_falls(warmup):
    factor = factor_of(Schedule(name="cosine", warmup_epochs=warmup), 10)
    values = [factor(step / 10) for step in range(101)]
    peak = values.index(max(values))
    assert peak == pytest.approx(warmup * 10)
    assert values[: peak + 1] == sorted(values[: peak + 1])
    assert values[peak:] == sorted(values[peak:], reverse=True)
