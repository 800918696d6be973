"""Small inputs from the field, each for a kind of fault: what `cases/README.md` calls right."""

from pathlib import Path

import pytest

import mien
from tests.fakes import brightness_bundle


@pytest.fixture(scope="module")
def recognizer() -> mien.Recognizer:
    return mien.Recognizer(detector="yunet")


def test_a_phone_s_photo_is_read_alone_and_in_a_folder(recognizer, shared, tmp_path):
    pytest.importorskip("pillow_heif")
    photo = shared / "cases" / "photo.heic"
    assert [r.label for r in recognizer.recognize(photo)] == ["happy"]
    (tmp_path / "IMG_0001.HEIC").write_bytes(photo.read_bytes())
    (reading,) = recognizer.recognize(tmp_path)
    assert (reading.label, reading.index, reading.status) == ("happy", 0, "ok")


def test_a_face_that_comes_with_the_second_frame_is_found(recognizer, shared):
    empty, face = recognizer.recognize(shared / "cases" / "face_in_frame_2.webp")
    assert (empty.status, empty.frame, empty.time_s) == ("no_face", 0, 0.0)
    assert (face.label, face.frame, face.time_s, face.face_id) == ("happy", 1, 0.3, 1)


def test_all_cases_go_into_one_list(shared, tmp_path):
    reader = mien.Recognizer(brightness_bundle(tmp_path / "b").folder, detector="none")
    readings = reader.recognize(shared / "cases")
    paths = sorted(p for p in (shared / "cases").iterdir() if p.suffix != ".md")
    assert {r.index for r in readings} == set(range(len(paths)))
    assert [*dict.fromkeys(r.path for r in readings)] == list(map(str, paths))
    unreadable = {Path(r.path).name for r in readings if r.status == "unreadable"}
    assert unreadable <= {"half.mp4", "badpackets.mp4", "song_with_cover.mp4"}
