from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from mien.evaluate import intervals
from mien.evaluate.intervals import (
    Estimate,
    bootstrap,
    confusion_interval,
    confusion_intervals,
    mean_interval,
)
from mien.evaluate.metrics import macro_f1, macro_recall
from mien.values import as_json

CONFUSION = np.array([[60, 20, 5], [10, 80, 10], [5, 25, 30]])
VALUES = arrays(np.float64, st.integers(1, 12), elements=st.floats(-100, 100))


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """No test is told what another drew."""
    intervals._draws.cache_clear()
    yield
    intervals._draws.cache_clear()


def shares(counts: np.ndarray) -> np.ndarray:
    """(R, C, C) → (R, C): of each cell of the diagonal, the share of all images."""
    return np.diagonal(counts, axis1=1, axis2=2) / counts.sum((1, 2))[:, None]


@pytest.mark.parametrize("share", [0.5, 0.67, 0.95])
def test_the_interval_of_a_share_is_that_of_the_binomial(share: float):
    """Near enough that a level of 0.94 or 0.96 would be noticed half the time, 0.9 always."""
    n = 3589
    right = (np.arange(n) < share * n).astype(float)
    figure = mean_interval(right)
    assert figure.value == pytest.approx(right.mean())
    low, high = stats.binom.ppf([0.025, 0.975], n, right.mean()) / n
    near = 0.15 * right.std() / n**0.5
    assert (figure.low, figure.high) == pytest.approx((low, high), abs=near)


def test_the_interval_of_a_mean_agrees_with_scipy():
    values = np.random.default_rng(0).exponential(size=400)
    figure = mean_interval(values)
    theirs = stats.bootstrap((values,), np.mean, method="percentile", rng=1).confidence_interval
    near = 0.15 * values.std() / 20
    assert (figure.low, figure.high) == pytest.approx((theirs.low, theirs.high), abs=near)


@pytest.mark.parametrize("seed", [None, 0, 7])
def test_resampled_images_one_by_one_have_the_same_interval(seed: int | None):
    """2,000 times as many images are drawn with replacement; without a seed it is 0."""
    values = np.random.default_rng(3).normal(size=60)
    rng = np.random.default_rng(seed or 0)
    means = [values[rng.integers(0, 60, 60)].mean() for _ in range(2000)]
    figure = mean_interval(values) if seed is None else mean_interval(values, seed=seed)
    assert (figure.low, figure.high) == pytest.approx(np.percentile(means, [2.5, 97.5]))
    assert figure.value == pytest.approx(values.mean())


def test_the_statistic_gets_weights_of_whole_resamples_and_once_the_images_as_they_are():
    given: list[np.ndarray] = []

    def count(weights: np.ndarray) -> np.ndarray:
        given.append(weights)
        return weights[:, 0]

    figure = bootstrap(7, count)
    *resampled, whole = given
    assert whole.tolist() == [[1] * 7]
    assert figure.value == 1
    rows = np.concatenate(resampled)
    assert rows.shape == (2000, 7)
    assert (rows.sum(1) == 7).all()
    assert max(map(len, resampled)) <= 100, "in blocks that keep memory flat"


@pytest.mark.parametrize("statistic", [macro_recall, macro_f1])
def test_an_interval_of_the_confusion_matrix_holds_its_value_and_narrows_with_images(statistic):
    few, many = (confusion_interval(CONFUSION * k, statistic) for k in (1, 25))
    assert few.low < few.value < few.high
    assert many.value == pytest.approx(few.value)
    assert many.high - many.low == pytest.approx((few.high - few.low) / 5, rel=0.15)


def test_the_confusion_matrix_and_its_images_have_the_same_interval():
    """Images, written out: whether each is in a cell of the diagonal."""
    found = confusion_intervals(CONFUSION, shares)
    for cell, figure in enumerate(found):
        inside = np.repeat([1.0, 0.0], [CONFUSION[cell, cell], 245 - CONFUSION[cell, cell]])
        by_image = mean_interval(inside)
        near = 0.2 * inside.std() / 245**0.5
        assert figure.value == pytest.approx(by_image.value)
        assert (figure.low, figure.high) == pytest.approx((by_image.low, by_image.high), abs=near)


def test_images_are_drawn_from_the_cells_of_the_confusion_matrix():
    """As many as there are, 2,000 times, from seed 0: so that published figures come out again."""
    drawn = np.random.default_rng(0).multinomial(245, CONFUSION.ravel() / 245, 2000)
    for cell, figure in enumerate(confusion_intervals(CONFUSION, shares)):
        expected = np.percentile(drawn[:, 4 * cell] / 245, [2.5, 97.5])
        assert (figure.low, figure.high) == pytest.approx(tuple(expected))


@pytest.mark.parametrize(
    "make",
    [
        lambda: mean_interval(np.random.default_rng(0).random(50)),
        lambda: mean_interval(np.random.default_rng(0).random(50), seed=4),
        lambda: confusion_interval(CONFUSION, macro_recall),
        lambda: confusion_intervals(CONFUSION, shares),
    ],
    ids=["mean", "mean of a seed", "confusion", "figures of a confusion"],
)
def test_the_same_images_have_the_same_interval_every_time(make: Callable[[], object]):
    first = make()
    intervals._draws.cache_clear()
    assert make() == first


def test_another_seed_is_another_interval_of_the_same_value():
    values = np.random.default_rng(0).random(50)
    one, other = (mean_interval(values, seed=seed) for seed in (4, 5))
    assert one.value == other.value
    assert (one.low, one.high) != (other.low, other.high)


def test_one_image_says_nothing_about_others():
    assert mean_interval(np.array([0.25])) == Estimate(0.25, 0.25, 0.25)


def test_what_no_resample_has_is_nan_and_what_some_lack_is_not_asked_of_them():
    def statistic(counts: np.ndarray) -> np.ndarray:
        """Share of the second class: not a number without an image of the first."""
        first, second = counts[:, 0, 0], counts[:, 1, 1]
        return np.where(first > 0, second / (first + second), np.nan)

    some = confusion_interval(np.diag([2, 1]), statistic)
    assert (some.low, some.high) == pytest.approx((0, 2 / 3))
    none = confusion_interval(np.diag([0, 3]), statistic)
    assert np.isnan([none.value, none.low, none.high]).all()


@settings(max_examples=20, deadline=None, derandomize=True)
@given(VALUES, st.floats(-10, 10), st.floats(-50, 50))
def test_an_interval_lies_among_its_values_and_changes_with_their_unit(
    values: np.ndarray, by: float, plus: float
):
    here, there = mean_interval(values), mean_interval(by * values + plus)
    near = 1e-6
    assert values.min() - near <= here.low <= here.high <= values.max() + near
    assert here.value == pytest.approx(values.mean(), abs=near)
    expected = [by * end + plus for end in (here.value, *sorted((here.low, here.high)))]
    assert [there.value, there.low, there.high] == pytest.approx(
        [expected[0], *sorted(expected[1:])], abs=near
    )


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (Estimate.percent, "67.21 [65.66, 68.73]"),
        (lambda f: f.percent(1), "67.2 [65.7, 68.7]"),
        (lambda f: f.percent(0), "67 [66, 69]"),
        (Estimate.plain, "0.6721 [0.6566, 0.6873]"),
        (lambda f: f.plain(3), "0.672 [0.657, 0.687]"),
    ],
)
def test_a_figure_in_words(told: Callable[[Estimate], str], expected: str):
    assert told(Estimate(0.67211, 0.6566, 0.6873)) == expected


def test_what_cannot_be_said_is_null():
    assert as_json(Estimate(0.5, 0.25, 0.75)) == {"value": 0.5, "low": 0.25, "high": 0.75}
    assert as_json(Estimate(0.5, np.nan, np.nan)) == {"value": 0.5, "low": None, "high": None}
