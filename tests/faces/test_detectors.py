"""Detectors by name, by object and by function."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mien.errors import InputError
from mien.faces import DETECTORS, Detector, FromFunction, WholePicture, as_detector, open_detector
from mien.faces.yunet import YuNet
from mien.types import Box, Face

PICTURE = np.zeros((30, 20, 3), np.uint8)


@pytest.mark.parametrize(("name", "kind"), [("yunet", YuNet), ("none", WholePicture)])
def test_each_name_opens_its_detector(name: str, kind: type):
    detector = open_detector(name)
    assert type(detector) is kind
    assert isinstance(detector, Detector)
    assert (detector.name, detector.margin) == (name, 1.0)
    assert type(as_detector(name)) is kind


def test_the_names_are_those_of_the_command_line():
    assert DETECTORS == ("yunet", "none")


def test_yunet_is_the_default():
    assert open_detector().name == "yunet"


@pytest.mark.parametrize("name", ["none", "yunet"])
def test_the_smallest_face_is_told_to_the_detector_that_searches(name: str):
    assert getattr(open_detector(name, 77), "min_face", 77) == 77


@pytest.mark.parametrize("name", ["mtcnn", "", "YuNet", "haar"])
def test_an_unknown_detector_is_named(name: str):
    with pytest.raises(InputError) as caught:
        as_detector(name)
    assert str(caught.value) == f"no detector {name!r}; there are: yunet, none"


@pytest.mark.parametrize("wrong", [None, 3, [YuNet]])
def test_what_is_no_detector_is_named(wrong: object):
    with pytest.raises(InputError) as caught:
        as_detector(wrong)
    assert str(caught.value) == (
        f"expected a detector's name, a detector or a function, got {wrong!r}"
    )


@pytest.mark.parametrize("shape", [(1, 1), (7, 300), (480, 640)])
def test_a_picture_without_a_face_has_none(shape):
    assert YuNet().detect(np.full((*shape, 3), 90, np.uint8)) == []


def test_none_takes_the_whole_picture():
    (face,) = open_detector("none").detect(PICTURE)
    assert face == Face(Box(0, 0, 20, 30))


class Own:
    """A detector of somebody else: nothing but the protocol."""

    name, margin = "own", 1.2

    def detect(self, picture):
        return []


@pytest.mark.parametrize("detector", [Own(), YuNet(), WholePicture(), FromFunction(lambda p: [])])
def test_a_detector_is_taken_as_it_is(detector: Detector):
    assert as_detector(detector) is detector


def test_a_function_becomes_a_detector_framed_like_yunet():
    detector = as_detector(lambda picture: [])
    assert (detector.name, detector.margin) == ("function", 1.0)
    assert detector.detect(PICTURE) == []


def test_a_function_s_faces_come_largest_first():
    small, large = Face(Box(1, 2, 3, 4), 0.5), Face(Box(0, 0, 9, 9), 0.1)

    def find(picture):
        assert picture is PICTURE
        yield small
        yield (5.4, 6.6, 30, 2)
        yield large
        yield (1, 1, 4, 30)

    assert as_detector(find).detect(PICTURE) == [
        Face(Box(1, 1, 4, 30)),
        large,
        Face(Box(5, 7, 30, 2)),
        small,
    ]


@pytest.mark.parametrize("answer", [(0, 0, 9), (0, 0, 9, 9, 9), 7, "face"])
def test_a_function_that_finds_no_boxes_is_told_what_is_expected(answer):
    with pytest.raises(InputError, match=r"expected faces or boxes \(x, y, width, height\)"):
        as_detector(lambda _: [answer]).detect(PICTURE)


def test_a_function_is_never_called_by_two_threads_at_once():
    inside, most = [], []

    def find(picture):
        inside.append(threading.get_ident())
        most.append(len(inside))
        time.sleep(0.002)  # long enough for another thread to come, were it let in
        inside.pop()
        return [(0, 0, 2, 2)]

    detector = as_detector(find)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(detector.detect, [PICTURE] * 12))
    assert found == [[Face(Box(0, 0, 2, 2))]] * 12
    assert most == [1] * 12


def test_a_function_that_failed_can_be_called_again():
    answers = iter([ValueError("once"), [(0, 0, 2, 2)]])

    def find(picture):
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    detector = as_detector(find)
    with pytest.raises(ValueError, match="once"):
        detector.detect(PICTURE)
    assert detector.detect(PICTURE) == [Face(Box(0, 0, 2, 2))]
