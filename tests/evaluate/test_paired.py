import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar as reference
from statsmodels.stats.multitest import multipletests

from mien.evaluate.intervals import Estimate, mean_interval
from mien.evaluate.paired import Difference, differences, holm, mcnemar

CHANCES = st.lists(st.floats(0, 1) | st.sampled_from([0.0, 0.01, 0.02, 0.05, 1.0]), max_size=6)
law = settings(max_examples=50, deadline=None, derandomize=True)


@pytest.mark.parametrize(("wins", "losses"), [(0, 1), (5, 5), (12, 3), (281, 214), (0, 40)])
def test_mcnemar_is_that_of_statsmodels(wins: int, losses: int):
    expected = reference([[100, wins], [losses, 50]], exact=True).pvalue
    assert mcnemar(wins, losses) == pytest.approx(expected)


def test_mcnemar_by_hand():
    assert mcnemar(0, 0) == 1, "models that never differ"
    assert mcnemar(0, 4) == pytest.approx(2 / 2**4), "four of four, on either side"
    assert mcnemar(4, 1) == pytest.approx(2 * (1 + 5) / 2**5)


@law
@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_takes_no_side(wins: int, losses: int):
    assert mcnemar(wins, losses) == pytest.approx(mcnemar(losses, wins))
    assert 0 < mcnemar(wins, losses) <= 1


def test_holm_by_hand():
    """The smallest is multiplied by three, the next by two, and none falls below one before it."""
    assert holm([0.03, 0.01, 0.04]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.01, 0.6]) == pytest.approx([0.02, 0.6])
    assert holm([0.7, 0.9]) == [1, 1]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


@pytest.mark.parametrize("seed", range(3))
def test_holm_is_that_of_statsmodels(seed: int):
    chances = np.random.default_rng(seed).random(8) ** 4
    assert holm(chances) == pytest.approx(list(multipletests(chances, method="holm")[1]))


@law
@given(CHANCES)
def test_holm_is_bonferroni_s_correction_of_every_set_of_pairs(chances: list[float]):
    """Closed testing (Marcus, Peritz & Gabriel 1976): a pair must pass in all sets it is in."""
    places = range(len(chances))
    sets = [s for size in places for s in itertools.combinations(places, size + 1)]
    worst = [
        max(min(1, len(s) * min(chances[i] for i in s)) for s in sets if place in s)
        for place in places
    ]
    assert holm(chances) == pytest.approx(worst)


@law
@given(CHANCES, st.randoms(use_true_random=False))
def test_holm_does_not_ask_in_which_order_pairs_were_compared(chances: list[float], random):
    order = list(range(len(chances)))
    random.shuffle(order)
    found = holm(chances)
    assert holm([chances[i] for i in order]) == pytest.approx([found[i] for i in order])
    assert all(p <= adjusted <= 1 for p, adjusted in zip(chances, found, strict=True))


def models(**right: str) -> dict[str, np.ndarray]:
    """`1` where a model is right."""
    return {name: np.array([mark == "1" for mark in marks]) for name, marks in right.items()}


def test_a_difference_by_hand():
    (found,) = differences(models(weak="1100010000", strong="1011110011"))
    assert (found.better, found.worse) == ("strong", "weak")
    assert (found.wins, found.losses) == (5, 1)
    assert found.accuracy.value == pytest.approx(0.4)
    assert found.p == found.adjusted == pytest.approx(2 * (1 + 6) / 2**6)
    assert not found.real


def test_the_interval_of_a_difference_is_that_of_the_same_images():
    """Two models that err on the same images but one are told apart by that one alone."""
    shared = np.arange(400) % 2 > 0
    more = shared.copy()
    more[:40:2] = True
    (found,) = differences({"less": shared, "more": more})
    assert found.accuracy == mean_interval(more.astype(float) - shared)
    assert 0.025 < found.accuracy.low < 0.05 < found.accuracy.high < 0.075
    assert found.real


def test_of_models_that_are_equally_right_the_first_is_named_first():
    (found,) = differences(models(one="1100", two="0011"))
    assert (found.better, found.worse, found.wins, found.losses) == ("one", "two", 2, 2)
    assert found.accuracy.value == 0


def test_all_pairs_are_compared_and_corrected_together():
    rng = np.random.default_rng(0)
    skills = {"a": 0.5, "b": 0.6, "c": 0.62, "d": 0.53}
    right = {name: rng.random(1000) < skill for name, skill in skills.items()}
    found = differences(right)
    assert [{d.better, d.worse} for d in found] == [
        *({"a", "b"}, {"a", "c"}, {"a", "d"}, {"b", "c"}, {"b", "d"}, {"c", "d"})
    ]
    for d in found:
        better, worse = right[d.better], right[d.worse]
        assert d.accuracy.value == pytest.approx(better.mean() - worse.mean())
        assert d.accuracy.value >= 0
        assert (d.wins, d.losses) == ((better > worse).sum(), (worse > better).sum())
        assert d.p == mcnemar(d.wins, d.losses)
    corrected = multipletests([d.p for d in found], method="holm")[1]
    assert [d.adjusted for d in found] == pytest.approx(list(corrected))
    assert all(d.adjusted > 1.5 * d.p for d in found if d.p < 0.3), "and it matters here"
    assert {(d.better, d.worse) for d in found if d.real} == {
        *(("b", "a"), ("c", "a"), ("d", "a"), ("b", "d"), ("c", "d"))
    }


@pytest.mark.parametrize(("adjusted", "real"), [(0.0499, True), (0.05, False), (0.3, False)])
def test_a_difference_is_real_by_its_corrected_chance(adjusted: float, real: bool):
    found = Difference("a", "b", Estimate(0.1, 0, 0.2), 9, 1, 0.001, adjusted)
    assert found.real is real


def test_a_model_is_not_better_than_itself():
    same = np.arange(100) % 3 > 0
    (found,) = differences({"one": same, "two": same.copy()})
    assert not found.real
    assert (found.p, found.wins, found.losses) == (1, 0, 0)
    assert found.accuracy == Estimate(0, 0, 0)


def test_one_model_has_nobody_to_be_compared_with():
    assert differences(models(alone="110")) == []
