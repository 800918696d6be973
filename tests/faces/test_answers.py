"""What detectors answer, others' above all, and the faces that are made of it."""

import json

import numpy as np
import pytest

from mien.errors import InputError
from mien.faces import as_detector, find, open_detector
from mien.faces.answers import as_faces
from mien.types import Box, Face

PICTURE = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
EYES = ((1.0, 2.0), (3.0, 2.0))


class Says:
    """Somebody's detector, of one answer."""

    name, margin = "says", 1.0

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def detect(self, picture):
        return self.answer


@pytest.mark.parametrize(
    ("answer", "faces"),
    [
        ([], []),
        ((), []),
        (np.zeros((0, 4)), []),
        ([(1, 2, 3, 4)], [Face(Box(1, 2, 3, 4))]),
        ([Box(1, 2, 3, 4)], [Face(Box(1, 2, 3, 4))]),
        (np.array([[1.4, 2.6, 3, 4]], np.float32), [Face(Box(1, 3, 3, 4))]),
        ([[np.int64(1), np.float64(2), 3.0, 4]], [Face(Box(1, 2, 3, 4))]),
        ([Face(Box(1, 2, 3, 4), 0.5, EYES)], [Face(Box(1, 2, 3, 4), 0.5, EYES)]),
        (
            [Face(Box(*np.array([1, 2, 3, 4])), np.float32(0.5), np.array(EYES))],
            [Face(Box(1, 2, 3, 4), 0.5, EYES)],
        ),
    ],
)
def test_boxes_and_faces_become_faces_of_plain_numbers(answer, faces):
    made = as_faces(answer)
    assert made == faces
    assert [type(v) for f in made for v in (f.box.x, f.box.y, f.box.width)] == [int] * 3 * len(made)
    json.dumps([[f.score, f.landmarks] for f in made])


BOX = Box(1, 2, 3, 4)
WRONG = [
    None,
    7,
    "face",
    b"face",
    {"box": (1, 2, 3, 4)},
    (1, 2, 3, 4),
    [None],
    ["1234"],
    [{1, 2, 3, 4}],
    [{"x": 1, "y": 2, "width": 3, "height": 4}],
    [(1, 2, 3)],
    [(1, 2, 3, 4, 0.9)],
    [(1, 2, 0, 4)],
    [(1, 2, 3, float("nan"))],
    [(1, 2, 3, float("inf"))],
    [(1, 2, 3, None)],
    [Face(BOX, float("nan"))],
    [Face(BOX, 98)],
    [Face(BOX, "sure")],
    [Face(BOX, 0.5, ((1, 2),))],
    [Face(BOX, 0.5, ((1, 2), (3, float("nan"))))],
    [Face(BOX, 0.5, (1, 2, 3, 4))],
    [Face((1, 2, 3, 4))],
]


@pytest.mark.parametrize("answer", WRONG, ids=repr)
def test_a_wrong_answer_is_told_what_is_expected(answer):
    wanted = r"expected faces or boxes \(x, y, width, height\) from the detector.* got "
    for detector in (Says(answer), as_detector(lambda _: answer)):
        with pytest.raises(InputError, match=wanted):
            find(PICTURE, detector)


@pytest.mark.parametrize(
    ("box", "told"),
    [
        (Box(-4, 10, 20, 20), Box(0, 10, 16, 20)),
        (Box(10, -4, 20, 20), Box(10, 0, 20, 16)),
        (Box(70, 50, 20, 20), Box(70, 50, 10, 10)),
        (Box(-9, -9, 200, 200), Box(0, 0, 80, 60)),
        (Box(0, 0, 80, 60), Box(0, 0, 80, 60)),
        (Box(79, 59, 1, 1), Box(79, 59, 1, 1)),
    ],
)
def test_a_box_ends_at_the_picture_s_edge_and_the_crop_does_not(box: Box, told: Box):
    (face,), (cut,) = find(PICTURE, Says([Face(box, 0.5, EYES)]))
    assert face == Face(told, 0.5, EYES)
    assert cut.shape[:2] == (max(box.width, box.height),) * 2


@pytest.mark.parametrize("box", [(80, 0, 9, 9), (0, 60, 9, 9), (-9, 0, 9, 9), (500, 500, 90, 90)])
def test_a_box_outside_of_the_picture_is_an_error(box):
    with pytest.raises(InputError, match=r"in the picture of 80x60 px, got Box\(x="):
        find(PICTURE, Says([(0, 0, 9, 9), box]))


def test_the_faces_of_mien_s_own_detectors_stay_as_they_are():
    (face,), (cut,) = find(PICTURE, open_detector("none"))
    assert face == Face(Box(0, 0, 80, 60))
    assert cut is PICTURE
