"""Faces that are cut, lie or stand on their head, as `shared/cases` has them."""

from pathlib import Path

import pytest

import mien
from mien.sources import read_picture


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
