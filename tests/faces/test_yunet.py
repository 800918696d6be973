"""How YuNet searches a picture, and what it makes of what it finds; with the network's own eyes
where a face matters, and told answers where only places do."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mien.demo import PORTRAIT
from mien.errors import WeightsError
from mien.faces import open_detector
from mien.faces.weights import YUNET
from mien.faces.yunet import YuNet, _face, _moved, _tiles, _without_repeats
from mien.sources import read_picture
from mien.types import Box, Face


@pytest.fixture(scope="module")
def detector(yunet_home: Path) -> YuNet:
    return YuNet()


def test_the_portrait(detector):
    """The landmarks were read off the picture: the eyes, the nose, the corners of the mouth."""
    (face,) = detector.detect(read_picture(PORTRAIT))
    assert face.box.overlap(Box(178, 63, 90, 113)) > 0.9
    assert face.score == pytest.approx(0.93, abs=0.02)
    read_off = [(202, 102), (246, 102), (221, 123), (200, 141), (239, 143)]
    assert np.abs(np.array(face.landmarks) - read_off).max() < 4
    assert abs(face.roll_deg) < 4


def test_landmarks_and_scores_are_rounded(detector):
    (face,) = detector.detect(read_picture(PORTRAIT))
    assert face.score == round(face.score, 4)
    assert all(value == round(value, 2) for point in face.landmarks for value in point)


def test_a_mirrored_portrait_has_its_right_eye_on_the_other_side(detector):
    portrait = read_picture(PORTRAIT)
    (face,) = detector.detect(np.ascontiguousarray(portrait[:, ::-1]))
    (right_x, _), (left_x, _) = face.landmarks[:2]
    assert right_x == pytest.approx(511 - 246, abs=6)
    assert left_x == pytest.approx(511 - 202, abs=6)


@pytest.mark.parametrize("by", [3, 4])
def test_a_face_is_in_the_picture_s_own_pixels(detector, by: int):
    portrait = read_picture(PORTRAIT)
    (small,) = detector.detect(portrait)
    (large,) = detector.detect(cv2.resize(portrait, None, fx=by, fy=by))
    box = small.box
    times = Box(by * box.x, by * box.y, by * box.width, by * box.height)
    assert large.box.overlap(times) > 0.85
    apart = np.array(large.landmarks) - by * np.array(small.landmarks)
    assert np.abs(apart).max() < 0.05 * large.box.height


def test_what_tells_colours_apart_is_given_in_the_right_order(detector):
    """A face in a blue light is found less surely than one in skin's colour."""
    portrait = read_picture(PORTRAIT)
    (right,) = detector.detect(portrait)
    (wrong,) = detector.detect(np.ascontiguousarray(portrait[:, :, ::-1]))
    assert right.score > wrong.score + 0.005


class Told(YuNet):
    """YuNet that is told what each part of a picture holds, and keeps the parts."""

    def __init__(self, *answers: list[Face]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[tuple[int, int], float]] = []

    def _search(self, part: NDArray[np.uint8], scale: float) -> list[Face]:
        self.asked.append((part.shape[1::-1], round(scale, 6)))
        return self.answers.pop(0) if self.answers else []


@pytest.mark.parametrize(
    ("size", "asked"),
    [
        ((100, 50), [((100, 50), 1)]),
        ((640, 640), [((640, 640), 1)]),
        ((1280, 720), [((640, 360), 0.5)]),
        ((720, 1280), [((360, 640), 0.5)]),
        ((1282, 100), [((640, 50), 0.49922), ((640, 50), 0.5), ((121, 50), 0.5)]),
        (
            (2560, 1440),
            [
                ((640, 360), 0.25),
                *[((640, 640), 0.5), ((640, 640), 0.5), ((240, 640), 0.5)],
                *[((640, 200), 0.5), ((640, 200), 0.5), ((240, 200), 0.5)],
            ],
        ),
    ],
)
def test_a_large_picture_is_searched_once_more_in_tiles(size, asked):
    detector = Told()
    assert detector.detect(np.zeros((size[1], size[0], 3), np.uint8)) == []
    assert detector.asked == asked


def test_faces_of_tiles_are_moved_to_where_the_tile_lies():
    box = Face(Box(10, 20, 30, 40), 0.9, ((1.5, 2.5), (3, 4), (5, 6), (7, 8), (9, 10)))
    detector = Told([], [], [], [], [], [box])
    (face,) = detector.detect(np.zeros((1440, 2560, 3), np.uint8))
    # The fifth tile: 520 px right and 520 down at half the size.
    assert face.box == Box(1050, 1060, 30, 40)
    assert face.score == 0.9
    assert face.landmarks == (
        *((1041.5, 1042.5), (1043, 1044), (1045, 1046), (1047, 1048), (1049, 1050)),
    )


def test_a_face_without_landmarks_is_moved_without():
    assert _moved(Face(Box(1, 2, 3, 4)), 10, 20).box == Box(11, 22, 3, 4)


def test_the_largest_face_comes_first_and_of_equals_the_upper_left():
    boxes = [Box(50, 9, 10, 10), Box(0, 9, 10, 10), Box(0, 0, 4, 4), Box(0, 60, 10, 10)]
    detector = Told([Face(box) for box in boxes])
    found = detector.detect(np.zeros((99, 99, 3), np.uint8))
    assert [f.box for f in found] == [boxes[1], boxes[3], boxes[0], boxes[2]]


def test_what_the_network_says_becomes_a_face_in_the_picture_s_pixels():
    row = np.array([10.2, 20.6, 5.4, 8.8, *range(10), 0.87654], np.float32)
    face = _face(row, 0.5)
    assert face.box == Box(20, 41, 11, 18)
    assert face.score == 0.8765
    assert face.landmarks == ((0, 2), (4, 6), (8, 10), (12, 14), (16, 18))
    thin = np.array([3, 4, 0.2, 0.3, *[1 / 3] * 10, 0.9], np.float32)
    assert _face(thin, 1.0).box == Box(3, 4, 1, 1)
    assert _face(thin, 1.0).landmarks == ((0.33, 0.33),) * 5


LARGE = Box(100, 100, 100, 100)


@pytest.mark.parametrize(
    ("other", "kept"),
    [
        (Box(100, 100, 100, 99), False),  # the same, a little smaller
        (Box(100, 100, 60, 100), False),  # cut by the edge of a tile
        (Box(140, 100, 60, 100), False),
        (Box(100, 145, 100, 55), False),
        (Box(155, 100, 90, 100), False),  # its middle is beyond, but they overlap by 0.31
        (Box(155, 100, 95, 100), True),  # by 0.3
        (Box(160, 100, 90, 100), True),
        (Box(210, 100, 90, 100), True),
        (Box(110, 110, 34, 34), False),  # inside, and more than a third as wide
        (Box(110, 110, 33, 33), True),  # a small face in front of a large one
        (Box(184, 120, 34, 34), True),  # its middle is just beyond
        (Box(120, 184, 34, 34), True),
        (Box(82, 120, 34, 34), True),
        (Box(120, 82, 34, 34), True),
        (Box(182, 120, 34, 34), False),  # its middle is just within
        (Box(120, 182, 34, 34), False),
        (Box(84, 120, 34, 34), False),
        (Box(120, 84, 34, 34), False),
    ],
)
def test_a_face_found_twice_is_told_once_as_its_largest(other: Box, kept: bool):
    faces = [Face(other, 0.99), Face(LARGE, 0.7)]
    expected = [Face(LARGE, 0.7), *([Face(other, 0.99)] if kept else [])]
    assert _without_repeats(faces) == expected
    assert _without_repeats(faces[::-1]) == expected


@pytest.mark.parametrize(
    ("size", "places"),
    [
        ((640, 640), [(0, 0)]),
        ((641, 640), [(0, 0), (520, 0)]),
        ((1160, 100), [(0, 0), (520, 0)]),
        ((1161, 100), [(0, 0), (520, 0), (1040, 0)]),
        ((100, 1161), [(0, 0), (0, 520), (0, 1040)]),
        ((60, 60), [(0, 0)]),
        ((900, 900), [(0, 0), (520, 0), (0, 520), (520, 520)]),
    ],
)
def test_tiles_overlap_so_that_every_small_face_is_whole_in_one(size, places):
    rows = np.arange(size[1] * size[0]).reshape(size[1], size[0])
    found = list(_tiles(rows))
    assert [(x, y) for x, y, _ in found] == places
    for x, y, tile in found:
        assert (tile == rows[y : y + 640, x : x + 640]).all()


def test_damaged_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MIEN_HOME", str(tmp_path))
    (tmp_path / YUNET.name).write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="wrong sha256"):
        open_detector("yunet")
    assert open_detector("auto").name == "haar"
