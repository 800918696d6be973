from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage
from numpy.typing import NDArray

from mien.demo import PORTRAIT
from mien.faces.haar import Haar
from mien.sources import read_picture
from mien.types import Box, Face

PICTURES = Path(skimage.__file__).parent / "data"
# Saved once; the coins are no faces, but show how sure the cascade must be. They move by a pixel
# from run to run, as OpenCV's threads find neighbours in different orders.
FOUND = {
    "portrait": [Box(177, 66, 94, 94)],
    "coins.png": [Box(23, 229, 58, 58), Box(243, 86, 58, 58), Box(22, 173, 41, 41)],
    "moon.png": [Box(441, 441, 51, 51)],
    "phantom.png": [],
}


def assert_near(faces: list[Face], boxes: list[Box], within_px: float) -> None:
    got = [[f.box.x, f.box.y, f.box.width, f.box.height] for f in faces]
    expected = [[b.x, b.y, b.width, b.height] for b in boxes]
    assert len(got) == len(expected)
    assert np.abs(np.array(got) - expected).max(initial=0) <= within_px


@pytest.mark.parametrize("name", FOUND)
def test_it_finds_what_it_found(name: str):
    picture = read_picture(PORTRAIT if name == "portrait" else PICTURES / name)
    faces = Haar().detect(picture)
    assert_near(faces, FOUND[name], 3)
    assert all(face.score is None and face.landmarks is None for face in faces)


def test_red_and_blue_weigh_as_in_rgb():
    light = cv2.cvtColor(read_picture(PORTRAIT), cv2.COLOR_RGB2GRAY).astype(float) - 128
    red, blue = 128 + light, 128 - light * 0.114 / 0.299  # one grey if taken for BGR
    picture = np.dstack([red, np.full_like(red, 128), blue]).clip(0, 255).astype(np.uint8)
    assert_near(Haar().detect(picture), FOUND["portrait"], 6)


class Told(Haar):
    """Haar with a cascade that answers as it is told, and keeps what it was asked."""

    def __init__(self, *boxes: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.boxes, self.asked = boxes, {}

    def _cascade(self):
        return self

    def detectMultiScale(self, image: NDArray[np.uint8], **asked: object):
        self.asked = {"shape": image.shape, **asked}
        return self.boxes


def test_the_largest_face_comes_first_and_of_equals_the_upper_left():
    detector = Told((5, 5, 10, 10), (9, 0, 20, 5), (5, 0, 10, 10), (0, 9, 11, 11))
    boxes = [face.box for face in detector.detect(np.zeros((30, 30, 3), np.uint8))]
    assert boxes == [Box(0, 9, 11, 11), Box(5, 0, 10, 10), Box(5, 5, 10, 10), Box(9, 0, 20, 5)]


@pytest.mark.parametrize(
    ("size", "searched", "smallest"),
    [
        ((640, 480), (640, 480), 24),
        ((1280, 499), (1280, 499), 24),
        ((1280, 500), (1280, 500), 25),
        ((1280, 1280), (1280, 1280), 64),
        ((2560, 1280), (1280, 640), 32),
        ((10, 10), (10, 10), 24),
    ],
)
def test_faces_are_searched_from_a_twentieth_of_the_shorter_side(size, searched, smallest):
    detector = Told((10, 20, 30, 40))
    (face,) = detector.detect(np.zeros((size[1], size[0], 3), np.uint8))
    assert detector.asked["shape"] == searched[::-1]
    assert detector.asked["minSize"] == (smallest, smallest)
    by = size[0] // searched[0]
    assert face.box == Box(10 * by, 20 * by, 30 * by, 40 * by)


def test_boxes_of_a_large_picture_are_in_its_own_pixels():
    small = read_picture(PORTRAIT)
    large = cv2.resize(small, None, fx=3, fy=3)
    box = FOUND["portrait"][0]
    thrice = Box(3 * box.x, 3 * box.y, 3 * box.width, 3 * box.height)
    assert_near(Haar().detect(large), [thrice], 24)


def test_threads_may_share_it():
    detector, portrait = Haar(), read_picture(PORTRAIT)[:300, 90:390]
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(detector.detect, [portrait] * 6))
    assert [len(faces) for faces in answers] == [1] * 6


def test_its_name_and_margin():
    assert (Haar.name, Haar.margin) == ("haar", 1.03)
