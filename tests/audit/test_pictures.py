import numpy as np
import pytest

pytest.importorskip("scipy")

from mien.audit.pictures import check_pictures, flatness
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


def test_flatness_counts_neighbouring_greys_together() -> None:
    image = np.repeat(np.array([127, 128, 10, 240], np.uint8), 12)[None].repeat(48, 0)
    assert flatness(image[None]) == pytest.approx([0.5])
