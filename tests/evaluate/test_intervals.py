import numpy as np
import pytest
from scipy import stats

from mien.evaluate.intervals import Figure, confusion_interval, mean_interval
from mien.evaluate.metrics import macro_f1, macro_recall


@pytest.mark.parametrize("share", [0.5, 0.67, 0.95])
def test_the_interval_of_a_share_agrees_with_the_binomial(share: float):
    n = 3589
    right = (np.arange(n) < share * n).astype(float)
    figure = mean_interval(right)
    exact = stats.binomtest(int(right.sum()), n).proportion_ci(method="exact")
    assert figure.value == pytest.approx(right.mean())
    assert figure.low == pytest.approx(exact.low, abs=0.003)
    assert figure.high == pytest.approx(exact.high, abs=0.003)


def test_the_interval_of_a_mean_agrees_with_scipy():
    values = np.random.default_rng(0).exponential(size=400)
    figure = mean_interval(values)
    theirs = stats.bootstrap((values,), np.mean, method="percentile", rng=1).confidence_interval
    assert figure.low == pytest.approx(theirs.low, abs=0.02)
    assert figure.high == pytest.approx(theirs.high, abs=0.02)


@pytest.mark.parametrize("statistic", [macro_recall, macro_f1])
def test_an_interval_holds_its_value_and_narrows_with_images(statistic):
    confusion = np.array([[60, 20, 5], [10, 80, 10], [5, 25, 30]])
    few, many = (confusion_interval(confusion * k, statistic) for k in (1, 25))
    assert few.low < few.value < few.high
    assert many.value == pytest.approx(few.value)
    assert many.high - many.low < 0.3 * (few.high - few.low)


def test_one_seed_one_interval():
    values = np.random.default_rng(0).random(50)
    assert mean_interval(values, seed=4) == mean_interval(values, seed=4)


def test_percent():
    assert Figure(0.67211, 0.6566, 0.6873).percent() == "67.21 [65.66, 68.73]"
