import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar as reference
from statsmodels.stats.multitest import multipletests

from mien.evaluate.paired import differences, holm, mcnemar


@pytest.mark.parametrize(("wins", "losses"), [(0, 1), (5, 5), (12, 3), (281, 214), (0, 40)])
def test_mcnemar_is_that_of_statsmodels(wins: int, losses: int):
    expected = reference([[100, wins], [losses, 50]], exact=True).pvalue
    assert mcnemar(wins, losses) == pytest.approx(expected)


def test_models_that_never_differ_differ_by_chance():
    assert mcnemar(0, 0) == 1


@pytest.mark.parametrize("seed", range(5))
def test_holm_is_that_of_statsmodels(seed: int):
    chances = np.random.default_rng(seed).random(8) ** 4
    expected = multipletests(chances, method="holm")[1]
    assert holm(list(chances)) == pytest.approx(list(expected))
    assert holm([]) == []


def test_all_pairs_are_compared_and_corrected():
    rng = np.random.default_rng(0)
    right = {name: rng.random(1000) < skill for name, skill in (("a", 0.5), ("b", 0.6), ("c", 0.6))}
    found = differences(right)
    assert len(found) == 3
    for d in found:
        gap = right[d.better].mean() - right[d.worse].mean()
        assert d.accuracy.value == pytest.approx(gap)
        assert (d.wins - d.losses) / 1000 == pytest.approx(gap)
        assert d.adjusted >= d.p
    assert {d.worse for d in found if d.real} == {"a"}


def test_a_model_is_not_better_than_itself():
    same = np.arange(100) % 3 > 0
    (found,) = differences({"one": same, "two": same.copy()})
    assert not found.real
    assert (found.accuracy.low, found.accuracy.value, found.accuracy.high) == (0, 0, 0)
