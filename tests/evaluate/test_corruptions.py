import numpy as np
import pytest
from numpy.typing import NDArray

from mien.data.drawn import draw_face
from mien.errors import ShapeError
from mien.evaluate.corruptions import CORRUPTIONS, EYES_AT, MOUTH_AT, SEVERITIES, Corruption
from mien.labels import FER2013

BY_NAME = {c.name: c for c in CORRUPTIONS}
ROWS = np.arange(42)
each = pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda c: c.name)


@pytest.fixture(scope="module")
def faces() -> NDArray[np.uint8]:
    rng = np.random.default_rng(0)
    return np.stack([draw_face(FER2013[row % 7], rng) for row in ROWS])


def distance(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(abs(one.astype(float) - other).mean())


def test_there_are_enough_and_each_has_a_name_of_its_own():
    assert len(BY_NAME) == len(CORRUPTIONS) >= 16
    assert {len(c.strengths) for c in CORRUPTIONS} == {SEVERITIES}


@each
def test_pictures_stay_pictures_and_the_original_stays(corruption: Corruption, faces):
    before = faces.copy()
    found = corruption(faces, 5, ROWS)
    assert (found.shape, found.dtype) == (faces.shape, np.uint8)
    assert (faces == before).all()
    assert np.isin(found, range(256)).all()


@each
def test_batches_order_and_repetition_change_nothing(corruption: Corruption, faces):
    whole = corruption(faces, 3, ROWS)
    turned = ROWS[::-1]
    assert (corruption(faces[turned], 3, turned)[::-1] == whole).all()
    assert (corruption(faces[5:6], 3, ROWS[5:6])[0] == whole[5]).all()


@each
def test_each_severity_goes_farther(corruption: Corruption, faces):
    many, rows = np.tile(faces, (4, 1, 1)), np.arange(4 * len(faces))
    far = [distance(corruption(many, s, rows), many) for s in range(1, SEVERITIES + 1)]
    assert far[0] > 0
    assert (np.diff(far) > 0).all(), far


@pytest.mark.parametrize("size", [8, 32, 112])
@each
def test_other_sizes_do_as_well(corruption: Corruption, size: int):
    faces = np.random.default_rng(0).integers(0, 256, (2, size, size), np.uint8)
    for severity in (1, 5):
        assert corruption(faces, severity, ROWS[:2]).shape == faces.shape


def test_two_faces_are_not_spoilt_alike(faces):
    twins = np.stack([faces[0], faces[0]])
    for name in ("gaussian noise", "motion blur", "patch", "uneven light", "shift"):
        one, other = BY_NAME[name](twins, 3, ROWS[:2])
        assert (one != other).any(), name


@pytest.mark.parametrize(
    ("name", "rows", "columns"),
    [
        ("covered eyes", slice(round(48 * EYES_AT) - 3, round(48 * EYES_AT) + 3), slice(0, 48)),
        ("covered mouth", slice(round(48 * MOUTH_AT) - 3, round(48 * MOUTH_AT) + 3), slice(0, 48)),
    ],
)
@pytest.mark.parametrize("severity", [2, 5])
def test_what_is_named_is_covered(faces, name: str, rows: slice, columns: slice, severity: int):
    found = BY_NAME[name](faces, severity, ROWS)
    assert (np.ptp(found[:, rows, columns], axis=(1, 2)) == 0).all(), "of one tone"
    changed = (found != faces).any(0)
    share = BY_NAME[name].strengths[severity - 1]
    assert changed.any(1).sum() == pytest.approx(48 * share, abs=1), "and nothing else"


def test_a_half_is_covered_on_either_side(faces):
    found = BY_NAME["covered side"](faces, 5, ROWS)
    left, right = (np.ptp(half, axis=(1, 2)) == 0 for half in (found[..., :24], found[..., 24:]))
    assert (left ^ right).all()
    assert left.any() and right.any()


def test_light_keeps_its_direction(faces):
    assert (BY_NAME["brightness"](faces, 3, ROWS) >= faces).all()
    assert (BY_NAME["darkness"](faces, 3, ROWS) <= faces).all()
    flat = BY_NAME["contrast"](faces, 5, ROWS)
    assert flat.std((1, 2)) == pytest.approx(0.2 * faces.std((1, 2)), rel=0.05)
    assert flat.mean((1, 2)) == pytest.approx(faces.mean((1, 2)), abs=1)


def test_a_blur_takes_no_light(faces):
    for name in ("defocus blur", "motion blur", "low resolution"):
        assert BY_NAME[name](faces, 5, ROWS).mean() == pytest.approx(faces.mean(), rel=0.02)


@pytest.mark.parametrize(
    ("images", "severity", "message"),
    [
        (np.zeros((2, 8, 8)), 1, "uint8 images, got"),
        (np.zeros((8, 8), np.uint8), 1, "uint8 images, got"),
        (np.zeros((2, 8, 8), np.uint8), 0, "severity from 1 to 5"),
        (np.zeros((2, 8, 8), np.uint8), 6, "severity from 1 to 5"),
    ],
)
def test_what_is_no_picture_or_severity(images, severity: int, message: str):
    with pytest.raises(ShapeError, match=message):
        CORRUPTIONS[0](images, severity, ROWS[:2])
