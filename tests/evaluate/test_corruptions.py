import csv
import io
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mien.data.drawn import draw_face
from mien.errors import ShapeError
from mien.evaluate.corruptions import (
    CORRUPTIONS,
    OCCLUSIONS,
    SEVERITIES,
    Corruption,
    defocus_blur,
)
from mien.labels import FER2013

ROOT = Path(__file__).parents[2]
BY_NAME = {c.name: c for c in CORRUPTIONS}
ROWS = np.arange(42)
each = pytest.mark.parametrize("corruption", CORRUPTIONS + OCCLUSIONS, ids=lambda c: c.name)
severities = pytest.mark.parametrize("severity", range(1, SEVERITIES + 1))


@pytest.fixture(scope="module")
def faces() -> NDArray[np.uint8]:
    rng = np.random.default_rng(0)
    return np.stack([draw_face(FER2013[row % 7], rng) for row in ROWS])


def grey(tone: int, side: int = 48) -> NDArray[np.uint8]:
    """As many flat pictures as there are rows."""
    return np.full((len(ROWS), side, side), tone, np.uint8)


def spot(side: int, x: int, y: int) -> NDArray[np.uint8]:
    """Black pictures, on each a bright square of 3 x 3 about a place."""
    out = grey(0, side)
    out[:, y - 1 : y + 2, x - 1 : x + 2] = 255
    return out


def centres(images: NDArray[Any]) -> NDArray[np.float64]:
    """(N, 2) x and y of where the light of each picture lies."""
    weights = images / images.sum((1, 2), keepdims=True)
    line = np.arange(images.shape[1])
    return np.stack([(weights.sum(1) @ line), (weights.sum(2) @ line)], 1)


def distance(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(abs(one.astype(float) - other).mean())


def test_names_and_strengths_are_those_of_the_published_results():
    """Otherwise no figure of another network could be compared with them."""
    with (ROOT / "results/robustness.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["strength"]]
    for network in ("mien-s", "mien-m", "attention-16"):
        published: dict[str, tuple[float, ...]] = {}
        for row in (row for row in rows if row["run"] == network):
            before = published.get(row["corruption"], ())
            published[row["corruption"]] = (*before, float(row["strength"]))
        exact = [(c.name, tuple(round(s, 6) for s in c.strengths)) for c in CORRUPTIONS]
        assert list(published.items()) == exact


def test_kinds_and_number_of_severities():
    kinds = [c.kind for c in CORRUPTIONS]
    assert kinds == [
        *(["noise"] * 3 + ["blur"] * 2 + ["file"] * 2 + ["light"] * 4),
        *(["cover"] * 4 + ["frame"] * 4),
    ]
    assert {len(c.strengths) for c in CORRUPTIONS} == {SEVERITIES} == {5}


@each
def test_the_original_stays_and_batches_order_and_repetition_change_nothing(
    corruption: Corruption, faces
):
    before = faces.copy()
    whole = corruption(faces, 3, ROWS)
    assert (whole.shape, whole.dtype) == (faces.shape, np.uint8)
    assert (faces == before).all()
    turned = ROWS[::-1]
    assert (corruption(faces[turned], 3, turned)[::-1] == whole).all()
    assert (corruption(faces[5:6], 3, ROWS[5:6])[0] == whole[5]).all()


# Covers change their tone with the severity; tests/test_covers.py counts what they hide.
@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda c: c.name)
def test_each_severity_goes_farther(corruption: Corruption, faces):
    many, rows = np.tile(faces, (2, 1, 1)), np.arange(2 * len(faces))
    far = [distance(corruption(many, s, rows), many) for s in range(1, SEVERITIES + 1)]
    assert far[0] > 0
    assert (np.diff(far) > 0).all(), far


@pytest.mark.parametrize("size", [8, 32, 112])
@each
def test_faces_of_other_sizes_are_spoilt_as_much(corruption: Corruption, size: int):
    """Lengths are shares of the side: a flat face of another size loses as large a part."""
    for severity in (1, 5):
        here, there = (corruption(grey(100, side), severity, ROWS) for side in (48, size))
        assert there.shape == (len(ROWS), size, size)
        changed = [float((found != 100).mean()) for found in (here, there)]
        assert changed[1] == pytest.approx(changed[0], abs=0.15)


def test_randomness_is_seeded_by_corruption_severity_and_number():
    for severity, row in ((1, 0), (1, 1), (4, 1), (4, 3000)):
        rng = np.random.default_rng([zlib.crc32(b"gaussian noise"), severity, row])
        noise = rng.normal(0, 0.03 * severity, (48, 48))
        expected = np.rint(255 * np.clip(100 / 255 + noise, 0, 1))
        found = BY_NAME["gaussian noise"](grey(100)[:1], severity, np.array([row]))[0]
        assert abs(found - expected).max() <= 1
        assert (found == expected).mean() > 0.99


@pytest.mark.parametrize(
    "name",
    [
        *("gaussian noise", "shot noise", "impulse noise", "motion blur", "uneven light"),
        *("covered eyes", "covered mouth", "covered side", "patch", "rotation", "shift"),
    ],
)
def test_two_faces_are_not_spoilt_alike(name: str, faces):
    found = BY_NAME[name](faces[[0] * 42], 3, ROWS)
    assert len({image.tobytes() for image in found}) > (1 if name == "rotation" else 20)


@pytest.mark.parametrize(
    "name",
    [
        *("defocus blur", "low resolution", "JPEG", "contrast", "brightness", "darkness"),
        *("tight frame", "loose frame"),
    ],
)
def test_nothing_is_left_to_chance_that_need_not_be(name: str, faces):
    found = BY_NAME[name](faces[[0] * 42], 3, ROWS)
    assert (found == found[0]).all()


# Noise


@severities
def test_gaussian_noise_has_its_deviation_and_no_bias(severity: int):
    noise = BY_NAME["gaussian noise"](grey(128), severity, ROWS) - 128.0
    deviation = 255 * 0.03 * severity
    assert noise.std() == pytest.approx(deviation, rel=0.02)
    assert noise.mean() == pytest.approx(0, abs=0.5)
    assert (abs(noise) < deviation).mean() == pytest.approx(0.683, abs=0.03), "normal"


@pytest.mark.parametrize(("severity", "photons"), [(1, 150), (2, 80), (3, 45), (4, 30), (5, 20)])
def test_shot_noise_grows_with_the_root_of_the_light(severity: int, photons: int):
    for tone in (51, 102):
        found = BY_NAME["shot noise"](grey(tone), severity, ROWS)
        assert found.mean() == pytest.approx(tone, rel=0.01)
        assert found.std() == pytest.approx(255 * math.sqrt(tone / 255 / photons), rel=0.03)
    assert not BY_NAME["shot noise"](grey(0), severity, ROWS).any(), "no light, no noise"


@pytest.mark.parametrize(
    ("severity", "share"), [(1, 0.01), (2, 0.025), (3, 0.045), (4, 0.07), (5, 0.1)]
)
def test_impulse_noise_turns_a_share_black_or_white(severity: int, share: float):
    found = BY_NAME["impulse noise"](grey(90), severity, ROWS)
    assert (found == 0).mean() == pytest.approx(share / 2, rel=0.1)
    assert (found == 255).mean() == pytest.approx(share / 2, rel=0.1)
    assert np.unique(found).tolist() == [0, 90, 255]


# Blur


def test_defocus_is_a_disk():
    """Of radius 1, a pixel's neighbours count half, those at the corners 1.5 less the root of 2."""
    face = np.zeros((9, 9), np.float32)
    face[4, 4] = 1
    found = defocus_blur(face, 1 / 9, np.random.default_rng(0))
    corner = 1.5 - math.sqrt(2)
    whole = 1 + 4 * 0.5 + 4 * corner
    expected = np.array([[corner, 0.5, corner], [0.5, 1, 0.5], [corner, 0.5, corner]]) / whole
    assert found[3:6, 3:6] == pytest.approx(expected, abs=1e-6)
    assert found.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("severity", "radius"), [(1, 0.015), (2, 0.022), (3, 0.03), (4, 0.037), (5, 0.045)]
)
def test_defocus_reaches_its_radius(severity: int, radius: float):
    x, y = np.mgrid[-48:49, -48:49]
    face = np.zeros((1, 97, 97), np.uint8)
    face[0, 48, 48] = 255
    lit = np.hypot(x, y)[BY_NAME["defocus blur"](face, severity, ROWS[:1])[0] > 0]
    assert 97 * radius - 0.75 < lit.max() < 97 * radius + 0.5


@pytest.mark.parametrize(
    ("severity", "length"), [(1, 0.04), (2, 0.07), (3, 0.1), (4, 0.13), (5, 0.16)]
)
def test_motion_is_a_line_of_its_length_in_any_direction(severity: int, length: float):
    line = np.arange(97) - 48
    face = np.zeros((len(ROWS), 97, 97), np.uint8)
    face[:, 48, 48] = 255
    angles = []
    for found in BY_NAME["motion blur"](face, severity, ROWS):
        weights = found / found.sum()
        columns, rows = weights.sum(0), weights.sum(1)
        both = line @ weights @ line
        spread = np.array([[columns @ line**2, both], [both, rows @ line**2]])
        (thin, long), axes = np.linalg.eigh(spread)
        assert math.sqrt(12 * long) == pytest.approx(97 * length, rel=0.1, abs=0.9)
        assert math.sqrt(12 * thin) < 2
        angles.append(math.degrees(math.atan2(axes[1, 1], axes[0, 1])) % 180)
    assert {int(angle // 45) for angle in angles} == {0, 1, 2, 3}


@pytest.mark.parametrize("name", ["defocus blur", "motion blur", "low resolution"])
def test_a_blur_takes_no_light_and_no_tone_from_outside(name: str, faces):
    assert BY_NAME[name](faces, 5, ROWS).mean() == pytest.approx(faces.mean(), rel=0.02)
    assert (BY_NAME[name](grey(255), 5, ROWS) == 255).all(), "also at the edges"


# File


@pytest.mark.parametrize(("severity", "side"), [(1, 32), (2, 24), (3, 20), (4, 18), (5, 16)])
def test_a_low_resolution_is_the_mean_of_squares_enlarged(severity: int, side: int, faces):
    """Each small pixel is the mean of the area that it lies over; enlarged by PIL."""
    edges, pixels = np.arange(side + 1)[:, None] * 48 / side, np.arange(48)
    over = np.minimum(edges[1:], pixels + 1) - np.maximum(edges[:-1], pixels)
    over = np.maximum(over, 0) * side / 48
    for face, found in zip(faces, BY_NAME["low resolution"](faces, severity, ROWS), strict=True):
        small = Image.fromarray((over @ face @ over.T).astype(np.float32))
        expected = np.asarray(small.resize((48, 48), Image.Resampling.BILINEAR))
        assert abs(found - expected).max() <= 0.51


@pytest.mark.parametrize(("severity", "quality"), [(1, 40), (2, 25), (3, 17), (4, 12), (5, 9)])
def test_jpeg_is_that_of_pil(severity: int, quality: int, faces):
    found = BY_NAME["JPEG"](faces[:4], severity, ROWS[:4])
    for face, spoilt in zip(faces, found, strict=False):
        file = io.BytesIO()
        Image.fromarray(face).save(file, "JPEG", quality=quality)
        assert abs(np.asarray(Image.open(file), float) - spoilt).max() <= 2


# Light


@pytest.mark.parametrize(("severity", "factor"), [(1, 0.7), (2, 0.5), (3, 0.4), (4, 0.3), (5, 0.2)])
def test_contrast_and_darkness_by_hand(severity: int, factor: float):
    tones = np.repeat(np.array([20, 60, 100, 220], np.uint8), 4)[None, :, None].repeat(16, 2)
    contrast = BY_NAME["contrast"](tones, severity, ROWS[:1])[0, ::4, 0]
    assert contrast == pytest.approx([100 + factor * (t - 100) for t in (20, 60, 100, 220)], abs=1)
    dark = BY_NAME["darkness"](tones, severity, ROWS[:1])[0, ::4, 0]
    assert dark == pytest.approx([factor * t for t in (20, 60, 100, 220)], abs=0.51)


@severities
def test_brightness_by_hand(severity: int):
    tones = np.array([0, 60, 200, 255], np.uint8)[None, :, None].repeat(4, 2)
    found = BY_NAME["brightness"](tones, severity, ROWS[:1])[0, :, 0]
    step = 255 * 0.08 * severity
    assert found == pytest.approx([min(t + step, 255) for t in (0, 60, 200, 255)], abs=0.51)


@severities
def test_uneven_light_is_a_slope_from_any_side(severity: int):
    found = BY_NAME["uneven light"](grey(100), severity, ROWS).astype(float)
    strength = 0.2 * severity
    assert found.min((1, 2)) == pytest.approx(100 * (1 - strength), abs=1)
    assert found.max((1, 2)) == pytest.approx(100 * (1 + strength), abs=1)
    assert found.mean((1, 2)) == pytest.approx(100, abs=0.5)
    for axis in (1, 2):
        assert abs(np.diff(found, 2, axis)).max() <= 2, "even from one side to the other"
    toward = {tuple(place) for place in (centres(found) > 23.5).tolist()}
    assert len(toward) == 4, "right and left, below and above"


# Covers


def covered(found: NDArray[np.uint8], tone: int) -> tuple[set[int], set[int]]:
    """Rows and columns in which a flat picture of `tone` has another one."""
    rows, columns = np.nonzero(found != tone)
    assert len(np.unique(found[found != tone])) <= 1, "of one tone"
    assert len(rows) == len(set(rows)) * len(set(columns)), "a rectangle"
    return set(rows.tolist()), set(columns.tolist())


@pytest.mark.parametrize(
    ("name", "bars"),
    [
        # 0.40 and 0.75 of 48, less and plus half of 0.12, 0.16, 0.2, 0.25 and 0.3
        ("covered eyes", [(16, 22), (15, 23), (14, 24), (13, 25), (12, 26)]),
        ("covered mouth", [(33, 39), (32, 40), (31, 41), (30, 42), (29, 43)]),
    ],
)
@severities
def test_bars_lie_over_eyes_and_mouth(name: str, bars: list[tuple[int, int]], severity: int):
    tones = set()
    for found in BY_NAME[name](grey(100), severity, ROWS):
        rows, columns = covered(found, 100)
        if rows:
            assert rows == set(range(*bars[severity - 1]))
            assert columns == set(range(48))
        tones.add(int(found[bars[severity - 1][0], 0]))
    assert min(tones) < 40
    assert max(tones) > 215, "of any tone"


@pytest.mark.parametrize(("severity", "width"), [(1, 5), (2, 10), (3, 14), (4, 19), (5, 24)])
def test_a_side_is_covered_from_the_left_or_the_right(severity: int, width: int):
    left, right = set(range(width)), set(range(48 - width, 48))
    found = [covered(f, 100) for f in BY_NAME["covered side"](grey(100), severity, ROWS)]
    sides = [columns for rows, columns in found if rows]
    assert all(rows in (set(), set(range(48))) for rows, _ in found)
    assert all(columns in (left, right) for columns in sides)
    assert 0.25 < sum(columns == left for columns in sides) / len(sides) < 0.75


@pytest.mark.parametrize(("severity", "width"), [(1, 7), (2, 11), (3, 14), (4, 18), (5, 22)])
def test_a_patch_lies_anywhere_inside(severity: int, width: int):
    tops, lefts = set(), set()
    many = np.arange(200)
    images = np.full((200, 48, 48), 100, np.uint8)
    for found in BY_NAME["patch"](images, severity, many):
        rows, columns = covered(found, 100)
        if rows:
            assert rows == set(range(min(rows), min(rows) + width))
            assert columns == set(range(min(columns), min(columns) + width))
            tops.add(min(rows))
            lefts.add(min(columns))
    for places in (tops, lefts):
        assert min(places) <= 1
        assert max(places) >= 48 - width - 1
        assert len(places) > 0.6 * (48 - width)


def test_a_patch_reaches_the_last_pixel():
    """A picture of 2 x 2 has a patch of one pixel, in each of four places."""
    images = np.full((200, 2, 2), 100, np.uint8)
    found = BY_NAME["patch"](images, 5, np.arange(200))
    assert ((found != 100).sum((1, 2)) <= 1).all()
    assert (found != 100).any(0).all()


# Frames


@severities
def test_a_head_is_tilted_to_either_side_about_the_middle(severity: int):
    found = centres(BY_NAME["rotation"](spot(49, 40, 24), severity, ROWS)) - 24
    assert np.hypot(*found.T) == pytest.approx(16, abs=0.2), "as far from the middle"
    angles = np.degrees(np.arctan2(found[:, 1], found[:, 0]))
    assert abs(angles) == pytest.approx(8 * severity, abs=0.5)
    assert 0.25 < (angles > 0).mean() < 0.75


@severities
def test_a_frame_misses_in_any_direction(severity: int):
    moved = centres(BY_NAME["shift"](spot(49, 24, 24), severity, ROWS)) - 24
    assert np.hypot(*moved.T) == pytest.approx(49 * 0.04 * severity, abs=0.1)
    assert {tuple(place) for place in (moved > 0).tolist()} == {
        *((False, False), (False, True), (True, False), (True, True))
    }


@pytest.mark.parametrize(
    ("name", "factors"),
    [("tight frame", (1.08, 1.16, 1.24, 1.32, 1.4)), ("loose frame", (0.9, 0.8, 0.7, 0.6, 0.5))],
)
@severities
def test_a_face_is_scaled_about_the_middle(name: str, factors: tuple[float, ...], severity: int):
    found = centres(BY_NAME[name](spot(49, 34, 16)[:1], severity, ROWS[:1]))[0] - 24
    factor = factors[severity - 1]
    assert found == pytest.approx([10 * factor, -8 * factor], abs=0.25)


@pytest.mark.parametrize("name", ["rotation", "shift", "loose frame"])
def test_beyond_the_edge_its_pixels_go_on(name: str):
    assert (BY_NAME[name](grey(255), 5, ROWS) == 255).all()
    framed = grey(0, 49)
    framed[:, [0, -1]] = framed[:, :, [0, -1]] = 255
    found = BY_NAME[name](framed, 5, ROWS)
    assert found.mean() > 2 * framed.mean()
    if name == "loose frame":
        assert (found[:, :11] == 255).all()
        assert (found[:, 38:] == 255).all()
        assert (found[:, 14:35, 14:35] == 0).all()


@pytest.mark.parametrize(
    ("images", "severity", "message"),
    [
        (np.zeros((2, 8, 8)), 1, r"uint8 images, got \(2, 8, 8\) float64"),
        (np.zeros((8, 8), np.uint8), 1, r"uint8 images, got \(8, 8\) uint8"),
        (np.zeros((2, 8, 8), np.uint8), 0, "severity from 1 to 5, got 0"),
        (np.zeros((2, 8, 8), np.uint8), 6, "severity from 1 to 5, got 6"),
    ],
)
def test_what_is_no_picture_or_severity(images, severity: int, message: str):
    with pytest.raises(ShapeError, match=message):
        CORRUPTIONS[0](images, severity, ROWS[:2])


def test_every_picture_needs_its_number():
    with pytest.raises(ValueError, match="shorter"):
        CORRUPTIONS[0](np.zeros((2, 8, 8), np.uint8), 1, ROWS[:1])
