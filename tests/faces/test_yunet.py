"""How YuNet searches a picture and looks at places, and what it makes of what it finds."""

import pickle

import cv2
import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from mien.demo import PORTRAIT
from mien.errors import InputError
from mien.faces import open_detector
from mien.faces.yunet import YuNet, _distinct, _face, _Look, _without_repeats
from mien.sources import read_picture
from mien.types import Box, Face

FACE = Box(178, 63, 90, 113)


@pytest.fixture(scope="module")
def detector() -> YuNet:
    return YuNet()


@pytest.fixture(scope="module")
def portrait() -> NDArray[np.uint8]:
    return read_picture(PORTRAIT)


def test_the_portrait(detector, portrait):
    """The landmarks were read off the picture: the eyes, the nose, the corners of the mouth."""
    (face,) = detector.detect(portrait)
    assert face.box.overlap(FACE) > 0.85
    assert face.score == pytest.approx(0.93, abs=0.02)
    read_off = [(202, 102), (246, 102), (221, 123), (200, 141), (239, 143)]
    assert np.abs(np.array(face.landmarks) - read_off).max() < 0.055 * face.box.height
    assert abs(face.roll_deg) < 4


def test_landmarks_and_scores_are_rounded(detector, portrait):
    (face,) = detector.detect(portrait)
    assert face.score == round(face.score, 4)
    assert all(value == round(value, 2) for point in face.landmarks for value in point)


def test_a_mirrored_portrait_has_its_right_eye_on_the_other_side(detector, portrait):
    (face,) = detector.detect(np.ascontiguousarray(portrait[:, ::-1]))
    (right_x, _), (left_x, _) = face.landmarks[:2]
    assert right_x == pytest.approx(511 - 246, abs=6)
    assert left_x == pytest.approx(511 - 202, abs=6)


@pytest.mark.parametrize("by", [3, 4])
def test_a_face_is_in_the_picture_s_own_pixels(detector, portrait, by: int):
    (small,) = detector.detect(portrait)
    (large,) = detector.detect(cv2.resize(portrait, None, fx=by, fy=by))
    box = small.box
    times = Box(by * box.x, by * box.y, by * box.width, by * box.height)
    assert large.box.overlap(times) > 0.85
    apart = np.array(large.landmarks) - by * np.array(small.landmarks)
    assert np.abs(apart).max() < 0.05 * large.box.height


def test_what_tells_colours_apart_is_given_in_the_right_order(detector, portrait):
    """A face in a blue light is found less surely than one in skin's colour."""
    (right,) = detector.detect(portrait)
    (wrong,) = detector.detect(np.ascontiguousarray(portrait[:, :, ::-1]))
    assert right.score > wrong.score + 0.005


class Told(YuNet):
    """YuNet that is told what its network says, and keeps the canvases that it was asked about."""

    def __init__(self, *answers: list[list[float]], min_face: int = 30) -> None:
        self.answers = [np.array(a, np.float32).reshape(-1, 15) for a in answers]
        self.min_face = min_face
        self.asked: list[tuple[int, ...]] = []

    def _answers(self, canvases, least):
        self.asked += [canvas.shape[1::-1] for canvas in canvases]
        told = [self.answers.pop(0) if self.answers else np.empty((0, 15)) for _ in canvases]
        return [rows[rows[:, -1] >= least] for rows in told]


def row(x: float, y: float, side: float, score: float) -> list[float]:
    return [x, y, side, side, *[x + side / 2, y + side / 2] * 5, score]


@pytest.mark.parametrize(
    ("size", "min_face", "canvas"),
    [
        ((640, 480), 30, (384, 288)),  # at 0.6
        ((1280, 720), 30, (640, 384)),  # 640 px, in multiples of 32
        ((720, 1280), 30, (384, 640)),
        ((2000, 1000), 30, (1024, 512)),  # at 0.5, as all larger ones
        ((1280, 720), 60, (384, 224)),  # at 0.3
        ((1280, 720), 320, (320, 192)),  # no less than 320 px
        ((100, 50), 30, (128, 64)),  # never enlarged
        ((640, 480), 20, (576, 448)),
        ((640, 480), 5, (640, 480)),
    ],
)
def test_the_smallest_face_decides_how_large_a_picture_is_searched(size, min_face, canvas):
    detector = Told(min_face=min_face)
    assert detector.detect(np.zeros((size[1], size[0], 3), np.uint8)) == []
    assert detector.asked == [canvas]


def test_a_place_is_looked_at_with_its_surroundings():
    """A place of 57.6 px in the search at 0.6 is 96 px of the picture; the look takes in 120 of
    them, from (88, 88) on, in 192."""
    detector = Told([row(60, 60, 57.6, 0.5)], [row(16, 16, 160, 0.9)])
    (face,) = detector.detect(np.zeros((480, 640, 3), np.uint8))
    assert detector.asked == [(384, 288), (192, 192)]
    assert face.box == Box(88 + 10, 88 + 10, 100, 100)
    assert face.score == 0.9
    assert face.landmarks == ((148.0, 148.0),) * 5


@pytest.mark.parametrize(
    ("search", "close", "found"),
    [
        *((0.1, 0.9, 1), (0.1, 0.86, 1), (0.09, 1, 0)),  # a look may be certain by itself
        *((0.26, 0.85, 1), (0.24, 0.85, 0), (0.9, 0.5, 1), (0.9, 0.49, 0)),
    ],
)
def test_search_and_look_decide_of_a_large_face(search: float, close: float, found: int):
    detector = Told([row(60, 60, 72, search)], [row(19, 19, 154, close)])  # 120 px
    assert len(detector.detect(np.zeros((480, 640, 3), np.uint8))) == found


@pytest.mark.parametrize(
    ("search", "close", "wide", "found"),
    [
        *((0.1, 0.9, 0, 1), (0.1, 0.8, 0.8, 1), (0.7, 0.8, 0.79, 0)),
        *((0.85, 0.6, 0.75, 1), (0.85, 0.8, 0.7, 0), (0.85, 0.49, 1, 0)),
    ],
)
def test_the_surroundings_of_a_small_face_decide_too(search, close, wide, found: int):
    looks = [row(13, 13, 102, close)], [], [row(43, 43, 42, wide)]  # after the twelve directions
    detector = Told([row(60, 60, 36, search)], *looks)  # 60 px
    assert len(detector.detect(np.zeros((480, 640, 3), np.uint8))) == found


@pytest.mark.parametrize(("face_px", "found"), [(18, 1), (17, 0)])
def test_what_is_much_smaller_than_the_smallest_face_is_none(face_px: int, found: int):
    detector = Told([row(60, 60, 0.6 * face_px, 0.9)], [row(13, 13, 102, 0.9)])
    assert len(detector.detect(np.zeros((480, 640, 3), np.uint8))) == found


@pytest.mark.parametrize(("close", "found"), [(0.65, 1), (0.64, 0)])
def test_a_look_alone_wants_to_be_surer(close: float, found: int):
    detector = Told([row(27, 27, 73, close)])
    picture = np.zeros((480, 640, 3), np.uint8)
    assert len(detector.look(picture, [Face(Box(96, 128, 64, 64))])) == found


def test_a_face_that_moved_is_found_where_it_was_looked_for(detector, portrait):
    (face,) = detector.detect(portrait)
    for right, down in ((25, 0), (-25, 20), (0, 30)):
        place = Box(FACE.x + right, FACE.y + down, FACE.width, FACE.height)
        (again,) = detector.look(portrait, [Face(place)])
        assert again.box.overlap(face.box) > 0.85
    assert detector.look(portrait, [Face(Box(380, 300, 90, 113))]) == []
    assert detector.look(portrait, [Face(Box(900, 900, 90, 113))]) == []
    assert detector.look(portrait, []) == []


def test_two_places_of_one_face_give_it_once(detector, portrait):
    places = [Face(Box(FACE.x + shift, FACE.y, 100, 100)) for shift in (-15, 0, 15)]
    assert len(detector.look(portrait, places)) == 1


def test_many_places_are_looked_at_in_several_runs(detector, portrait):
    crowd = np.tile(portrait[:256, 96:352], (4, 5, 1))
    faces = detector.detect(crowd)
    assert len(faces) == 20
    assert len(detector.look(crowd, faces)) == 20


@pytest.mark.parametrize(("face_px", "look_px"), [(10, 128), (60, 128), (61, 192), (900, 192)])
def test_a_large_face_is_looked_at_in_more_pixels(face_px: int, look_px: int):
    detector = Told()
    detector._looks(np.zeros((1000, 1000, 3), np.uint8), [Box(5, 5, face_px, face_px)], 1.25)
    assert detector.asked == [(look_px, look_px)]


def test_places_of_all_sizes_are_told_in_their_order():
    answers = [row(13, 13, 102, 0.9)], [row(19, 19, 154, 0.8)], [row(13, 13, 102, 0.7)]
    detector = Told(answers[0], answers[2], answers[1])  # the small ones are asked together
    places = [Box(0, 0, 50, 50), Box(200, 200, 120, 120), Box(500, 500, 50, 50)]
    found = detector._looks(np.zeros((700, 700, 3), np.uint8), places, 1.25)
    assert [[face.score for face in faces] for faces in found] == [[0.9], [0.8], [0.7]]


def test_what_lies_beyond_the_edge_is_black():
    white = np.full((100, 100, 3), 255, np.uint8)
    look = _Look(white, Box(-16, 40, 60, 60), 128, 1.6)  # 96 px from (-34, 22) on
    assert look.canvas.shape == (128, 128, 3)
    assert look.canvas.all(axis=2).mean() == pytest.approx(62 / 96 * 78 / 96, abs=0.01)


def test_no_face_is_told_of_the_black_beyond_the_edge():
    left_of_it = Box(-64, 20, 64, 64)
    look = _Look(np.zeros((100, 100, 3), np.uint8), left_of_it, 128, 1.6)
    at_the_place = row(16, 16, 96, 0.9)
    assert look.faces(np.array([at_the_place], np.float32)) == []


def test_what_the_network_says_becomes_a_face_in_the_picture_s_pixels():
    told = np.array([10.2, 20.6, 5.4, 8.8, *range(10), 0.87654], np.float32)
    face = _face(told, 0.5, 100, 200)
    assert face.box == Box(120, 241, 11, 18)
    assert face.score == 0.8765
    assert face.landmarks == ((100, 202), (104, 206), (108, 210), (112, 214), (116, 218))
    thin = np.array([3, 4, 0.2, 0.3, *[1 / 3] * 10, 0.9], np.float32)
    assert _face(thin, 1.0).box == Box(3, 4, 1, 1)
    assert _face(thin, 1.0).landmarks == ((0.33, 0.33),) * 5


def test_of_faces_that_overlap_the_surest_is_told():
    rows = np.array([row(0, 0, 10, 0.7), row(1, 0, 10, 0.9), row(30, 0, 10, 0.8)], np.float32)
    assert np.allclose(_distinct(rows, 0.5)[:, -1], [0.9, 0.8])
    assert _distinct(rows[:0], 0.5).shape == (0, 15)


def test_the_largest_face_comes_first_and_of_equals_the_upper_left():
    boxes = [Box(50, 9, 10, 10), Box(0, 9, 10, 10), Box(0, 0, 4, 4), Box(0, 60, 10, 10)]
    found = _without_repeats(Face(box, 0.9) for box in boxes)
    assert [f.box for f in found] == [boxes[1], boxes[3], boxes[0], boxes[2]]


@pytest.mark.parametrize(("apart", "told"), [(5, 1), (6, 2)])
def test_a_face_found_twice_is_told_once_the_surest(apart: int, told: int):
    faces = [Face(Box(0, 0, 10, 10), 0.7), Face(Box(apart, 0, 10, 10), 0.99)]
    found = _without_repeats(faces)
    assert len(found) == told
    assert Face(Box(apart, 0, 10, 10), 0.99) in found


@pytest.mark.parametrize("wrong", [0, -3])
def test_a_smallest_face_without_a_pixel_is_refused(wrong: int):
    with pytest.raises(InputError, match="at least 1 px"):
        YuNet(wrong)


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        ("auto", ["CPUExecutionProvider"]),  # its runs are short, and of many sizes
        ("cpu", ["CPUExecutionProvider"]),
        ("cuda", ["CUDAExecutionProvider", "CPUExecutionProvider"]),
    ],
)
def test_a_graphics_card_searches_where_it_is_asked_for(monkeypatch, device: str, expected):
    """What onnxruntime is asked for: no test machine has the card."""
    asked = []

    class Session(onnxruntime.InferenceSession):
        def __init__(self, data, options, providers):
            asked.extend(one if isinstance(one, str) else one[0] for one in providers)
            super().__init__(data, options, providers=["CPUExecutionProvider"])

        def get_providers(self):
            return asked

    there = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: there)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None)
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    open_detector("yunet", device=device)
    assert asked == expected


def test_a_graphics_card_that_is_not_there_is_refused():
    with pytest.raises(InputError, match="drives no graphics card"):
        YuNet(device="cuda")


def test_it_goes_into_another_process_and_is_the_same(portrait):
    again = pickle.loads(pickle.dumps(YuNet(50)))
    assert again.min_face == 50
    assert again.detect(portrait) == YuNet(50).detect(portrait)
