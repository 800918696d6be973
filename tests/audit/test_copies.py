import numpy as np
import pytest

pytest.importorskip("scipy")

from mien.audit.copies import NEAR, find_copies
from mien.audit.groups import check_copies, grouped
from mien.audit.pool import pool
from mien.data import Dataset, Split
from mien.data.drawn import draw_face


def faces(number: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([draw_face("neutral", rng) for _ in range(number)])


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_few_pictures_without_a_copy(number: int) -> None:
    small = faces(3)[:number]
    copies = find_copies(small, np.arange(number), np.zeros(number, bool))
    assert copies.near.shape == (number,)
    assert len(set(copies.near.tolist())) == number
    assert (copies.score == 0).all()
    assert (copies.partner == -1).all()


def test_equal_pixels_are_a_copy_even_where_nothing_can_be_seen() -> None:
    small = np.zeros((3, 48, 48), np.uint8)
    small[2] = 255
    copies = find_copies(small, np.array([0, 0, 1]), np.ones(3, bool))
    assert copies.near.tolist()[0] == copies.near.tolist()[1] != copies.near.tolist()[2]
    assert copies.score.tolist() == [1, 1, 0]
    assert copies.partner.tolist() == [1, 0, -1]


def test_a_chain_of_copies_is_one_group() -> None:
    small = faces(30)
    chain = [np.roll(small[0], step, axis=1) for step in (2, 4)]
    every = np.concatenate([small, chain])
    copies = find_copies(every, np.arange(32), np.zeros(32, bool))
    assert copies.near[0] == copies.near[30] == copies.near[31]
    assert sum(1 for _ in grouped(copies.near)) == 1
    assert (copies.score[[0, 30, 31]] >= NEAR[0]).all()


def dataset(**splits: list[tuple[int, int]]) -> Dataset:
    """Splits of (tone, label): equal tones are equal pixels."""
    parts = {
        name: Split(
            name,
            np.array([[[tone, 0], [tone, tone]] for tone, _ in rows], np.uint8),
            np.array([label for _, label in rows], np.int64),
            np.array([f"{name}/{number}" for number in range(len(rows))]),
        )
        for name, rows in splits.items()
    }
    return Dataset("tones", ("no", "yes"), parts)


CASES = {
    "leak": ({"train": [(50, 0)], "public": [(50, 0)]}, {"MD301": 2}),
    "conflict": ({"train": [(50, 0), (50, 1), (80, 0)]}, {"MD303": 2, "MD305": 2}),
    "repeated": ({"train": [(50, 0), (50, 0)]}, {"MD305": 2}),
    "two tests": ({"public": [(50, 0)], "private": [(50, 0)]}, {"MD307": 2}),
    "all": (
        {"train": [(50, 0)], "public": [(50, 0), (50, 0)], "private": [(50, 1)]},
        {"MD301": 4, "MD303": 4, "MD305": 2, "MD307": 3},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_fault_of_equal_pictures_has_its_code(case: str) -> None:
    splits, expected = CASES[case]
    seen = pool(dataset(**splits))
    copies = find_copies(seen.small, seen.twins, np.ones(len(seen), bool))
    found: dict[str, int] = {}
    for finding in check_copies(seen, copies):
        found[finding.check.code] = found.get(finding.check.code, 0) + 1
        assert finding.detail.startswith("same pixels as ")
    assert found == expected


def test_fer2013_has_278_public_pictures_in_training(fer2013: Dataset) -> None:
    seen = pool(fer2013)
    copies = find_copies(seen.small, seen.twins, np.ones(len(seen), bool))
    found = list(check_copies(seen, copies))
    leaks = [f for f in found if f.check.code == "MD301" and f.split == "public"]
    assert len(leaks) == 278
    assert max(f.group or 0 for f in found if f.check.code == "MD303") == 49
