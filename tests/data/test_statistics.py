import json

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("pandas")
from mien.data import Dataset, Split
from mien.data.statistics import TOGETHER, describe


def split(name: str, tones: list[int], labels: list[int]) -> Split:
    """One image of 2 x 3 per tone, its last pixel black."""
    images = np.repeat(np.array(tones, np.uint8), 6).reshape(-1, 2, 3)
    images[:, 1, 2] = 0
    names = np.array([f"{name}/{number}.png" for number in range(len(tones))])
    return Split(name, images, np.array(labels, np.int64), names)


@pytest.fixture
def small() -> Dataset:
    train = split("train", [10, 10, 20, 30, 30, 40], [0, 0, 0, 0, 1, 1])
    private = split("private", [10, 50, 0], [0, 1, 1])
    return Dataset("small", ("no", "yes", "maybe"), {"private": private, "train": train})


def test_counts_weights_and_imbalance(small: Dataset) -> None:
    s = describe(small)
    assert s.reference == "train"
    assert {name: counts.tolist() for name, counts in s.counts.items()} == {
        "train": [4, 2, 0],
        "private": [1, 2, 0],
    }
    assert s.weights["train_images"].tolist() == [4, 2, 0]
    assert s.weights["share"].tolist() == pytest.approx([4 / 6, 2 / 6, 0])
    assert s.weights["weight"].tolist() == pytest.approx([6 / 8, 6 / 4, 0])
    assert s.splits["imbalance"].to_dict() == {"train": 2.0, "private": 2.0}
    assert s.images == 9
    assert s.size_px == (2, 3)


def test_intensities_are_those_of_the_pixels(small: Dataset) -> None:
    s = describe(small)
    for name, part in small.splits.items():
        pixels: NDArray[np.float64] = part.images / 255
        assert s.splits["intensity_mean"][name] == pytest.approx(pixels.mean())
        assert s.splits["intensity_std"][name] == pytest.approx(pixels.std())
        assert s.histogram.loc[name].to_numpy().sum() == part.images.size
    assert s.histogram.loc["train"].shape == (3, 256)
    counted = {label: row[row > 0].to_dict() for label, row in s.histogram.loc["train"].iterrows()}
    assert counted == {
        "no": {0: 4, 10: 10, 20: 5, 30: 5},
        "yes": {0: 2, 30: 5, 40: 5},
        "maybe": {},
    }
    assert list(s.mean_faces) == ["no", "yes"]
    assert s.mean_faces["no"] == pytest.approx(np.array([[17.5] * 3, [17.5] * 2 + [0]]))
    assert s.mean_faces["yes"] == pytest.approx(np.array([[35] * 3, [35] * 2 + [0]]))
    assert s.splits["blank_images"].to_dict() == {"train": 0, "private": 1}


def test_what_is_told_as_json(small: Dataset) -> None:
    alone = {"images": 0, "share": 0.0, "groups": 0, "conflicting": 0}
    twins = {"images": 4, "share": 4 / 6, "groups": 2, "conflicting": 1}
    told = json.loads(json.dumps(describe(small).to_json()))
    for part in told["splits"].values():
        assert (part.pop("intensity_mean"), part.pop("intensity_std")) > (0, 0)
    assert told == {
        "name": "small",
        "labels": ["no", "yes", "maybe"],
        "images": 9,
        "height_px": 2,
        "width_px": 3,
        "splits": {
            "private": {
                "images": 3,
                "counts": {"no": 1, "yes": 2, "maybe": 0},
                "imbalance": 2.0,
                "blank_images": 1,
                "duplicates": alone,
            },
            "train": {
                "images": 6,
                "counts": {"no": 4, "yes": 2, "maybe": 0},
                "imbalance": 2.0,
                "blank_images": 0,
                "duplicates": twins,
            },
        },
        "class_weights": {"split": "train", "weights": {"no": 0.75, "yes": 1.5, "maybe": 0.0}},
        "duplicates": {"images": 5, "share": 5 / 9, "groups": 2, "conflicting": 1},
        "overlaps": [
            {"split": "private", "other": "train", "images": 1, "share": 1 / 3},
            {"split": "train", "other": "private", "images": 2, "share": 1 / 3},
        ],
    }


@pytest.mark.parametrize(
    ("tones", "labels", "expected"),
    [
        ([1, 2, 3], [0, 1, 2], (0, 0, 0)),
        ([1, 1, 1], [0, 0, 0], (3, 1, 0)),
        ([1, 1, 1], [0, 1, 2], (3, 1, 1)),
        ([1, 2, 1, 2], [0, 1, 1, 1], (4, 2, 1)),
        ([1, 2, 1, 2, 3], [0, 1, 1, 0, 0], (4, 2, 2)),
    ],
)
def test_twins_and_those_that_differ_in_their_label(
    tones: list[int], labels: list[int], expected: tuple[int, int, int]
) -> None:
    data = Dataset("twins", ("a", "b", "c"), {"train": split("train", tones, labels)})
    found = describe(data).duplicates
    assert list(found.index) == ["train", TOGETHER]
    for row in found.itertuples():
        assert (row.images, row.groups, row.conflicting) == expected
        assert row.share == pytest.approx(expected[0] / len(tones))


@pytest.mark.parametrize(
    ("labels", "imbalance"), [([0, 0, 0, 2], 3), ([1, 1], 1), ([0, 0, 0, 1, 1], 1.5)]
)
def test_imbalance_leaves_empty_classes_out(labels: list[int], imbalance: float) -> None:
    part = split("val", list(range(len(labels))), labels)
    found = describe(Dataset("d", ("a", "b", "c"), {"val": part})).splits["imbalance"]
    assert found.to_dict() == {"val": imbalance}


def test_finds_twins_their_conflicts_and_leaks(small: Dataset) -> None:
    found = describe(small).duplicates
    assert found[["images", "groups", "conflicting"]].T.to_dict("list") == {
        "private": [0, 0, 0],
        "train": [4, 2, 1],
        TOGETHER: [5, 2, 1],
    }
    assert found["share"]["train"] == pytest.approx(4 / 6)


def test_a_single_split_without_train() -> None:
    s = describe(Dataset("one", ("a",), {"test": split("test", [1, 2], [0, 0])}))
    assert (s.reference, s.splits["imbalance"].to_dict()) == ("test", {"test": 1.0})
    assert len(s.overlaps) == 0
    assert s.to_json()["overlaps"] == []
    assert s.weights["weight"].tolist() == [1.0]


def test_fer2013(fer2013: Dataset) -> None:
    s = describe(fer2013)
    assert s.counts["train"].tolist() == [3995, 436, 4097, 7215, 4965, 4830, 3171]
    weights = s.weights["weight"].round(4).tolist()
    assert weights == [1.0266, 9.4066, 1.0010, 0.5684, 0.8260, 0.8491, 1.2934]
    assert s.splits["intensity_mean"]["train"] == pytest.approx(0.5078, abs=1e-4)
    assert s.splits["intensity_std"]["train"] == pytest.approx(0.2550, abs=1e-4)
    train = s.duplicates.loc["train"]
    assert (train["images"], train["groups"], train["conflicting"]) == (2292, 1042, 41)
    leaked = {(o.split, o.other): o.images for o in s.overlaps.itertuples()}
    assert leaked["public", "train"] == 278
