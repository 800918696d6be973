"""Films read by a network for clips: what is remembered of which face, for how long."""

import dataclasses
import io

import numpy as np
import pytest
from rich.console import Console

import mien
from mien.analyse import Outputs, analyse
from mien.bundle import Classifier
from mien.cli import main
from mien.errors import BundleError, InputError
from mien.output.clip import Clip
from mien.serve.engine import Camera, Engine
from mien.serve.settings import Settings
from mien.sources import Frame
from mien.types import Box, Face
from mien.watch import watch
from tests.fakes import FakeSource, brightness_bundle, brightness_over_frames

LABELS = ("dark", "bright")


def shades(*values: float, step_s: float = 0.04) -> list[Frame]:
    """Frames of one shade each, as much of 255 as given."""
    pixels = [np.full((40, 40, 3), round(255 * value), np.uint8) for value in values]
    return [Frame("f.mp4", p, i, i * step_s) for i, p in enumerate(pixels)]


@pytest.fixture
def recognizer(tmp_path):
    """`recognizer(rate=...)`: takes each frame for a face, and reads the mean of its brightness."""

    def make(detector: object = "none", **options: object) -> mien.Recognizer:
        bundle = brightness_over_frames(tmp_path / "b", LABELS, **options)
        return mien.Recognizer(bundle.folder, detector=detector)

    return make


def brightness(readings: list) -> list[float]:
    """The mean brightness that each reading tells of."""
    odds = [np.log(r.scores.values[1] / r.scores.values[0]) for r in readings]
    return [round(float((odd + 10) / 20), 2) for odd in odds]


@pytest.mark.parametrize("views", ["plain", "flip"])
def test_each_frame_is_read_with_those_before_it(recognizer, views):
    found = recognizer(views=views).recognize(FakeSource(shades(0, 1, 1, 0.6)))
    assert brightness(found) == [0, 0.5, 0.67, 0.65]
    assert [r.face_id for r in found] == [1] * 4


def test_a_photo_is_a_clip_of_one_frame(recognizer):
    reader = recognizer()
    photos = [np.full((40, 40), round(255 * v), np.uint8) for v in (0.2, 0.8)]
    assert brightness(reader.recognize(photos)) == [0.2, 0.8]
    assert [s.label for s in reader.classify(photos)] == ["dark", "bright"]


def test_the_state_goes_on_at_the_pace_of_training(recognizer):
    """Frames between are read on top of what is remembered, and forgotten."""
    found = recognizer(rate=12.5).recognize(FakeSource(shades(0, 1, 0, 1, 0, 1)))
    assert brightness(found) == [0, 0.5, 0, 0.33, 0, 0.25]


def test_each_face_has_a_memory_of_its_own(recognizer):
    """The one on the left gets bright; the other is dark, and leaves for some frames."""

    def halves(picture: np.ndarray) -> list[Face]:
        right = [Face(Box(60, 0, 40, 40))] if picture[0, 50, 0] else []
        return [Face(Box(0, 0, 40, 40)), *right]

    def frame(number: int, there: bool) -> Frame:
        pixels = np.zeros((40, 100, 3), np.uint8)
        pixels[:, :40] = 255 * (number > 0)
        pixels[:, 50] = 255 * there
        return Frame("f.mp4", pixels, number, number / 10)

    frames = [frame(n, there) for n, there in enumerate([True, False, True])]
    found = recognizer(halves).recognize(FakeSource(frames))
    told = {1: [], 2: []}
    for reading, value in zip(found, brightness(found), strict=True):
        told[reading.face_id].append(value)
    assert told == {1: [0, 0.5, 0.67], 2: [0, 0]}


@pytest.mark.parametrize(
    ("change", "expected"),
    [({}, [0, 0.5]), ({"new_shot": True}, [0, 1])],
    ids=["the same face", "after a cut"],
)
def test_a_memory_ends_with_its_face(recognizer, change, expected):
    reader = recognizer()
    memory, found = reader.memory(), []
    for frame in shades(0, 1):
        detections = dataclasses.replace(reader.find(frame), memory=memory)
        if frame.frame:
            detections = dataclasses.replace(detections, **change)
        found += reader.answer([detections])[0].readings
    assert brightness(found) == expected


def test_films_are_read_each_from_its_beginning(recognizer, tmp_path):
    for name in ("one.mp4", "two.mp4"):
        with Clip(tmp_path / name, 25, None) as clip:
            for value in (0, 255):
                clip.write(np.full((32, 32, 3), value, np.uint8), 0.04 * (value > 0))
    found = recognizer().recognize([tmp_path / "one.mp4", tmp_path / "two.mp4"])
    assert brightness(found) == pytest.approx([0, 0.5] * 2, abs=0.03)


def test_the_last_reading_of_a_face_is_that_of_its_clip(recognizer):
    reader = recognizer()
    frames = shades(0, 1, 1, 1)
    found = reader.recognize(FakeSource(frames))
    _, face = found.summary()
    told = {label: one.last for label, one in face.expressions.items()}
    assert told == pytest.approx(found[-1].expressions, abs=1e-6)
    summary = analyse(reader, FakeSource(frames), Outputs())
    assert summary.clips.lines() == ["f.mp4 face 1, whole clip: bright 99 %"]


def test_a_camera_tells_of_each_face_at_its_end(recognizer):
    camera = FakeSource(iter(shades(0, 1, 1, 1)), live=True)
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    assert watch(recognizer(), camera, None, None, console).clips.lines() == [
        "f.mp4 face 1, whole clip: bright 99 %"
    ]


def test_a_network_of_images_tells_of_no_clip(tmp_path):
    reader = mien.Recognizer(brightness_bundle(tmp_path / "b", LABELS).folder, detector="none")
    assert reader.memory() is None
    assert analyse(reader, FakeSource(shades(0, 1)), Outputs()).clips == {}


def test_people_are_not_told_by_their_looks_beside_a_memory_of_places(tmp_path):
    bundle = brightness_over_frames(tmp_path / "b", LABELS)
    with pytest.raises(InputError, match="reads clips, whose faces are told apart by their places"):
        mien.Recognizer(bundle.folder, detector="none", identify=True)


def test_a_service_remembers_the_faces_of_each_camera(recognizer):
    reader = recognizer()
    engine = Engine(reader, Settings(model=str(reader._model), detector="none"))
    cameras = [Camera(reader), Camera(reader)]
    told: list[list[float]] = [[], []]
    for frame in shades(0, 1, 1):
        for camera, values in zip(cameras, told, strict=True):
            (answer,) = engine.submit(frame, camera=camera)
            values += brightness(answer.result(20).readings)
    engine.close()
    assert told == [[0, 0.5, 0.67]] * 2


def test_a_film_that_is_begun_is_not_continued(recognizer, tmp_path):
    with Clip(tmp_path / "f.mp4", 25, None) as clip:
        for number in range(3):
            clip.write(np.full((32, 32, 3), 90, np.uint8), 0.04 * number)
    outputs = Outputs((tmp_path / "t.csv",))
    analyse(recognizer(), tmp_path / "f.mp4", outputs)
    with pytest.raises(InputError, match=r"cannot go on within.*leave --resume out"):
        analyse(recognizer(), tmp_path / "f.mp4", outputs, resume=True)


def test_the_command_tells_the_reading_of_the_clip(recognizer, tmp_path, capsys, monkeypatch):
    reader = recognizer()
    with Clip(tmp_path / "f.mp4", 25, None) as clip:
        for number in range(3):
            clip.write(np.full((32, 32, 3), 250, np.uint8), 0.04 * number)
    monkeypatch.chdir(tmp_path)
    arguments = ["recognize", "f.mp4", "--model", str(reader._model), "--detector", "none"]
    monkeypatch.setattr("sys.argv", ["mien", *arguments])
    with pytest.raises(SystemExit, match="0"):
        main()
    *frames, clip_line, counts = capsys.readouterr().out.strip().splitlines()
    assert len(frames) == 3
    assert clip_line == "f.mp4 face 1, whole clip: bright 100 %"
    assert counts == "3 read, 3 faces; bright 3"


def test_a_file_that_its_card_does_not_tell_of_is_refused(tmp_path):
    bundle = brightness_over_frames(tmp_path / "b", LABELS)
    with pytest.raises(BundleError, match="takes face, state_sum, state_count; its card tells"):
        Classifier(dataclasses.replace(bundle, card=dataclasses.replace(bundle.card, state=None)))
