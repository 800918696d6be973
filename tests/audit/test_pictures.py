import numpy as np
import pytest

pytest.importorskip("scipy")

from mien.audit.pictures import blank, check_pictures, flatness
from mien.audit.pool import pool
from mien.data import Dataset, Split
from mien.data.drawn import draw_face

WHITE = np.full((48, 48), 255, np.uint8)
TEXT = WHITE.copy()
TEXT[10:14, 4:44:2] = 0
DIM = (draw_face("sad", np.random.default_rng(0)) // 4).astype(np.uint8)


@pytest.mark.parametrize(
    ("picture", "code"),
    [(WHITE, "MD201"), (WHITE // 255 * 7, "MD201"), (TEXT, "MD202"), (DIM, None)],
    ids=["white", "dark grey", "text", "dim face"],
)
def test_pictures_with_nothing_in_them(picture: np.ndarray, code: str | None) -> None:
    split = Split("train", picture[None], np.zeros(1, np.int64), np.array(["a"]))
    found = list(check_pictures(pool(Dataset("one", ("x",), {"train": split}))))
    assert [finding.check.code for finding in found] == ([code] if code else [])


def halves(one: int, other: int, share: float = 0.5) -> np.ndarray:
    """Of one tone from the top, of another one below."""
    image = np.full((48, 48), other, np.uint8)
    image.reshape(-1)[: round(48 * 48 * share)] = one
    return image


def test_each_side_of_the_limits() -> None:
    """A standard deviation of 5 is something; seven tenths of one grey are nothing."""
    names = ("just nothing", "just something", "just flat", "just not flat", "flat and blank")
    images = [
        *(halves(100, 109), halves(100, 110), halves(0, 200, 0.7), halves(0, 200, 0.699)),
        halves(100, 101),
    ]
    split = Split("train", np.stack(images), np.zeros(5, np.int64), np.array(names))
    found = list(check_pictures(pool(Dataset("five", ("x",), {"train": split}))))
    assert [(f.check.code, f.name, f.detail) for f in found] == [
        ("MD201", "just nothing", "standard deviation 4.5 of 255"),
        ("MD202", "just flat", "70 % of one grey"),
        ("MD201", "flat and blank", "standard deviation 0.5 of 255"),
    ]
    assert [f.score for f in found] == pytest.approx([4.5, 0.7, 0.5], abs=3e-4)
    assert [f.row for f in found] == [0, 2, 4]
    assert blank(pool(Dataset("five", ("x",), {"train": split}))).tolist() == [1, 0, 0, 0, 1]


def test_flatness_counts_neighbouring_greys_together() -> None:
    image = np.repeat(np.array([127, 128, 10, 240], np.uint8), 12)[None].repeat(48, 0)
    assert flatness(image[None]) == pytest.approx([0.5])


@pytest.mark.parametrize(
    ("tones", "share"),
    [
        ((100, 103, 50, 200), 0.5),
        ((100, 104, 50, 200), 0.5),
        ((100, 107, 50, 200), 0.5),
        ((100, 108, 50, 200), 0.25),
        ((0, 3, 7, 255), 0.75),
        ((252, 255, 248, 0), 0.75),
    ],
)
def test_eight_levels_are_one_grey(tones: tuple[int, ...], share: float):
    image = np.repeat(np.array(tones, np.uint8), 12)[None].repeat(48, 0)
    assert flatness(np.stack([image, image])) == pytest.approx([share, share])
