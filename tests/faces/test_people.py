"""Who comes back has the same id: by a stand-in for looks, and in a film of a real portrait."""

from collections.abc import Sequence
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

import mien
from mien import published
from mien.analyse import Outputs, analyse
from mien.demo import PORTRAIT
from mien.errors import InputError, MissingExtra
from mien.faces import find, open_detector
from mien.faces.dlib import SIDE_PX, WIDTH
from mien.faces.people import LEAST_PX, OTHER, SAME, Looks, People, portrait
from mien.sources import read_picture
from mien.sources.live import Live
from mien.types import Box, Face, Scores

LABELS = ("angry", "happy")
ANN, BEN, CAT = 10, 20, 30
"""Who is in a picture of one colour: looks that are the same for tens, and unlike by the rest."""


class ByColour(Looks):
    """Reads who it is from the portrait's colour, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, seen: np.ndarray) -> np.ndarray:
        self.asked += 1
        who, unlike = divmod(int(seen.flat[0]), 10)
        look = np.zeros(WIDTH, np.float32)
        look[who] = 1
        look[-1] = unlike / 10
        return look


class Film:
    """A film's frames, told one after the other: (left edge, who), or (left edge, None) for a face
    whose portrait shows too little."""

    def __init__(self) -> None:
        self.looks = ByColour()
        self.tracker = People(self.looks)
        self.time_s = 0.0

    def frame(self, *faces: tuple[int, int | None], after_s: float = 0.04) -> list[int]:
        self.time_s = round(self.time_s + after_s, 6)
        boxes = [Face(Box(x, 40, 50, 50)) for x, _ in faces]
        seen = [None if who is None else np.full((1, 1, 3), who, np.uint8) for _, who in faces]
        scores = [Scores(LABELS, (0.5, 0.5))] * len(faces)
        return [i for i, _ in self.tracker.update(self.time_s, boxes, scores, seen)]

    def cut(self) -> None:
        self.tracker.cut(round(self.time_s + 0.04, 6))


def test_who_comes_back_after_a_cut_or_a_while_has_the_same_id():
    film = Film()
    assert film.frame((0, ANN), (200, BEN)) == [1, 2]
    film.cut()
    assert film.frame((200, ANN), (0, CAT)) == [1, 3]
    assert film.frame(after_s=5) == []
    assert film.frame((300, CAT), (100, BEN), after_s=5) == [3, 2]


def test_without_a_portrait_a_face_is_new_until_it_shows_itself():
    film = Film()
    film.frame((0, ANN))
    film.cut()
    assert film.frame((200, None)) == [2]
    assert film.frame((202, None)) == [2]
    assert film.frame((204, ANN)) == [1]
    assert film.frame((206, ANN)) == [1]


@pytest.mark.parametrize(("unlike", "same"), [(int(10 * SAME), True), (int(10 * SAME) + 1, False)])
def test_people_are_the_same_where_their_looks_are_near(unlike: int, same: bool):
    film = Film()
    film.frame((0, ANN))
    film.cut()
    assert film.frame((200, ANN + unlike)) == ([1] if same else [2])


def test_nobody_is_in_a_frame_twice():
    film = Film()
    assert film.frame((0, ANN)) == [1]
    assert film.frame((1, ANN), (200, ANN)) == [1, 2]
    film.cut()
    assert film.frame((200, ANN + 1), (0, ANN)) == [2, 1]  # the nearest pair of looks first


@pytest.mark.parametrize("hidden", [0, 5])
def test_people_who_cross_keep_their_ids(hidden: int):
    """Ann goes right, Ben left; behind Ann, Ben is seen half or not at all for some frames."""
    film = Film()
    seen = []
    for number in range(21):
        ann, ben = 10 * number, 200 - 10 * number
        faces = [(ann, ANN), (ben, BEN)]
        if abs(number - 10) <= hidden / 2:
            faces = faces[:1]
        elif abs(ann - ben) < 50:
            faces[1] = (ben, BEN + 9)  # hardly himself
        ids = film.frame(*faces)
        seen.append(dict(zip([who // 10 for _, who in faces], ids, strict=True)))
    assert {tuple(frame.items()) for frame in seen} <= {((1, 1), (2, 2)), ((1, 1),)}


def test_who_takes_another_s_place_unseen_has_an_own_id():
    film = Film()
    ids = [film.frame((0, ANN if film.time_s < 2 else BEN)) for _ in range(100)]
    change = ids.index([2])
    assert ids == [[1]] * change + [[2]] * (100 - change)
    assert 50 <= change <= 75  # within a second


def test_looks_are_asked_for_rarely():
    film = Film()
    for _ in range(250):
        film.frame((0, ANN), (200, BEN))
    assert film.looks.asked <= 2 * (8 + 10)


def test_distances_leave_room_for_what_is_unsure():
    assert 0 < SAME < OTHER < 1


def test_a_portrait_is_upright_and_framed_alike_however_the_face_lies():
    picture = read_picture(PORTRAIT)
    (face,), _ = find(picture, open_detector())
    straight = portrait(picture, face)
    assert straight is not None
    assert straight.shape == (SIDE_PX, SIDE_PX, 3)
    turn = cv2.getRotationMatrix2D(face.box.centre, 30, 0.8)
    points = np.column_stack([face.landmarks, np.ones(5)]) @ turn.T
    turned = cv2.warpAffine(picture, turn, picture.shape[1::-1], flags=cv2.INTER_AREA)
    again = portrait(turned, Face(face.box, face.score, tuple(map(tuple, points))))
    assert again is not None
    assert np.abs(again[30:120, 30:120].astype(int) - straight[30:120, 30:120]).mean() < 4


LEVEL = ((30.0, 40.0), (70.0, 40.0), (50.0, 60.0), (35.0, 80.0), (65.0, 80.0))


@pytest.mark.parametrize(
    ("side", "nose", "shown"),
    [
        (100, 50, True),
        (LEAST_PX, 50, True),
        (LEAST_PX - 1, 50, False),
        (100, 63, True),
        (100, 65, False),
        (100, 35, False),
    ],
)
def test_small_faces_and_those_that_look_away_have_no_portrait(side: int, nose: int, shown: bool):
    landmarks = (*LEVEL[:2], (float(nose), 60.0), *LEVEL[3:])
    face = Face(Box(0, 0, side, side), 0.9, landmarks)
    assert (portrait(np.zeros((100, 100, 3), np.uint8), face) is not None) is shown


def shots(path: Path, places: Sequence[tuple[int, bool]]) -> Path:
    """A film with a shot of 8 frames for each: the portrait at a place, mirrored or not."""
    head = read_picture(PORTRAIT)[:300, 120:340]
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 640, 360, "yuv420p"
        for number, (x, mirrored) in enumerate(places):
            blots = np.random.default_rng(number).integers(0, 255, (9, 16, 3), np.uint8)
            frame = cv2.resize(blots, (640, 360), interpolation=cv2.INTER_CUBIC)
            frame[30:330, x : x + 220] = head[:, ::-1] if mirrored else head
            for _ in range(8):
                out.mux(video.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        out.mux(video.encode())
    return path


@pytest.fixture(scope="module")
def recognizer() -> mien.Recognizer:
    return mien.Recognizer("mien-s", threads=1, identify=True)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shots(
        tmp_path_factory.mktemp("films") / "a.mp4", [(20, False), (380, True), (200, True)]
    )


def test_one_person_of_three_shots_has_one_id_in_each_film(recognizer, film: Path):
    without = mien.Recognizer("mien-s", threads=1)
    assert {r.face_id for r in without.recognize(film)} == {1, 2, 3}
    found = recognizer.recognize([film, film])
    assert {(r.index, r.face_id) for r in found} == {(0, 1), (1, 1)}
    assert all(result.portraits == () for result in recognizer.stream(film))


def test_a_run_that_stopped_cannot_be_continued_by_looks(recognizer, film: Path, tmp_path: Path):
    with pytest.raises(InputError, match="--identify cannot --resume"):
        analyse(recognizer, film, Outputs((tmp_path / "t.csv",)), resume=True)


def test_cameras_and_faces_without_landmarks_are_refused(recognizer, film: Path):
    with pytest.raises(InputError, match="for films, not for cameras"):
        next(recognizer.stream(Live(str(film))))
    plain = mien.Recognizer("mien-s", detector=lambda _: [(9, 9, 90, 90)], identify=True)
    with pytest.raises(InputError, match="landmarks, which this detector does not give"):
        plain.recognize(film)


def test_what_is_missing_is_said_before_anything_is_read(monkeypatch):
    monkeypatch.setattr(published, "find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"dlib's face recognition are missing; run.*identify"):
        mien.Recognizer("mien-s", identify=True)
