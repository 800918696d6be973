from pathlib import Path

import cv2
import numpy as np
import pytest

import mien
from mien.data import Asked, Clips, check_source, open_dataset
from mien.data.dataset import join
from mien.data.drawn import Course, draw_clip, draw_dataset, write_gif
from mien.data.drawn.motion import some_course
from mien.data.formats import find, open_clips
from mien.data.tree import Tree
from mien.errors import DataError
from mien.framing import draw, reframe
from mien.labels import FER2013
from mien.recipes import load_recipe
from mien.sources import open_source
from tests.clips import film
from tests.data.formats.layouts import LAYOUTS


def frames(number: int, seed: int = 0, side: int = 48) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (number, side, side), np.uint8)


def write(path: Path, pictures: np.ndarray, names: str = "{}.png") -> None:
    """A clip as a folder of frames, or as a film."""
    if path.suffix:
        write_gif(path, pictures)
        return
    path.mkdir(parents=True)
    for number, picture in enumerate(pictures):
        cv2.imwrite(str(path / names.format(number)), picture)


ASKED = Asked(clips=True)
CLIPS = {"train/happy/a": 3, "train/sad/b": 5, "test/happy/c": 1, "test/sad/PublicTest_4": 2}


@pytest.fixture
def two_kinds(tmp_path: Path) -> Path:
    """Folders of frames and, in one place, a film."""
    for seed, (name, number) in enumerate(CLIPS.items()):
        write(tmp_path / "clips" / name, frames(number, seed))
    write(tmp_path / "clips" / "train" / "happy" / "film.gif", frames(4, 9))
    return tmp_path / "clips"


def test_clips_are_read_with_their_lengths_and_splits(two_kinds):
    data = open_dataset(two_kinds, ASKED)
    train = data.split("train")
    assert isinstance(train, Clips)
    names = ["train/happy/a", "train/happy/film.gif", "train/sad/b"]
    assert sorted(train.names.tolist()) == names
    lengths = dict(zip(train.names.tolist(), train.lengths.tolist(), strict=True))
    assert lengths == {"train/happy/a": 3, "train/happy/film.gif": 4, "train/sad/b": 5}
    row = train.names.tolist().index("train/happy/film.gif")
    assert (train.pixels(row) == frames(4, 9)).all(), "a .gif of grey frames loses nothing"
    assert train.rates == pytest.approx(25)
    assert data.split("public").names.tolist() == ["test/sad/PublicTest_4"]
    again = open_dataset(two_kinds, ASKED).split("train")
    assert again.digest == train.digest
    assert {**vars(again)}["digest"] == train.take(np.arange(3)).digest, "as it was computed"


PLACES = {
    "frames per class": (["happy/c1/0.png", "sad/c2/0.png"], True),
    "frames per class and split": (["train/happy/c1/0.png"], True),
    "films": (["happy/x.avi"], True),
    "images per class": (["happy/0.png"], False),
    "images per class and split": (["train/happy/0.png"], False),
    "images per person and class": (["anna/happy/0.png"], False),
    "nothing": ([], False),
}


@pytest.mark.parametrize(("names", "expected"), PLACES.values(), ids=PLACES)
def test_clips_are_told_from_images_by_the_names_of_files(tmp_path, names, expected):
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert (find(Tree.open(tmp_path)).clips is not None) is expected


def test_each_kind_is_refused_where_the_other_is_expected(two_kinds, kaggle):
    with pytest.raises(DataError, match=r"clips, and still images are expected.*cnn-lstm"):
        open_dataset(two_kinds)
    with pytest.raises(DataError, match=r"still images, and clips are expected.*mien-s"):
        check_source(kaggle, ASKED)
    either = Asked(clips=None)
    assert open_dataset(two_kinds, either).labels == open_dataset(kaggle, either).labels


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("happy/clip/notes.txt", "neither film nor picture"),
        ("train/a/b/c/0.png", "no class folder"),
        ("train/happy/broken/0.png", "replace it or move it out"),
        ("train/happy/broken.mp4", "replace it or move it out|no frame that can be read"),
    ],
)
def test_what_is_no_clip_is_named(tmp_path, name, message):
    write(tmp_path / "train/sad/good", frames(2))
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_bytes(b"nothing")
    with pytest.raises(DataError, match=message):
        open_dataset(tmp_path, ASKED)


def test_frames_are_in_the_order_of_their_numbers(tmp_path):
    write(tmp_path / "happy" / "clip", frames(12), "frame{}.png")
    (clip,) = open_clips(tmp_path)
    assert [path.stem for path in clip.frames] == [f"frame{n}" for n in range(12)]


def test_the_face_is_searched_in_large_frames(tmp_path):
    """What is kept are the crops that a film is recognised from, and its own rate."""
    (tmp_path / "happy").mkdir()
    scene = film(tmp_path / "happy" / "scene.mp4", [n / 10 for n in range(4)])
    part = open_dataset(tmp_path, ASKED).split("train")
    assert part.images.shape == (4, 48, 48)
    assert part.rates == pytest.approx(10)
    recognizer = mien.Recognizer("mien-s")
    shown = [recognizer.find(frame).crops.inputs[0] for frame in open_source(scene)]
    assert np.abs(part.images[0].astype(int) - shown[0]).max() == 0


@pytest.fixture
def clips() -> Clips:
    """Three clips of 8, 3 and 1 frames, whose pixels number them."""
    images = np.repeat(np.arange(12, dtype=np.uint8), 16).reshape(12, 4, 4)
    lengths = np.array([8, 3, 1])
    return Clips(
        *("train", images, np.array([0, 1, 0]), np.array(["a", "b", "c"])),
        starts=np.array([0, 8, 11]),
        lengths=lengths,
        rates=np.array([8.0, 3.0, 25.0]),
        most=4,
    )


@pytest.mark.parametrize(
    ("rows", "places", "expected", "lengths"),
    [
        ([0], None, [1, 3, 5, 7], [4]),
        ([2, 1], None, [11, 8, 9, 10], [1, 3]),
        ([0], [[0, 0.99, 0, 0.99]], [0, 3, 4, 7], [4]),
    ],
)
def test_a_network_sees_a_frame_of_each_part_of_a_clip(clips, rows, places, expected, lengths):
    given = None if places is None else np.array(places)
    images, seen = clips.frames(np.array(rows), given)
    assert images[:, 0, 0].tolist() == expected
    assert seen.tolist() == lengths


def test_clips_are_taken_and_joined_with_their_frames(clips):
    taken = clips.take(np.array([2, 0]))
    assert [taken.pixels(row)[:, 0, 0].tolist() for row in range(2)] == [[11], [*range(8)]]
    both = join("all", [taken, clips])
    assert [len(both.pixels(row)) for row in range(5)] == [1, 8, 8, 3, 1]
    assert (both.pixels(3) == clips.pixels(1)).all()
    assert taken.digest != clips.take(np.array([0, 2])).digest
    assert both.shown[:, 0, 0].tolist() == [11, 4, 4, 9, 11]


def test_all_frames_of_a_clip_are_framed_alike(clips):
    framing = draw(3, 0)
    images, _ = clips.framed(framing).take(np.array([1, 0])).frames(np.array([0]))
    plain = clips.frames(np.array([1]))[0]
    assert (images == reframe(plain, np.repeat(framing[1:2], 3, 0))).all()


def test_drawn_clips_are_a_data_set(tmp_path, monkeypatch):
    monkeypatch.setattr("mien.data.drawn.MIN_IMAGES", 10)
    draw_dataset(tmp_path / "clips", 10, seed=1, clips=True)
    data = open_dataset(tmp_path / "clips", ASKED)
    sizes = {name: len(split) for name, split in data.splits.items()}
    assert sizes == {"train": 8, "public": 1, "private": 1}
    assert data.split("test").lengths.tolist() == [16, 16]
    first = tmp_path / "clips/train/angry/Training_000000.gif"
    write_gif(tmp_path / "again.gif", draw_clip("angry", np.random.default_rng([1, 0])))
    assert first.read_bytes() == (tmp_path / "again.gif").read_bytes()


def test_an_expression_comes_and_goes():
    times = np.linspace(0, 1, 11)
    strength = Course((0.1, 0.3), (0.6, 0.9)).strength(times)
    assert strength[[0, 1, 4, 5, 9, 10]].tolist() == [0, 0, 1, 1, 0, 0]
    assert (np.diff(strength[:5]) >= 0).all()
    assert Course((0.1, 0.3)).strength(times)[-1] == 1, "without an offset it stays"
    courses = [some_course(np.random.default_rng(seed)) for seed in range(20)]
    assert all(course.strength(np.linspace(0, 1, 50)).max() > 0.95 for course in courses)


def test_the_same_face_moves():
    shown = draw_clip("surprise", np.random.default_rng(2), 12, course=Course((0.3, 0.6)))
    assert shown.shape == (12, 48, 48)
    still = draw_clip("neutral", np.random.default_rng(2), 12, course=Course((0.3, 0.6)))

    def change(clip: np.ndarray) -> float:
        return float(np.abs(clip[-1].astype(float) - clip[0]).mean())

    assert change(shown) > change(still)
    assert 0 < np.abs(np.diff(shown.astype(float), axis=0)).mean() < 40


@pytest.mark.parametrize(
    ("name", "lengths"), [("dfew", [2, 2]), ("ferv39k", [2, 2]), ("clips", [2, 3])]
)
def test_data_sets_of_the_field_are_read_as_clips(tmp_path, name, lengths):
    data = open_dataset(LAYOUTS[name].write(tmp_path), ASKED)
    assert data.split("train").lengths.tolist() == lengths
    assert data.labels == FER2013
    found = [(s, data.labels[n]) for s, part in data.splits.items() for n in part.labels]
    assert sorted(found) == sorted(LAYOUTS[name].records)


def test_another_fold_is_read_where_it_is_asked_for(tmp_path):
    path = LAYOUTS["dfew"].write(tmp_path)
    first, second = (open_dataset(path, Asked(clips=True, fold=fold)) for fold in (1, 2))
    assert first.split("test").names.tolist() == second.split("train").names.tolist()
    assert load_recipe("cnn-lstm", ["data.fold=2"]).asked.fold == 2
