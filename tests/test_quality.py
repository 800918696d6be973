import cv2
import numpy as np
import pytest

from mien.demo import PORTRAIT
from mien.quality import SHARPNESS, SMALL_PX, sharpness, status_of
from mien.sources import read_picture
from mien.types import Box, Scores

FACE = read_picture(PORTRAIT)[63:176, 167:280]
SURE, UNSURE = Scores(("a", "b"), (0.9, 0.1)), Scores(("a", "b"), (0.55, 0.45))


@pytest.mark.parametrize(
    ("side", "sharp", "scores", "status"),
    [
        (SMALL_PX, SHARPNESS, SURE, "ok"),
        (SMALL_PX, SHARPNESS, UNSURE, "unsure"),
        (SMALL_PX, SHARPNESS / 2, UNSURE, "blurred"),
        (SMALL_PX - 1, SHARPNESS / 2, UNSURE, "small"),
    ],
)
def test_the_first_reason_to_doubt_is_told(side, sharp, scores, status):
    assert status_of(Box(0, 0, side, side), sharp, scores, unsure_below=0.6) == status


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
