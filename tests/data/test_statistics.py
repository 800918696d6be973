import numpy as np
import pytest
from numpy.typing import NDArray

from mien.data import Dataset, Split
from mien.data.statistics import describe


def split(name: str, tones: list[int], labels: list[int]) -> Split:
    """One 2 x 2 image per tone, its last pixel black."""
    images = np.repeat(np.array(tones, np.uint8), 4).reshape(-1, 2, 2)
    images[:, 1, 1] = 0
    names = np.array([f"{name}/{number}.png" for number in range(len(tones))])
    return Split(name, images, np.array(labels, np.int64), names)


@pytest.fixture
def small() -> Dataset:
    train = split("train", [10, 10, 20, 30, 30, 40], [0, 0, 0, 0, 1, 1])
    private = split("private", [10, 50, 0], [0, 1, 1])
    return Dataset("small", ("no", "yes", "maybe"), {"train": train, "private": private})


def test_counts_weights_and_imbalance(small: Dataset) -> None:
    s = describe(small)
    assert s.reference == "train"
    assert {name: counts.tolist() for name, counts in s.counts.items()} == {
        "train": [4, 2, 0],
        "private": [1, 2, 0],
    }
    assert s.weights == pytest.approx([6 / 8, 6 / 4, 0])
    assert s.imbalance == {"train": 2.0, "private": 2.0}
    assert s.images == 9


def test_intensities_are_those_of_the_pixels(small: Dataset) -> None:
    s = describe(small)
    for name, part in small.splits.items():
        pixels: NDArray[np.float64] = part.images / 255
        assert s.mean[name] == pytest.approx(pixels.mean())
        assert s.std[name] == pytest.approx(pixels.std())
        assert s.histograms[name].sum() == part.images.size
    assert s.histograms["train"][0, [0, 10, 20, 30]].tolist() == [4, 6, 3, 3]
    assert s.mean_faces[:, 0, 0] == pytest.approx([17.5, 35, 0])
    assert s.blank == {"train": 0, "private": 1}


def test_finds_twins_their_conflicts_and_leaks(small: Dataset) -> None:
    s = describe(small)
    train = s.duplicates_within["train"]
    assert (train.images, train.groups, train.conflicting) == (4, 2, 1)
    assert train.share == pytest.approx(4 / 6)
    assert s.duplicates_within["private"].images == 0
    assert (s.duplicates.images, s.duplicates.groups, s.duplicates.conflicting) == (5, 2, 1)
    assert [(o.split, o.other, o.images) for o in s.overlaps] == [
        ("train", "private", 2),
        ("private", "train", 1),
    ]


def test_a_single_split_without_train() -> None:
    s = describe(Dataset("one", ("a",), {"test": split("test", [1, 2], [0, 0])}))
    assert (s.reference, s.imbalance, s.overlaps) == ("test", {"test": 1.0}, ())
    assert s.weights.tolist() == [1.0]


def test_fer2013(fer2013: Dataset) -> None:
    s = describe(fer2013)
    assert s.counts["train"].tolist() == [3995, 436, 4097, 7215, 4965, 4830, 3171]
    assert s.weights.round(4).tolist() == [1.0266, 9.4066, 1.0010, 0.5684, 0.8260, 0.8491, 1.2934]
    assert s.mean["train"] == pytest.approx(0.5078, abs=1e-4)
    assert s.std["train"] == pytest.approx(0.2550, abs=1e-4)
    train = s.duplicates_within["train"]
    assert (train.images, train.groups, train.conflicting) == (2292, 1042, 41)
    leaked = {(o.split, o.other): o.images for o in s.overlaps}
    assert leaked["public", "train"] == 278
