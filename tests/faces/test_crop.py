"""The crop that a detector's box calls for: where it lies, how it is turned, what is beyond."""

import math

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from mien.faces import WholePicture, crop
from mien.types import Box, Face

RANDOM = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
PICTURE = cv2.GaussianBlur(
    np.random.default_rng(1).integers(0, 256, (190, 200, 3), np.uint8), (0, 0), 3
)


class Framing:
    """A detector of which only the margin is asked."""

    name = "framing"

    def __init__(self, margin: float = 1.0) -> None:
        self.margin = margin

    def detect(self, picture: NDArray[np.uint8]) -> list[Face]:
        return []


def tilted(box: Box, roll_deg: float) -> Face:
    """A face whose eyes are off the level by `roll_deg`, clockwise."""
    x, y = box.centre
    dx, dy = 10 * math.cos(math.radians(roll_deg)), 10 * math.sin(math.radians(roll_deg))
    mouth = ((x, y), (x - 5, y + 10), (x + 5, y + 10))
    return Face(box, 1.0, ((x - dx, y - dy), (x + dx, y + dy), *mouth))


def edges_repeated(picture: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """What lies in `box` of a picture that NumPy has padded."""
    pad = 300
    padded = np.pad(picture, ((pad, pad), (pad, pad), (0, 0)), mode="edge")
    x, y = box.x + pad, box.y + pad
    return padded[y : y + box.height, x : x + box.width]


@pytest.mark.parametrize(
    ("box", "margin", "frame"),
    [
        (Box(10, 20, 30, 30), 1.0, Box(10, 20, 30, 30)),
        (Box(10, 20, 20, 30), 1.0, Box(5, 20, 30, 30)),
        (Box(10, 20, 30, 20), 1.0, Box(10, 15, 30, 30)),
        (Box(20, 20, 20, 20), 1.5, Box(15, 15, 30, 30)),
        (Box(20, 20, 20, 20), 0.5, Box(25, 25, 10, 10)),
        # As far as the picture goes, and one pixel further.
        (Box(0, 0, 60, 60), 1.0, Box(0, 0, 60, 60)),
        (Box(20, 0, 60, 60), 1.0, Box(20, 0, 60, 60)),
        (Box(-1, 0, 60, 60), 1.0, Box(-1, 0, 60, 60)),
        (Box(0, -1, 60, 60), 1.0, Box(0, -1, 60, 60)),
        (Box(21, 0, 60, 60), 1.0, Box(21, 0, 60, 60)),
        (Box(20, 1, 60, 60), 1.0, Box(20, 1, 60, 60)),
        # Over a corner, around all of the picture, and beyond it.
        (Box(-20, -20, 40, 40), 1.0, Box(-20, -20, 40, 40)),
        (Box(70, 50, 40, 40), 1.0, Box(70, 50, 40, 40)),
        (Box(-10, -20, 100, 100), 1.0, Box(-10, -20, 100, 100)),
        (Box(-90, -70, 20, 20), 1.0, Box(-90, -70, 20, 20)),
        (Box(120, 90, 20, 20), 1.0, Box(120, 90, 20, 20)),
    ],
)
def test_a_crop_is_the_square_frame_with_the_edge_repeated(box: Box, margin: float, frame: Box):
    cut = crop(RANDOM, Face(box), Framing(margin))
    assert (cut == edges_repeated(RANDOM, frame)).all()
    assert cut.shape == (frame.height, frame.width, 3)


def test_a_detector_of_ready_made_crops_gives_the_picture_itself():
    assert crop(RANDOM, tilted(Box(3, 3, 5, 5), 40), WholePicture()) is RANDOM


@pytest.mark.parametrize("roll_deg", [0, 9.9, -9.9])
def test_a_face_tilted_by_ten_degrees_at_most_is_left_alone(roll_deg: float):
    box = Box(20, 10, 30, 30)
    cut = crop(RANDOM, tilted(box, roll_deg), Framing())
    assert (cut == RANDOM[10:40, 20:50]).all()


@pytest.mark.parametrize("roll_deg", [10.1, -10.1])
def test_a_face_tilted_by_more_is_turned_unless_align_is_off(roll_deg: float):
    face = tilted(Box(20, 10, 30, 30), roll_deg)
    assert (crop(RANDOM, face, Framing()) != RANDOM[10:40, 20:50]).any()
    assert (crop(RANDOM, face, Framing(), align=False) == RANDOM[10:40, 20:50]).all()


def upright(picture: NDArray[np.uint8], box: Box, roll_deg: float) -> NDArray[np.float64]:
    """What lies in the square around `box` that is tilted clockwise by `roll_deg`, by SciPy."""
    side = max(box.width, box.height)
    (x, y), angle = box.centre, math.radians(roll_deg)
    left, top = round(x - side / 2), round(y - side / 2)
    v, u = np.mgrid[top - y : top - y + side, left - x : left - x + side]
    rows = y + u * math.sin(angle) + v * math.cos(angle)
    columns = x + u * math.cos(angle) - v * math.sin(angle)
    each = [
        map_coordinates(c, (rows, columns), float, 1, "nearest") for c in np.rollaxis(picture, 2)
    ]
    return np.stack(each, 2)


INSIDE = [Box(70, 80, 30, 30), Box(80, 70, 26, 20), Box(50, 50, 101, 101)]
AT_THE_EDGE = [
    *(Box(-9, -9, 20, 20), Box(190, 185, 20, 20), Box(-9, 185, 20, 20), Box(190, -9, 20, 20)),
    *(Box(15, -15, 20, 20), Box(-30, -25, 250, 240)),
]
BEYOND = [Box(-900, 10, 20, 20), Box(900, 10, 20, 20), Box(20, -900, 20, 20), Box(20, 900, 20, 20)]


@pytest.mark.parametrize("roll_deg", [-175, -90, -45, -15, 15, 35, 45, 90])
@pytest.mark.parametrize("box", [*INSIDE, *AT_THE_EDGE, *BEYOND])
def test_a_tilted_face_is_turned_upright_with_the_edge_repeated(box: Box, roll_deg: float):
    cut = crop(PICTURE, tilted(box, roll_deg), Framing())
    expected = upright(PICTURE, box, roll_deg)
    assert cut.dtype == np.uint8
    assert cut.shape == expected.shape
    assert np.abs(cut - expected).max() < 4
