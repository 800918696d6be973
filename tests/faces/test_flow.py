"""Faces go where their pixels go, and are given up where that cannot be told."""

import cv2
import numpy as np
import pytest

from mien.demo import PORTRAIT
from mien.faces.flow import moved
from mien.faces.yunet import YuNet
from mien.sources import read_picture


@pytest.fixture(scope="module")
def portrait():
    return np.asarray(read_picture(PORTRAIT))


@pytest.fixture(scope="module")
def face(portrait):
    return YuNet().detect(portrait)[0]


def turned(picture, centre, degrees=0.0, grown=1.0, shift=(0, 0)):
    """The picture and (2, 3), by which its points went."""
    turn = cv2.getRotationMatrix2D(centre, degrees, grown)
    turn[:, 2] += shift
    size = picture.shape[1::-1]
    return cv2.warpAffine(picture, turn, size, borderMode=cv2.BORDER_REPLICATE), turn


@pytest.mark.parametrize("degrees", [-6, 0, 6])
@pytest.mark.parametrize("grown", [0.94, 1.06])
@pytest.mark.parametrize("shift", [(9, -4), (-7, 8)])
def test_a_face_goes_where_its_pixels_go(portrait, face, degrees, grown, shift):
    picture, turn = turned(portrait, face.box.centre, degrees, grown, shift)
    (there,) = moved(portrait, picture, [face])
    assert there is not None
    assert there.box.centre == pytest.approx(turn @ (*face.box.centre, 1), abs=1.5)
    assert there.box.width == pytest.approx(grown * face.box.width, abs=2)
    expected = np.c_[face.landmarks, np.ones(5)] @ turn.T
    np.testing.assert_allclose(there.landmarks, expected, atol=1.5)
    assert there.roll_deg == pytest.approx(face.roll_deg - degrees, abs=1.5)
    assert there.score == face.score


def test_of_two_faces_one_that_is_covered_is_given_up(portrait, face):
    both = np.concatenate([portrait, portrait], 1)
    other = YuNet().detect(both)[1]
    covered = both.copy()
    x, y = map(int, other.box.centre)
    noise = np.random.default_rng(0).integers(0, 255, (300, 100, 3), np.uint8)
    covered[y - 40 : y + 60, x - 50 : x + 50] = noise[:100]
    found = moved(both, covered, [face, other])
    assert [one is None for one in found] == [False, True]


def test_a_face_that_leaves_or_grows_too_fast_is_given_up(portrait, face):
    for picture in (
        np.zeros_like(portrait),
        turned(portrait, face.box.centre, shift=(300, 0))[0],
        turned(portrait, face.box.centre, grown=1.5)[0],
        turned(portrait, face.box.centre, degrees=40)[0],
        portrait[::2, ::2],
    ):
        assert moved(portrait, picture, [face]) == [None]
