import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.recipes.schema import Schedule
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


EPOCHS = st.integers(1, 200)
DONE = st.floats(0, 250)
LAWS = settings(max_examples=50, deadline=None, derandomize=True)


@LAWS
@given(EPOCHS, st.floats(0, 50), DONE)
def test_cosine_stays_between_nothing_and_all_and_is_even_about_its_middle(epochs, warmup, done):
    factor = factor_of(Schedule(name="cosine", warmup_epochs=warmup), epochs)
    assert 0 <= factor(done) <= 1
    if warmup < epochs - 0.01:
        before, after = (warmup + epochs) / 2 - done, (warmup + epochs) / 2 + done
        if before > warmup:
            assert factor(before) + factor(after) == pytest.approx(1)


@LAWS
@given(EPOCHS, st.integers(0, 30), st.floats(0.01, 2), DONE)
def test_exponential_falls_by_its_rate_with_each_epoch_after_those_it_holds(
    epochs, hold, rate, done
):
    factor = factor_of(Schedule(name="exponential", hold_epochs=hold, rate=rate), epochs)
    assert 0 <= factor(done) <= 1
    assert factor(math.floor(done)) == factor(done)
    if done < hold:
        assert factor(done) == 1
    else:
        assert factor(done + 1) == pytest.approx(factor(done) * math.exp(-rate))


@pytest.mark.parametrize("warmup", [0, 1, 2.5])
def test_cosine_rises_once_and_then_only_falls(warmup):
    factor = factor_of(Schedule(name="cosine", warmup_epochs=warmup), 10)
    values = [factor(step / 10) for step in range(101)]
    peak = values.index(max(values))
    assert peak == pytest.approx(warmup * 10)
    assert values[: peak + 1] == sorted(values[: peak + 1])
    assert values[peak:] == sorted(values[peak:], reverse=True)
