"""Faces are followed, and searched for when it is time, when one is lost, and after a change."""

from collections.abc import Sequence
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

import mien
from mien.analyse import Outputs, analyse
from mien.demo import PORTRAIT
from mien.errors import InputError
from mien.faces.following import Follower
from mien.faces.yunet import YuNet
from mien.sources import open_source, read_picture
from mien.types import Box, Face
from tests.clips import film

PICTURE = np.zeros((90, 160, 3), np.uint8)
FACE, OTHER = Face(Box(10, 10, 40, 40), 0.9), Face(Box(90, 10, 30, 30), 0.8)


class Told:
    """Says what it is asked, and finds what it is told."""

    name, margin = "told", 1.0

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.there = [FACE]
        self.near = [FACE]

    def detect(self, _picture):
        self.asked.append("detect")
        return self.there

    def look(self, _picture, faces: Sequence[Face]):
        self.asked.append("look")
        return [face for face in faces if face in self.near]

    def search(self, _picture, known: Sequence[Face]):
        self.asked.append(f"search besides {len(known)}")
        return [*known, *(face for face in self.there if face not in known)]


def asked(times: Sequence[float], **more: bool) -> list[str]:
    detector = Told()
    follower = Follower(detector)
    for time_s in times:
        follower.find(PICTURE, time_s, **more)
    return detector.asked


def test_a_face_is_followed_and_others_are_searched_for_at_times():
    expected = ["detect", *["look"] * 7, "look", "search besides 1", "look", "look"]
    assert asked([i * 0.04 for i in range(11)]) == expected


def test_now_and_then_nothing_that_came_before_counts():
    times = [i * 0.1 for i in range(25)]
    assert [i for i, what in enumerate(asked_each(times)) if what == ["detect"]] == [0, 12, 24]


def asked_each(times: Sequence[float]) -> list[list[str]]:
    detector = Told()
    follower, told = Follower(detector), []
    for time_s in times:
        detector.asked = []
        follower.find(PICTURE, time_s)
        told.append(detector.asked)
    return told


def test_frames_far_apart_and_changed_ones_are_searched():
    assert asked([0, 0.5, 1.0]) == ["detect"] * 3
    assert asked([0, 0.04, 0.08], changed=True) == ["detect"] * 3
    assert asked([0.5, 0.1]) == ["detect"] * 2


def test_where_a_face_is_lost_the_frame_is_searched():
    detector = Told()
    detector.there = [FACE, OTHER]
    follower = Follower(detector)
    assert follower.find(PICTURE, 0) == [FACE, OTHER]
    assert follower.find(PICTURE, 0.04) == [FACE, OTHER]
    assert detector.asked == ["detect", "look", "search besides 1"]
    detector.there, detector.asked = [FACE], []
    assert follower.find(PICTURE, 0.08) == [FACE]
    assert follower.find(PICTURE, 0.12) == [FACE]
    assert detector.asked == ["look", "search besides 1", "look"]


def test_a_frame_that_repeats_the_one_before_is_searched_once():
    detector = Told()
    follower = Follower(detector)
    for number in range(100):
        follower.find(PICTURE, number * 0.04, repeats=number > 1)
    assert detector.asked == ["detect", "look", "detect"]


def still_film(place: Path) -> Path:
    """Four seconds, without loss, of a screen that shows a portrait, then its mirror image."""
    portrait = np.ascontiguousarray(read_picture(PORTRAIT)[::2, ::2])
    path = place / "still.mkv"
    with av.open(str(path), "w") as out:
        video = out.add_stream("ffv1", rate=10)
        video.width, video.height, video.pix_fmt = 256, 256, "bgr0"
        for number in range(40):
            shown = portrait if number < 20 else np.ascontiguousarray(portrait[:, ::-1])
            out.mux(video.encode(av.VideoFrame.from_ndarray(shown, format="rgb24")))
        out.mux(video.encode())
    return path


class Counting(YuNet):
    """YuNet that counts how often it is asked."""

    runs = 0

    def _answers(self, canvases, least):
        self.runs += 1
        return super()._answers(canvases, least)


@pytest.mark.parametrize("every_frame", [True, False])
def test_still_pictures_are_read_once(tmp_path: Path, every_frame: bool):
    detector = Counting()
    reader = mien.Recognizer("mien-s", detector=detector, threads=1, every_frame=every_frame)
    path = still_film(tmp_path)
    readings = reader.recognize(path)
    assert len(readings) == 40
    for part in (readings[:20], readings[20:]):
        assert len({(r.face.box, r.scores, r.status) for r in part}) == 1
    assert detector.runs <= 8
    (alone,) = reader.recognize(path, cut=mien.Cut(start_s=3.85))
    assert (alone.face, alone.scores) == (readings[-1].face, readings[-1].scores)


@pytest.fixture(scope="module")
def recognizer() -> mien.Recognizer:
    return mien.Recognizer("mien-s", threads=1)


@pytest.fixture(scope="module")
def play(tmp_path_factory):
    """Two seconds of two faces that drift."""
    path = tmp_path_factory.mktemp("films") / "play.mp4"
    return film(path, [i / 25 for i in range(50)], faces=2)


def test_following_reads_what_searching_every_frame_reads(recognizer, play):
    every = mien.Recognizer("mien-s", threads=1, every_frame=True)
    followed, searched = (
        sorted(r.recognize(play), key=lambda one: (one.frame, one.face.box.x))
        for r in (recognizer, every)
    )
    assert len(followed) == len(searched) == 100
    for one, other in zip(followed, searched, strict=True):
        assert (one.frame, one.face_id, one.label) == (other.frame, other.face_id, other.label)
        assert one.face.box.overlap(other.face.box) > 0.8


def test_a_face_that_turns_is_followed_around():
    """In steps of 5 degrees, from upright to standing on its head; landmarks tell less than is."""
    from mien.demo import PORTRAIT
    from mien.sources import read_picture

    portrait = read_picture(PORTRAIT)
    detector = YuNet()
    faces = detector.detect(portrait)
    for degrees in range(0, 180, 5):
        turn = cv2.getRotationMatrix2D((224, 117), -degrees, 1)
        turned = cv2.warpAffine(portrait, turn, (512, 512), borderMode=cv2.BORDER_REPLICATE)
        found = detector.look(turned, faces) or detector.detect(turned)
        (faces,) = [found]
        assert len(faces) == 1
        off = (faces[0].roll_deg - degrees + 180) % 360 - 180
        assert abs(off) < 50, degrees


@pytest.mark.parametrize("kept", [1, 30, 66, 99])
def test_a_film_that_is_continued_gives_the_same_table(recognizer, play, tmp_path, kept):
    whole, part = tmp_path / "whole.csv", tmp_path / "part.csv"
    analyse(recognizer, play, Outputs((whole,)))
    lines = whole.read_bytes().splitlines(keepends=True)
    assert len(lines) == 101
    analyse(recognizer, play, Outputs((part,)))
    part.write_bytes(b"".join(lines[: 1 + kept]) + lines[1 + kept][:20])
    analyse(recognizer, play, Outputs((part,)), resume=True)
    assert part.read_bytes() == whole.read_bytes()


def test_a_cut_gives_new_ids_also_where_a_run_is_continued(recognizer, shared, tmp_path):
    clip, table = shared / "cases" / "cuts.mp4", tmp_path / "t.csv"
    segments = tmp_path / "s.csv"
    outputs = Outputs((table,), segments=segments)
    shots = []
    analyse(recognizer, clip, outputs, show=lambda r: shots.append(r.new_shot))
    assert [number for number, new in enumerate(shots) if new] == [25, 50, 75]
    rows = [row.split(",")[:5] for row in table.read_text().splitlines()[1:]]
    assert [(int(row[3]) // 25, row[4]) for row in rows] == [
        (i // 25, str(i // 25 + 1)) for i in range(100)
    ]
    ends = [row.split(",")[3:5] for row in segments.read_text().splitlines()[1:]]
    assert ends == [["0.0", "0.96"], ["1.0", "1.96"], ["2.0", "2.96"], ["3.0", "3.96"]]
    before = table.read_bytes(), segments.read_bytes()
    for kept in (24, 26, 27, 60):
        lines = before[0].splitlines(keepends=True)
        table.write_bytes(b"".join(lines[: 1 + kept]))
        analyse(recognizer, clip, outputs, resume=True)
        assert (table.read_bytes(), segments.read_bytes()) == before


def test_a_table_of_another_choice_is_not_continued(recognizer, play, tmp_path):
    table = tmp_path / "t.csv"
    analyse(recognizer, open_source(play), Outputs((table,)))
    every = mien.Recognizer("mien-s", threads=1, every_frame=True)
    with pytest.raises(InputError, match="every frame no, now yes"):
        analyse(every, play, Outputs((table,)), resume=True)
