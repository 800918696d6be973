import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.data import open_dataset
from mien.data.drawn import draw_dataset, draw_face
from mien.errors import InputError
from mien.labels import FER2013


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*.png")
    }


@pytest.fixture(scope="module")
def seventy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("seventy") / "faces"
    seen: list[int] = []
    draw_dataset(out, 70, 1, progress=seen.append)
    assert seen == [1] * 70
    return out


@pytest.fixture(scope="module")
def more(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("more") / "new" / "faces"
    draw_dataset(out, 85, 1)
    return out


@pytest.mark.parametrize(
    ("drawn", "sizes"),
    [
        ("seventy", {"Training": 56, "PublicTest": 7, "PrivateTest": 7}),
        ("more", {"Training": 69, "PublicTest": 8, "PrivateTest": 8}),
    ],
)
def test_writes_kaggles_layout(
    request: pytest.FixtureRequest, drawn: str, sizes: dict[str, int]
) -> None:
    """Split by split, every class about as often; numbered through."""
    written = set(digests(request.getfixturevalue(drawn)))
    expected, number = set(), 0
    for kind, images in sizes.items():
        split = "train" if kind == "Training" else "test"
        for number in range(number, number + images):  # noqa: B020
            expected.add(f"{split}/{FER2013[number % 7]}/{kind}_{number:06d}.png")
        number += 1
    assert written == expected


def test_opens_as_fer2013(seventy: Path) -> None:
    data = open_dataset(seventy)
    assert data.labels == FER2013
    assert {name: len(split) for name, split in data.splits.items()} == {
        "train": 56,
        "public": 7,
        "private": 7,
    }
    first = data.split("train").names.tolist().index("train/sad/Training_000005.png")
    face = draw_face("sad", np.random.default_rng([1, 5]))
    assert (data.split("train").images[first] == face).all()


def test_seed_decides_every_byte(seventy: Path, more: Path, tmp_path: Path) -> None:
    draw_dataset(tmp_path / "other", 70, 6)
    one, other, longer = (digests(folder) for folder in (seventy, tmp_path / "other", more))
    assert len(set(one.values())) == 70
    assert not set(one.values()) & set(other.values())
    same = {name for name in one if name.startswith("train")}
    assert {name: longer[name] for name in same} == {name: one[name] for name in same}


@pytest.mark.parametrize(
    ("images", "seed", "message"),
    [(69, 0, "at least 70 images.*got 69"), (70, -1, "seed of at least 0")],
)
def test_refuses_numbers(tmp_path: Path, images: int, seed: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        draw_dataset(tmp_path / "faces", images, seed)
    assert not any(tmp_path.iterdir())


def test_leaves_what_is_there_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    for taken in (tmp_path, tmp_path / "mine.txt"):
        with pytest.raises(InputError, match="not an empty folder"):
            draw_dataset(taken, 70, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_interrupted_drawing_leaves_nothing(tmp_path: Path) -> None:
    drawn: list[int] = []

    def interrupt(more: int) -> None:
        drawn.append(more)
        if len(drawn) == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw_dataset(tmp_path / "faces", 70, 0, progress=interrupt)
    assert not any(tmp_path.iterdir())


def sheet() -> np.ndarray:
    """Two rows with a face of each expression: bald and bearded ones, with and without glasses."""
    people = [[0, 1, 17, 20, 35, 41, 22], [3, 10, 13, 18, 33, 43, 5]]
    rows = [
        [
            draw_face(label, np.random.default_rng(seed))
            for label, seed in zip(FER2013, row, strict=True)
        ]
        for row in people
    ]
    return np.concatenate([np.concatenate(row, 1) for row in rows])


def test_faces_are_the_ones_of_the_golden_sheet() -> None:
    """A data set that was drawn by an earlier version stays the same.

    Made anew by `Image.fromarray(sheet()).save("tests/data/drawn.png")`.
    """
    with Image.open(Path(__file__).with_name("drawn.png")) as picture:
        golden = np.asarray(picture, np.int64)
    assert golden.shape == (96, 336)
    off = np.abs(sheet() - golden)
    assert off.mean() < 0.02  # a library may round a pixel otherwise


def test_a_larger_face_is_the_same_face() -> None:
    """Drawn four times as large and made small again, it differs by its noise alone."""
    for label in FER2013:
        small, large = (draw_face(label, np.random.default_rng(6), side) for side in (48, 192))
        assert large.shape == (192, 192)
        again = large.reshape(48, 4, 48, 4).mean((1, 3))
        assert np.corrcoef(small.ravel(), again.ravel())[0, 1] > 0.97


def test_the_smallest_face_has_eight_pixels() -> None:
    face = draw_face("happy", np.random.default_rng(0), 8)
    assert (face.shape, face.dtype) == ((8, 8), np.uint8)
    assert face.std() > 5


@pytest.mark.parametrize(
    ("expression", "size_px", "message"),
    [
        ("bored", 48, "unknown expression 'bored'; expected one of angry, disgust, fear, happy, "),
        ("happy", 7, "a face of at least 8 px, got 7"),
    ],
)
def test_refuses_what_it_cannot_draw(expression: str, size_px: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        draw_face(expression, np.random.default_rng(0), size_px)


def test_people_show_their_expressions_in_ways_of_one_kind() -> None:
    """What is common to the others tells a person's expressions far above chance (1/7)."""
    people = [[draw_face(label, np.random.default_rng(n)) for label in FER2013] for n in range(12)]
    shown = np.array(people, np.float64)
    shown -= shown.mean(1, keepdims=True)
    right = []
    for person, faces in enumerate(shown):
        others = np.delete(shown, person, 0).mean(0)
        off = ((faces[:, None] - others) ** 2).mean((2, 3))
        right += (off.argmin(1) == np.arange(7)).tolist()
    assert 0.3 < np.mean(right) < 0.95
