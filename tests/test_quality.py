import math

import cv2
import numpy as np
import pytest

from mien.demo import PORTRAIT
from mien.quality import SHARPNESS, Look, sharpness, status_of
from mien.sources import read_picture
from mien.types import Box, Face, Scores

FACE = read_picture(PORTRAIT)[63:176, 167:280]
SURE, UNSURE = Scores(("a", "b"), (0.9, 0.1)), Scores(("a", "b"), (0.55, 0.45))


@pytest.mark.parametrize(
    ("box", "sharp", "scores", "status"),
    [
        (Box(0, 0, 30, 30), 0.02, SURE, "ok"),
        (Box(0, 0, 30, 9), 0.02, SURE, "ok"),  # the longer side counts
        (Box(0, 0, 9, 30), 0.02, SURE, "ok"),
        (Box(0, 0, 30, 30), 0.02, Scores(("a", "b"), (0.6, 0.4)), "ok"),
        (Box(0, 0, 30, 30), 0.02, UNSURE, "unsure"),
        (Box(0, 0, 30, 30), 0.0199, SURE, "blurred"),
        (Box(0, 0, 30, 30), 0.0199, UNSURE, "blurred"),
        (Box(0, 0, 29, 29), 0.02, SURE, "small"),
        (Box(0, 0, 29, 29), 0.0, UNSURE, "small"),
    ],
)
def test_the_first_reason_to_doubt_is_told(box: Box, sharp: float, scores: Scores, status: str):
    assert status_of(Face(box), Look(sharp, -9), scores, unsure_below=0.6, aligned=True) == status


@pytest.mark.parametrize(
    ("side", "roll_deg", "aligned", "status"),
    [
        (30, 31, False, "rotated"),
        (30, -170, False, "rotated"),
        (30, 31, True, "blurred"),
        (30, 29, False, "blurred"),
        (29, 31, False, "small"),
    ],
)
def test_a_face_that_was_left_lying_is_rotated(side, roll_deg, aligned, status):
    eyes = ((0, 0), (math.cos(math.radians(roll_deg)), math.sin(math.radians(roll_deg))))
    face = Face(Box(0, 0, side, side), 0.9, eyes)
    assert status_of(face, Look(0.0, 9), SURE, unsure_below=0.6, aligned=aligned) == status


def checkered(light: int, cell_px: int = 1) -> np.ndarray:
    """48 x 48 cells, every other one of them `light`."""
    rows, columns = np.indices((48, 48))
    cells = ((rows + columns) % 2 * light).astype(np.uint8)
    return cells.repeat(cell_px, 0).repeat(cell_px, 1)


@pytest.mark.parametrize(
    ("light", "variance", "of_edges"),
    # The Laplacian is four neighbours less four times the middle: +-4 light here.
    [(255, 127.5**2, 1020.0**2), (2, 1, 64), (100, 2500, 160000)],
)
@pytest.mark.parametrize("cell_px", [1, 3])
def test_sharpness_is_the_variance_of_edges_over_that_of_the_picture(
    light: int, variance: float, of_edges: float, cell_px: int
):
    expected = of_edges / (variance + 1)
    assert sharpness(checkered(light, cell_px)) == pytest.approx(expected)
    assert sharpness(np.dstack([checkered(light, cell_px)] * 3)) == pytest.approx(expected)


def test_a_real_face_is_sharp_until_it_is_blurred():
    blurs = [0, 2, 4, 8]
    values = [sharpness(cv2.GaussianBlur(FACE, (0, 0), b) if b else FACE) for b in blurs]
    assert values == sorted(values, reverse=True)
    assert values[0] > 2 * SHARPNESS
    assert values[-1] < SHARPNESS


def test_sharpness_does_not_depend_on_light_or_size():
    dark = (FACE * 0.5).astype(np.uint8)
    large = cv2.resize(FACE, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    assert sharpness(dark) == pytest.approx(sharpness(FACE), rel=0.2)
    assert sharpness(large) == pytest.approx(sharpness(FACE), rel=0.2)


def test_a_flat_crop_is_blurred():
    assert sharpness(np.full((40, 40), 90, np.uint8)) == 0
