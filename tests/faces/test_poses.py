"""Faces that are cut, lie or stand on their head, as `shared/cases` has them."""

import math
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import mien
from mien.demo import PORTRAIT
from mien.faces.poses import look_again, quarter, turned_back
from mien.faces.yunet import YuNet
from mien.sources import Frame, read_picture
from mien.types import Box, Face


@pytest.fixture(scope="module")
def recognizer() -> mien.Recognizer:
    return mien.Recognizer(detector="yunet")


def test_the_box_of_a_cut_face_is_a_part_of_the_picture(recognizer, shared: Path):
    picture = read_picture(shared / "cases" / "edge.png")
    (reading,) = recognizer.recognize(picture)
    box = reading.face.box
    assert (box.x, reading.label) == (0, "happy")
    assert picture[box.y : box.y + box.height, box.x : box.x + box.width].shape == (
        *(box.height, box.width, 3),
    )


def turned(degrees: float) -> NDArray[np.uint8]:
    """The portrait, turned clockwise."""
    portrait = read_picture(PORTRAIT)
    height, width = portrait.shape[:2]
    side = math.ceil(math.hypot(width, height))
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1)
    turn[:, 2] += (side / 2 - width / 2, side / 2 - height / 2)
    return np.asarray(cv2.warpAffine(portrait, turn, (side, side)))


def test_a_face_upside_down_is_read(recognizer, shared: Path):
    (reading,) = recognizer.recognize(shared / "cases" / "upside.jpg")
    assert (reading.label, reading.status) == ("happy", "ok")
    assert abs(reading.face.roll_deg) > 170
    assert reading.face.box.overlap(mien.Box(116, 144, 90, 113)) > 0.8


def test_a_face_upside_down_that_may_not_be_turned_is_told(shared: Path):
    upright = mien.Recognizer(detector="yunet", align=False)
    (reading,) = upright.recognize(shared / "cases" / "upside.jpg")
    assert reading.status == "rotated"


@pytest.mark.parametrize("degrees", range(0, 360, 40))
def test_a_face_is_read_in_every_direction(recognizer, degrees: int):
    (reading,) = recognizer.recognize(turned(degrees))
    assert reading.label == "happy" and reading.confidence > 0.9
    assert abs((reading.face.roll_deg - degrees + 180) % 360 - 180) < 45


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_photo_that_lies_is_read_as_the_upright_one(recognizer, quarters: int):
    portrait = read_picture(PORTRAIT)
    lying = np.ascontiguousarray(np.rot90(portrait, quarters))
    (upright,), (reading,) = recognizer.recognize(portrait), recognizer.recognize(lying)
    assert reading.confidence == pytest.approx(upright.confidence, abs=0.02)
    there = turned_back(reading.face, quarters, *portrait.shape[1::-1])
    assert there.box.overlap(upright.face.box) > 0.8
    assert np.abs(np.array(there.landmarks) - upright.face.landmarks).max() < 10


FACE = Face(Box(10, 20, 30, 40), 0.9, ((15.5, 30.25), (30, 31), (22, 40), (18, 50), (29, 51)))


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_a_face_of_a_turned_picture_comes_back(quarters: int):
    picture = np.zeros((100, 80), np.uint8)
    picture[20:60, 10:40] = 1
    rows, columns = np.nonzero(np.rot90(picture, quarters))
    x, y = columns.min(), rows.min()
    there = Face(Box(x, y, columns.max() - x + 1, rows.max() - y + 1), 0.9)
    assert turned_back(there, quarters, 80, 100).box == FACE.box


@pytest.mark.parametrize("roll, quarters", [(0, 0), (44, 0), (46, 1), (-44, 0), (-91, 3), (180, 2)])
def test_a_face_says_how_its_picture_lies(roll: float, quarters: int):
    eye = (100 * math.cos(math.radians(roll)), 100 * math.sin(math.radians(roll)))
    assert quarter(Face(FACE.box, 0.9, ((0, 0), eye))) == quarters


def surer(by: float, cell: int) -> Callable[[NDArray[np.uint8]], list[Face]]:
    """A search that finds an upright face in the middle of one cell of 160 px."""
    x, y = cell % 4 * 160 + 80, cell // 4 * 160 + 80
    landmarks = ((x - 10, y - 10), (x + 10, y - 10), (x, y), (x - 8, y + 10), (x + 8, y + 10))
    return lambda _: [Face(Box(x - 30, y - 40, 60, 80), 0.5 + by, landmarks)]


def test_a_face_is_what_the_detector_is_surest_of():
    picture = np.zeros((300, 300, 3), np.uint8)
    face = Face(Box(100, 100, 80, 80), 0.5, FACE.landmarks)
    # A cell shows 120 px of the picture: 60 x 80 of its pixels are 45 x 60 of the picture's.
    lying = look_again(picture, face, surer(0.02, 3), 640)
    assert lying.box == Box(110, 118, 60, 45)
    assert lying.roll_deg == pytest.approx(90)
    assert look_again(picture, face, surer(0.02, 6), 640).roll_deg == pytest.approx(180)
    assert look_again(picture, face, surer(0.01, 6), 640) is face, "hardly surer"
    assert look_again(picture, face, surer(0.4, 0), 640) is face, "the same direction"
    assert look_again(picture, face, surer(0.4, 13), 640) is face, "a cell that is not used"
    assert look_again(picture, face, lambda _: [], 640) is face


class Counting(YuNet):
    """YuNet that counts how often its network runs."""

    runs = 0

    def _answers(self, canvases, least):
        self.runs += 1
        return super()._answers(canvases, least)


@pytest.mark.parametrize(("time_s", "runs"), [(None, 2), (0.5, 1)])
def test_a_film_without_a_face_is_searched_once_a_frame(time_s, runs):
    detector = Counting()
    frame = Frame(None, np.full((240, 320, 3), 90, np.uint8), time_s=time_s)
    assert not mien.Recognizer(detector=detector).find(frame).faces
    assert detector.runs == runs


def test_an_upright_face_costs_a_search_and_a_close_look():
    detector = Counting()
    assert len(detector.detect_in_photo(read_picture(PORTRAIT))) == 1
    assert detector.runs == 2
