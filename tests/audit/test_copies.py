import numpy as np
import pytest
from PIL import Image

pytest.importorskip("scipy")

from mien.audit import copies as searching
from mien.audit.copies import (
    NEAR,
    Copies,
    _details,
    check_copies,
    confirm,
    find_copies,
    grouped,
    plain,
    propose,
    threshold,
)
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


def framed(faces: np.ndarray, factor: float) -> np.ndarray:
    """(N, 48, 48) the middle of larger faces, `factor` times as large as at 1."""
    half = 35 / factor
    box = (48 - half, 48 - half, 48 + half, 48 + half)
    small = [
        Image.fromarray(face).resize((48, 48), Image.Resampling.BILINEAR, box) for face in faces
    ]
    return np.stack([np.asarray(image) for image in small])


@pytest.fixture(scope="module")
def large() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.stack([draw_face("neutral", rng, 96) for _ in range(12)])


def pairs_of(number: int, mirrored: int = 0) -> np.ndarray:
    """The first of `number` pictures with the first of as many others, and so on."""
    rows = np.arange(number)
    return np.stack([rows, rows + number, np.full(number, mirrored)], 1)


@pytest.mark.parametrize("factor", [0.91, 0.94, 0.97, 1, 1.03, 1.06, 1.09])
def test_the_same_photo_in_another_frame_agrees_in_its_details(large: np.ndarray, factor: float):
    """Whichever of the two is the larger; at one scale alone they would not."""
    both = np.concatenate([framed(large, 1), framed(large, factor)])
    details = np.stack([_details(image) for image in both])
    for pairs in (pairs_of(12), pairs_of(12)[:, [1, 0, 2]]):
        assert confirm(details, pairs).min() > 0.93
    other = pairs_of(12)
    other[:, 1] = np.roll(other[:, 1], 1)
    assert confirm(details, other).max() < 0.9, "other faces do not"


@pytest.mark.parametrize("factor", [0.93, 1.08])
def test_photos_in_another_frame_are_found_among_others(large: np.ndarray, factor: float):
    every = np.concatenate([faces(40), framed(large, 1), framed(large, factor)])
    found = find_copies(every, np.arange(64), np.zeros(64, bool))
    copies = [*range(52, 64), *range(40, 52)]
    assert sum(found.partner[40:] == copies) >= 22
    assert np.isin(found.partner[40:], (-1, *copies)).all()
    assert (found.partner[:40] == -1).all()
    assert not found.mirrored.any()


def test_a_mirrored_copy_is_told_from_others() -> None:
    small = faces(20)
    every = np.concatenate([small, small[3:4, :, ::-1], small[5:6]])
    copies = find_copies(every, np.append(np.arange(21), 5), np.zeros(22, bool))
    assert np.flatnonzero(copies.mirrored).tolist() == [3, 20]
    assert np.flatnonzero(copies.partner >= 0).tolist() == [3, 5, 20, 21]
    assert copies.partner[[3, 20, 5, 21]].tolist() == [20, 3, 21, 5]
    assert copies.score[[3, 20]] == pytest.approx(1, abs=0.02)
    assert copies.score[[5, 21]].tolist() == [1, 1]


def test_the_partner_is_the_most_similar_and_equal_pixels_come_first() -> None:
    small = faces(30)
    near, far = small[0] // 2 + 20, np.clip(small[0].astype(int) + 3, 0, 255).astype(np.uint8)
    far = np.asarray(Image.fromarray(far).resize((34, 34), Image.Resampling.BOX).resize((48, 48)))
    every = np.concatenate([small, near[None], far[None]])
    copies = find_copies(every, np.arange(32), np.zeros(32, bool))
    assert copies.partner[[0, 30, 31]].tolist()[:2] == [30, 0]
    assert copies.score[0] == copies.score[30] > copies.score[31] > NEAR[0]
    twin = np.concatenate([every, small[:1]])
    found = find_copies(twin, np.append(np.arange(32), 0), np.zeros(33, bool))
    assert found.partner[[0, 32]].tolist() == [32, 0]
    assert found.partner[30] in (0, 32)
    assert len({found.near[row] for row in (0, 30, 31, 32)}) == 1


def test_pictures_that_are_skipped_have_no_altered_copies() -> None:
    small = np.concatenate([faces(30), np.roll(faces(1), 2, axis=2)])
    skip = np.zeros(31, bool)
    assert find_copies(small, np.arange(31), skip).partner[0] == 30
    skip[30] = True
    found = find_copies(small, np.arange(31), skip)
    assert (found.partner == -1).all()
    assert len(set(found.near.tolist())) == 31


def test_pairs_are_proposed_once_the_smaller_row_first(monkeypatch: pytest.MonkeyPatch) -> None:
    small = faces(30)
    every = np.concatenate([small, np.roll(small[2:3], 2, 2), small[4:5, :, ::-1]])
    found = propose(every)
    assert (found[:, 0] < found[:, 1]).all()
    assert len(np.unique(found, axis=0)) == len(found)
    assert [2, 30, 0] in found.tolist()
    assert [4, 31, 1] in found.tolist()
    assert propose(small[:1]).shape == (0, 3)
    monkeypatch.setattr(searching, "_BLOCK", 7)
    assert propose(every).tolist() == found.tolist(), "in blocks of any size"


def test_of_many_that_are_alike_the_four_nearest_are_proposed() -> None:
    """Thirty pictures that differ by a little noise, at one place and not mirrored."""
    rng = np.random.default_rng(0)
    same = np.clip(faces(1) + rng.normal(0, 6, (30, 48, 48)), 0, 255).astype(np.uint8)
    every = np.concatenate([same, faces(30, seed=1)])
    found = propose(every)
    upright = found[(found[:, 2] == 0) & (found[:, 1] < 30)]
    assert 30 * 4 / 2 <= len(upright) <= 30 * 4 * 3


def test_progress_is_told_in_blocks() -> None:
    told: list[tuple[int, str]] = []

    def track(items, unit):
        told.append((len(items), unit))
        return plain(items, unit)

    find_copies(faces(6)[[0, 1, 2, 3, 4, 5] * 90], np.arange(540), np.zeros(540, bool), track)
    assert told[0] == (2, "blocks of pictures compared")
    assert told[1][1] == "blocks of pairs compared"


def test_what_makes_a_copy_depends_on_how_alike_the_pictures_are() -> None:
    """Different noise has nothing in common; one picture with some noise almost everything."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (40, 48, 48), np.uint8)
    assert threshold(noise) == NEAR[0] == 0.88
    one = np.repeat(noise[:1], 40, 0)
    one[:, 0, 0] = np.arange(40)
    assert threshold(one) == threshold(noise[:1]) == threshold(noise[:0]) == NEAR[1] == 0.97
    drawn = np.stack([_details(face) for face in faces(30)])
    pairs = np.array([(a, b, 0) for a in range(30) for b in range(a)])
    alike = np.quantile(confirm(drawn, pairs), 0.99)
    assert threshold(drawn) == pytest.approx(1 - (1 - alike) / 4, abs=0.015)


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
        assert finding.score == 1
    assert found == expected


def test_findings_of_copies_say_which_and_of_what() -> None:
    """By rows: 0 and 3 are equal, 1 is an altered copy of 0 by another label, 2 and 4 mirrored."""
    data = dataset(
        train=[(50, 0), (60, 1), (70, 0)], public=[(50, 0), (80, 0)], private=[(90, 1), (60, 1)]
    )
    seen = pool(data)
    copies = Copies(
        near=np.array([0, 0, 2, 0, 2, 5, 0]),
        score=np.array([1, 1, 0.91, 1, 0.91, 0, 1]),
        partner=np.array([3, 6, 4, 0, 2, -1, 1]),
        mirrored=np.array([0, 0, 1, 0, 1, 0, 0], bool),
    )
    assert seen.twins.tolist() == [0, 1, 2, 0, 3, 4, 1]
    found = [(f.check.code, f.group, f.row) for f in check_copies(seen, copies)]
    assert found == [
        *(("MD301", 1, 0), ("MD301", 1, 3), ("MD301", 2, 1), ("MD301", 2, 6)),
        *(("MD302", 1, 0), ("MD302", 1, 1), ("MD302", 1, 3), ("MD302", 1, 6)),
        *(("MD302", 2, 2), ("MD302", 2, 4)),
        *(("MD304", 1, 0), ("MD304", 1, 1), ("MD304", 1, 3), ("MD304", 1, 6)),
        *(("MD306", 1, 0), ("MD306", 1, 1)),
        *(("MD307", 1, 3), ("MD307", 1, 6)),
    ]
    told = {f.row: f for f in check_copies(seen, copies) if f.check.code == "MD302"}
    assert told[1].detail == "same pixels as private/1"
    assert told[2].detail == "altered copy of public/1, mirrored"
    assert (told[2].name, told[2].split, told[2].label) == ("train/2", "train", "no")
    assert told[2].score == 0.91


def test_groups_are_those_of_more_than_one_by_their_first_row() -> None:
    found = [rows.tolist() for rows in grouped(np.array([7, 3, 9, 3, 7, 7]))]
    assert found == [[0, 4, 5], [1, 3]]
    assert not list(grouped(np.arange(3)))


def test_fer2013_has_278_public_pictures_in_training(fer2013: Dataset) -> None:
    seen = pool(fer2013)
    copies = find_copies(seen.small, seen.twins, np.ones(len(seen), bool))
    found = list(check_copies(seen, copies))
    leaks = [f for f in found if f.check.code == "MD301" and f.split == "public"]
    assert len(leaks) == 278
    assert max(f.group or 0 for f in found if f.check.code == "MD303") == 49
