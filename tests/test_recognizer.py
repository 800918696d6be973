import dataclasses
import functools
import multiprocessing
import pickle
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest

import mien
from mien.bundle import DEFAULT, Classifier
from mien.demo import PORTRAIT
from mien.errors import BundleError, InputError, NoFace, PictureError, ShapeError
from mien.faces import FromFunction
from mien.faces.tracking import Tracker
from mien.faces.yunet import YuNet
from mien.preprocess import Preprocess
from mien.sources import Cut, Frame
from tests.clips import film
from tests.fakes import FakeSource, brightness_bundle


@pytest.fixture(scope="module")
def brightness(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return brightness_bundle(tmp_path_factory.mktemp("brightness") / "b").folder


def of_brightness(value: float) -> np.ndarray:
    """What the network of `tests.fakes` says of a crop of this mean, 0-1."""
    centres = np.linspace(0, 1, 7)
    powers = np.exp(20 * centres * value - 10 * centres**2)
    return powers / powers.sum()


def even(tone: int, size: tuple[int, int] = (40, 40)) -> np.ndarray:
    return np.full((*size, 3), tone, np.uint8)


def face_at(x: int, y: int, side: int, roll_deg: float = 0.0) -> mien.Face:
    """A face whose eyes are tilted by so much, clockwise."""
    turn = np.deg2rad(roll_deg)
    eyes = ((0.0, 0.0), (float(np.cos(turn)), float(np.sin(turn))))
    return mien.Face(mien.Box(x, y, side, side), 1.0, (*eyes, (0, 0), (0, 0), (0, 0)))


@pytest.fixture
def bright_faces(brightness: Path) -> mien.Recognizer:
    """Takes a picture for a face if it is not black."""

    def find(picture: np.ndarray) -> list[tuple[int, int, int, int]]:
        height, width = picture.shape[:2]
        return [(0, 0, width, height)] if picture.any() else []

    return mien.Recognizer(brightness, detector=find)


def test_the_portrait_smiles():
    (reading,) = mien.Recognizer().recognize(PORTRAIT)
    assert reading.label == "happy"
    assert reading.confidence > 0.5
    assert sum(reading.scores.values) == pytest.approx(1)


def test_the_short_call_reads_a_path():
    assert [r.label for r in mien.recognize(str(PORTRAIT))] == ["happy"]


def test_a_picture_without_a_face_gives_no_reading(brightness: Path):
    recognizer = mien.Recognizer(brightness, detector="yunet")
    assert recognizer.recognize(np.zeros((100, 100, 3), np.uint8)) == []


def test_a_path_and_its_pixels_give_the_same(brightness: Path, tmp_path: Path):
    recognizer = mien.Recognizer(brightness, detector="none")
    pixels = np.random.default_rng(0).integers(0, 256, (50, 40, 3)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "p.png"), pixels[:, :, ::-1])
    (named,), (alone,) = recognizer.recognize(tmp_path / "p.png"), recognizer.recognize(pixels)
    assert named.path == str(tmp_path / "p.png")
    assert dataclasses.replace(named, path=None) == alone


def test_any_object_that_detects_is_a_detector(brightness: Path):
    class Two:
        name, margin = "two", 1.0

        def detect(self, picture):
            return [mien.Face(mien.Box(0, 0, 10, 10)), mien.Face(mien.Box(10, 0, 10, 10))]

    picture = np.zeros((10, 20, 3), np.uint8)
    picture[:, 10:] = 255
    found = mien.Recognizer(brightness, detector=Two()).recognize(picture)
    assert [r.label for r in found] == ["angry", "surprise"]


def test_a_function_s_faces_come_largest_first_each_with_its_own_scores(brightness: Path):
    picture = np.zeros((40, 100, 3), np.uint8)
    picture[:, 30:] = 128
    picture[:, 70:] = 255

    def find(pixels):
        assert (pixels == picture).all()
        return [(80, 0, 10, 10), mien.Face(mien.Box(0, 0, 30, 30), 0.5), (31.2, 0.4, 19.8, 20.3)]

    found = mien.Recognizer(brightness, detector=find).recognize(picture)
    assert [r.face.box for r in found] == [
        mien.Box(0, 0, 30, 30),
        mien.Box(31, 0, 20, 20),
        mien.Box(80, 0, 10, 10),
    ]
    assert [r.face.score for r in found] == [0.5, None, None]
    assert [r.label for r in found] == ["angry", "happy", "surprise"]
    for reading, value in zip(found, (0, 128 / 255, 1), strict=True):
        assert reading.scores.values == pytest.approx(of_brightness(value), abs=1e-5)


@pytest.mark.parametrize(
    ("options", "roll", "seen"),
    [
        ({}, 45, 1 - 2 * (2**0.5 - 1)),  # what of the turned square lies outside the dark one
        ({"align": True}, 45, 1 - 2 * (2**0.5 - 1)),
        ({"align": True}, 0, 0),
        ({"align": True}, 9, 0),  # nearly level: left alone
        ({"align": False}, 45, 0),
    ],
)
def test_tilted_faces_are_turned_upright_unless_told_not_to(brightness, options, roll, seen):
    picture = even(255, (120, 120))
    picture[40:80, 40:80] = 0
    face = face_at(40, 40, 40, roll)
    recognizer = mien.Recognizer(brightness, detector=lambda _: [face], **options)
    (reading,) = recognizer.recognize(picture)
    assert reading.scores.values == pytest.approx(of_brightness(seen), abs=0.01)
    assert reading.face == face, "it is told where it lies in the picture"


def test_the_card_says_which_readings_are_unsure(tmp_path: Path):
    bundle = brightness_bundle(tmp_path / "b")
    pictures = [noisy(tone) for tone in (20, 128)]
    values = [
        r.confidence for r in mien.Recognizer(bundle.folder, detector="none").recognize(pictures)
    ]
    assert values[0] > values[1] + 0.05
    for limit, statuses in (
        (0.0, ["ok", "ok"]),
        (values[1], ["ok", "ok"]),
        (values[1] + 1e-6, ["ok", "unsure"]),
        (values[0], ["ok", "unsure"]),
        (1.0, ["unsure", "unsure"]),
    ):
        dataclasses.replace(bundle.card, unsure_below=limit).save(bundle.folder / "card.json")
        recognizer = mien.Recognizer(bundle.folder, detector="none")
        assert [r.status for r in recognizer.recognize(pictures)] == statuses
        assert [recognizer.recognize(p)[0].status for p in pictures] == statuses


def noisy(tone: int) -> np.ndarray:
    """Sharp, and of this mean brightness, with nothing that could cover a face."""
    checks = np.random.default_rng(0).permutation(np.resize([-1, 1], 1600)).reshape(40, 40)
    return (tone + 20 * checks)[..., None].repeat(3, 2).astype(np.uint8)


@pytest.mark.parametrize(
    ("side", "picture", "status"),
    [(40, noisy(128), "ok"), (29, noisy(128), "small"), (40, even(128), "blurred")],
)
def test_the_status_says_why_to_be_careful(brightness: Path, side, picture, status):
    recognizer = mien.Recognizer(brightness, detector=lambda _: [(0, 0, side, side)])
    assert [r.status for r in recognizer.recognize(picture)] == [status]


def test_the_views_of_the_recognizer_go_before_those_of_the_card(tmp_path: Path):
    bundle = brightness_bundle(tmp_path / "b", size_px=24)
    card = dataclasses.replace(
        bundle.card, views="ten-crop", preprocess=Preprocess(24, (0.0,), (1.0,), 24)
    )
    card.save(bundle.folder / "card.json")
    face = np.zeros((24, 24), np.uint8)
    face[:, :2] = 255  # out of sight in four of ten crops

    def seen(views: str | None) -> tuple[float, ...]:
        recognizer = mien.Recognizer(bundle.folder, detector="none", views=views)
        (reading,) = recognizer.recognize(face)
        assert recognizer.classify([face])[0] == reading.scores
        return reading.scores.values

    assert seen("plain") == pytest.approx(of_brightness(2 / 24), abs=1e-4)
    assert seen("flip") == pytest.approx(of_brightness(2 / 24), abs=1e-4)
    assert seen(None) == seen("ten-crop") != pytest.approx(seen("plain"), abs=1e-3)
    with pytest.raises(InputError, match="expected views among"):
        mien.Recognizer(bundle.folder, views="all")


DARK, LIGHT, NO_PICTURE = even(0), even(200), b"no picture"


@pytest.mark.parametrize(
    ("source", "statuses"),
    [
        ([LIGHT, DARK, NO_PICTURE, LIGHT], ["ok", "no_face", "unreadable", "ok"]),
        ([DARK], ["no_face"]),
        ([], []),
        (DARK, []),
        (LIGHT, ["ok"]),
    ],
)
def test_several_pictures_have_a_row_each_and_a_single_one_its_faces(
    bright_faces, source, statuses
):
    found = bright_faces.recognize(source)
    assert isinstance(found, mien.Readings)
    assert [r.status.replace("blurred", "ok") for r in found] == statuses
    assert [r.face is None for r in found] == [s in ("no_face", "unreadable") for s in statuses]
    for reading in found:
        assert (reading.error is None) == (reading.status != "unreadable")
        if reading.error:
            assert "not a readable picture" in reading.error


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (DARK, NoFace, "no face found; for ready-made face crops use detector='none'"),
        ([LIGHT, DARK], NoFace, "no face found; for"),
        (iter([LIGHT, DARK]), NoFace, "no face found; for"),
        ([LIGHT, NO_PICTURE], PictureError, "the picture is not a readable picture"),
        ("dark.png", NoFace, "no face found in dark.png; for"),
        (["light.png", "dark.png"], NoFace, "no face found in dark.png; for"),
        (".", NoFace, "no face found in dark.png; for"),
    ],
)
def test_strict_raises_for_one_picture_and_for_several(
    bright_faces, tmp_path: Path, monkeypatch, source, error, message
):
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("dark.png", DARK)
    cv2.imwrite("light.png", LIGHT)
    with pytest.raises(error, match=re.escape(message)):
        bright_faces.recognize(source, strict=True)


@pytest.fixture
def address(tmp_path: Path, monkeypatch) -> Iterator[str]:
    """Where a light picture is served, on this machine."""
    cv2.imwrite(str(tmp_path / "light.png"), LIGHT)
    monkeypatch.delenv("MIEN_OFFLINE", raising=False)
    handler = functools.partial(Quiet, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/light.png"
        server.shutdown()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None: ...


def test_addresses_lead_into_private_networks_only_if_they_may(bright_faces, address: str):
    with pytest.raises(InputError, match="private"):
        bright_faces.recognize(address)
    (refused,) = bright_faces.recognize([address])
    assert (refused.path, refused.status) == (address, "unreadable")
    for source in (address, [address]):
        (reading,) = bright_faces.recognize(source, private=True)
        assert (reading.path, reading.label) == (address, "sad")


def test_strict_gives_what_can_be_read(bright_faces):
    assert len(bright_faces.recognize([LIGHT, LIGHT], strict=True)) == 2
    assert len(bright_faces.recognize(LIGHT, strict=True)) == 1


def test_the_order_of_channels_is_that_of_the_caller(brightness: Path):
    red = even(0)
    red[..., 0] = 255
    recognizer = mien.Recognizer(brightness, detector="none")
    for source in (red, [red]):
        for options, weight in (({}, 0.299), ({"color": "bgr"}, 0.114)):
            (reading,) = recognizer.recognize(source, **options)
            assert reading.scores.values == pytest.approx(of_brightness(weight), abs=0.01)


def test_labels_are_those_of_the_card(tmp_path: Path):
    recognizer = mien.Recognizer(brightness_bundle(tmp_path / "b", ("no", "yes")).folder)
    assert recognizer.labels == recognizer.card.labels == ("no", "yes")
    assert recognizer.classify([np.full((9, 9), 255, np.uint8)])[0].label == "yes"


def test_crops_are_classified_in_their_order(brightness: Path):
    recognizer = mien.Recognizer(brightness)
    assert recognizer.classify([]) == []
    tones = (0, 255, 128)
    scores = recognizer.classify([np.full((9, 9), tone, np.uint8) for tone in tones])
    assert [s.label for s in scores] == ["angry", "surprise", "happy"]
    for score, tone in zip(scores, tones, strict=True):
        assert score.values == pytest.approx(of_brightness(tone / 255), abs=1e-5)


def frames(tones: list[int | None], step_s: float = 0.1) -> list[Frame]:
    """Frames of these tones, black ones without a face; None is a frame that cannot be read."""
    return [
        Frame("f.mp4", None, i, i * step_s, error="damaged")
        if tone is None
        else Frame("f.mp4", even(tone), i, i * step_s)
        for i, tone in enumerate(tones)
    ]


def test_frames_are_read_in_order_with_their_place(bright_faces):
    seen = list(bright_faces.stream(FakeSource(frames([255, 0, None, 128]))))
    assert [(s.path, s.frame, s.time_s) for s in seen] == [
        ("f.mp4", i, pytest.approx(i / 10)) for i in range(4)
    ]
    readings = [r for s in seen for r in s.readings]
    assert [(r.path, r.frame, r.time_s) for r in readings] == [
        ("f.mp4", i, pytest.approx(i / 10)) for i in range(4)
    ]
    assert [r.label for r in readings] == ["surprise", None, None, "happy"]
    assert [r.error for r in readings] == [None, None, "damaged", None]
    assert [r.status for r in readings][1:3] == ["no_face", "unreadable"]
    assert [r.face_id for r in readings] == [1, None, None, 1]


@pytest.mark.parametrize("live", [False, True])
def test_pixels_come_along_on_request(bright_faces, live: bool):
    source = FakeSource(frames([255, 7]), live)
    assert [s.pixels for s in bright_faces.stream(source)] == [None, None]
    assert [s.pixels[0, 0, 0] for s in bright_faces.stream(source, pixels=True)] == [255, 7]


def test_frames_of_a_camera_are_answered_one_by_one(bright_faces):
    taken = []

    def camera() -> Iterator[Frame]:
        for frame in frames([255] * 5):
            taken.append(frame.frame)
            yield frame

    answers = bright_faces.stream(FakeSource(camera(), live=True))
    assert next(answers).frame == 0
    assert taken == [0]


def test_faces_of_a_film_are_known_again_and_smoothed(bright_faces):
    seen = list(bright_faces.stream(FakeSource(frames([255, 0, 128], step_s=0.2))))
    first, nobody, last = (s.readings[0] for s in seen)
    assert (first.face_id, nobody.face_id, last.face_id) == (1, None, 1)
    assert first.smoothed.values == pytest.approx(first.scores.values, abs=1e-6)
    assert nobody.smoothed is None
    weight = 1 - np.exp(-0.4 / 0.4)  # 0.4 s later, of a memory of 0.4 s
    now, before = of_brightness(128 / 255), of_brightness(1)
    assert last.scores.values == pytest.approx(now, abs=1e-5)
    assert last.smoothed.values == pytest.approx(before + weight * (now - before), abs=1e-5)


def test_a_face_away_for_long_is_another_one(bright_faces):
    seen = bright_faces.stream(FakeSource(frames([255] + [0] * 12 + [255])))
    assert [r.face_id for s in seen for r in s.readings if r.face] == [1, 2]


def test_a_film_is_tracked_and_pictures_are_not(bright_faces, tmp_path: Path):
    clip = film(tmp_path / "f.mp4", [0.0, 0.5, 1.0], size=(64, 48))
    seen = list(bright_faces.stream(clip))
    assert [(s.frame, s.readings[0].face_id) for s in seen] == [(0, 1), (1, 1), (2, 1)]
    assert all(s.readings[0].smoothed for s in seen)
    found = bright_faces.recognize(clip, cut=Cut(start_s=0.4))
    assert [(r.frame, r.time_s) for r in found] == [(1, 0.5), (2, 1.0)]
    tracker = Tracker()
    tracker.recall(6, 0.0, face_at(9000, 0, 9), found[0].scores)
    seen = bright_faces.stream(clip, tracker=tracker)
    assert [s.readings[0].face_id for s in seen] == [7, 7, 7], "the caller's tracker counts on"
    assert [seen.pixels for seen in bright_faces.stream([LIGHT, DARK])] == [None, None]
    pictures = list(bright_faces.stream([LIGHT, DARK], pixels=True))
    assert [s.readings[0].face_id for s in pictures] == [None, None]
    assert [s.pixels[0, 0, 0] for s in pictures] == [200, 0]


def test_pictures_have_no_tracks_even_with_a_tracker(bright_faces):
    (seen,) = bright_faces.stream([LIGHT], tracker=Tracker())
    assert (seen.readings[0].face_id, seen.readings[0].smoothed) == (None, None)


def test_a_single_frame_without_a_face_says_so(bright_faces):
    seen = bright_faces.read(Frame("x", DARK, 3, 0.5))
    assert [(r.status, r.path, r.frame, r.time_s) for r in seen.readings] == [
        ("no_face", "x", 3, 0.5)
    ]
    assert (seen.pixels == DARK).all()
    assert bright_faces.answer([]) == []


def test_faces_of_several_pictures_keep_to_their_pictures(brightness: Path):
    """Two faces, none and one share one run of the network."""

    def find(picture):
        return [(0, 0, 40, 40), (40, 0, 20, 20)][: int(picture[0, 0, 0]) // 100]

    recognizer = mien.Recognizer(brightness, detector=find)
    pictures = [even(tone, (40, 60)) for tone in (200, 50, 128)]
    pictures[0][:, 40:] = 255
    batch = [recognizer.find(Frame(str(i), p)) for i, p in enumerate(pictures)]
    seen = recognizer.answer(batch)
    told = [[(r.path, r.label, r.face and r.face.box.width) for r in s.readings] for s in seen]
    assert told == [
        [("0", "sad", 40), ("0", "surprise", 20)],
        [("1", None, None)],
        [("2", "happy", 40)],
    ]


def test_options_are_given_by_name(brightness: Path, bright_faces):
    for call in (
        lambda: mien.Recognizer(brightness, "none"),
        lambda: bright_faces.recognize(DARK, "rgb"),
        lambda: list(bright_faces.stream(DARK, "rgb")),
        lambda: mien.recognize(DARK, "none"),
    ):
        with pytest.raises(TypeError, match="positional"):
            call()


@pytest.mark.parametrize("threads", [0, -1])
def test_threads_are_at_least_one(brightness: Path, threads: int):
    with pytest.raises(InputError, match=f"at least one thread, got {threads}"):
        mien.Recognizer(brightness, threads=threads)


def test_threads_bound_the_network_and_the_reading(brightness: Path, monkeypatch):
    asked = []
    session = onnxruntime.InferenceSession

    def opened(path, options, providers):
        asked.append(options.intra_op_num_threads)
        return session(path, options, providers=providers)

    monkeypatch.setattr(onnxruntime, "InferenceSession", opened)
    running: set[int] = set()

    def find(picture):
        running.add(threading.get_ident())
        return []

    recognizer = mien.Recognizer(brightness, detector=find, threads=1)
    list(recognizer.stream([DARK] * 8))
    assert (asked, len(running)) == ([1], 1)


def test_the_device_is_passed_on(brightness: Path):
    with pytest.raises(InputError, match="device auto, cpu or cuda, got 'tpu'"):
        mien.Recognizer(brightness, device="tpu")


def test_the_short_call_passes_on_what_it_is_given():
    assert mien.recognize(DARK, detector=lambda _: []) == []
    with pytest.raises(NoFace):
        mien.recognize(DARK, detector=lambda _: [], strict=True)
    with pytest.raises(InputError, match="'rgb' or 'bgr'"):
        mien.recognize(DARK, detector="none", color="hsv")


@pytest.mark.parametrize("size_px", [8, 32, 96])
def test_a_crop_is_brought_to_size_once(tmp_path: Path, size_px: int):
    bundle = brightness_bundle(tmp_path / "b", size_px=size_px)
    face = np.random.default_rng(0).integers(0, 256, (150, 150)).astype(np.uint8)
    recognizer = mien.Recognizer(bundle.folder, detector="none")
    expected = Classifier(bundle).probabilities([face])[0]
    assert recognizer.classify([face])[0].values == pytest.approx(expected)
    assert recognizer.recognize(face)[0].scores.values == pytest.approx(expected)


def test_an_iterator_is_read_to_its_end(brightness: Path):
    recognizer = mien.Recognizer(brightness, detector="none")
    pictures = [np.full((20, 20, 3), 60 * i, np.uint8) for i in range(4)]
    expected = [r.label for r in recognizer.recognize(pictures)]
    assert len(set(expected)) > 1
    assert [r.label for r in recognizer.recognize(iter(pictures))] == expected


def test_a_folder_of_the_same_name_does_not_replace_a_bundle(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / DEFAULT).mkdir()
    assert mien.Recognizer(detector="none").labels
    with pytest.raises(BundleError, match=r"card\.json is missing"):
        mien.Recognizer(f"./{DEFAULT}")


@pytest.mark.parametrize(
    ("argument", "error", "message"),
    [
        ("gone.jpg", InputError, "does not exist"),
        (
            np.zeros((4, 4, 2), np.uint8),
            ShapeError,
            r"4 channels, got \(4, 4, 2\)$",
        ),
        (np.zeros((0, 4, 3), np.uint8), ShapeError, r"expected a \(H, W, 3\) uint8"),
        (3.5, InputError, "got float"),
        (None, InputError, "got NoneType"),
        (np.zeros((4, 4, 3)), ShapeError, "float64"),
    ],
)
def test_what_is_no_picture(brightness: Path, argument, error, message):
    with pytest.raises(error, match=message):
        mien.Recognizer(brightness, detector="none").recognize(argument)


def test_a_text_file_is_no_picture(brightness: Path, tmp_path: Path):
    (tmp_path / "a.jpg").write_text("hello")
    with pytest.raises(PictureError, match="not a readable picture"):
        mien.Recognizer(brightness, detector="none").recognize(tmp_path / "a.jpg")


def test_unknown_models_and_keywords_are_refused():
    with pytest.raises(BundleError, match="no bundle 'vgg'"):
        mien.Recognizer("vgg")
    with pytest.raises(TypeError):
        mien.Recognizer(batch=3)  # type: ignore[call-arg]


def test_import_is_light_and_recognition_needs_no_torch():
    code = (
        "import sys, mien; "
        "heavy = {'torch', 'cv2', 'onnxruntime', 'numpy'} & set(sys.modules); "
        "assert not heavy, heavy; "
        f"mien.Recognizer().recognize({str(PORTRAIT)!r}); "
        "late = {'torch', 'pandas', 'matplotlib', 'pydantic'} & set(sys.modules); "
        "assert not late, late"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def dark_corner(picture: np.ndarray) -> list[tuple[int, int, int, int]]:
    """A detector that other processes can find by its name."""
    return [(0, 0, 8, 8)]


def test_a_recognizer_opens_itself_again_in_another_process(brightness: Path):
    recognizer = mien.Recognizer(
        brightness, detector=dark_corner, threads=1, align=False, views="flip"
    )
    pictures = [np.full((20, 30, 3), light, np.uint8) for light in (0, 128, 255)]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.map(recognizer.recognize, pictures)
    assert found == [recognizer.recognize(picture) for picture in pictures]
    assert [type(readings) for readings in found] == [mien.Readings] * 3


@pytest.mark.parametrize("detector", ["yunet", "none", YuNet(50), FromFunction(dark_corner)])
def test_a_pickled_recognizer_keeps_its_settings(brightness: Path, detector):
    options = {"detector": detector, "threads": 2, "align": False, "views": "flip"}
    recognizer = mien.Recognizer(brightness, **options)
    again = pickle.loads(pickle.dumps(recognizer))
    assert (again.card, again.threads, again.align) == (recognizer.card, 2, False)
    assert again.detector.name == recognizer.detector.name
    assert repr(again) == f"<Recognizer brightness, detector {again.detector.name}>"


def test_a_closed_recognizer_opens_itself_again(brightness: Path):
    with mien.Recognizer(brightness, detector="none") as recognizer:
        before = recognizer.recognize(DARK)
        detector = recognizer.detector
    assert recognizer.recognize(DARK) == before
    assert recognizer.detector is not detector


def test_the_short_call_takes_a_model(brightness: Path):
    (reading,) = mien.recognize(DARK, model=brightness, detector="none")
    assert reading.scores == mien.Recognizer(brightness).classify([DARK])[0]


def test_public_names():
    assert set(mien.__all__) <= set(dir(mien))
    for name in mien.__all__:
        assert getattr(mien, name)
    with pytest.raises(AttributeError):
        mien.nothing  # noqa: B018


@pytest.mark.parametrize("form", [list, iter])
def test_each_reading_of_several_pictures_knows_its_place(bright_faces, form):
    pictures = [even(90), b"no picture", even(200)]
    results = list(bright_faces.stream(form(pictures)))
    assert [r.index for r in results] == [0, 1, 2]
    assert [{r.index for r in result.readings} for result in results] == [{0}, {1}, {2}]
    assert [r.index for r in bright_faces.recognize(even(200))] == [None]
