import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mien.data import open_dataset
from mien.data.drawn import draw_dataset, draw_face
from mien.errors import InputError
from mien.labels import FER2013


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*.png")
    }


@pytest.mark.parametrize(
    ("images", "sizes"),
    [
        (70, {"Training": 56, "PublicTest": 7, "PrivateTest": 7}),
        (105, {"Training": 85, "PublicTest": 10, "PrivateTest": 10}),
    ],
)
def test_writes_kaggles_layout(tmp_path: Path, images: int, sizes: dict[str, int]) -> None:
    draw_dataset(tmp_path / "faces", images, seed=1)
    paths = [Path(name) for name in digests(tmp_path / "faces")]
    assert Counter(path.name.split("_")[0] for path in paths) == sizes
    assert {(path.parts[0], path.name.split("_")[0]) for path in paths} == {
        ("train", "Training"),
        ("test", "PublicTest"),
        ("test", "PrivateTest"),
    }
    for kind in sizes:
        found = {path.parent.name for path in paths if path.name.startswith(kind)}
        assert found == set(FER2013)


def test_opens_as_fer2013(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_HOME", str(tmp_path / "home"))
    draw_dataset(tmp_path / "faces", 70, seed=1)
    data = open_dataset(tmp_path / "faces")
    assert data.labels == FER2013
    assert {name: len(split) for name, split in data.splits.items()} == {
        "train": 56,
        "public": 7,
        "private": 7,
    }
    assert data.split("train").images.shape[1:] == (48, 48)


def test_seed_decides_every_byte(tmp_path: Path) -> None:
    for name, seed in (("one", 5), ("again", 5), ("other", 6)):
        draw_dataset(tmp_path / name, 70, seed)
    one, again, other = (digests(tmp_path / name) for name in ("one", "again", "other"))
    assert one == again
    assert len(set(one.values())) == 70
    assert not set(one.values()) & set(other.values())


def test_reports_progress(tmp_path: Path) -> None:
    seen: list[int] = []
    draw_dataset(tmp_path / "faces", 70, 0, progress=seen.append)
    assert seen == [1] * 70


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


@pytest.mark.parametrize("expression", FER2013)
@pytest.mark.parametrize("size_px", [48, 256])
def test_draws_each_expression(expression: str, size_px: int) -> None:
    face = draw_face(expression, np.random.default_rng(0), size_px)
    assert face.shape == (size_px, size_px)
    assert face.dtype == np.uint8
    assert face.std() > 5


@pytest.mark.parametrize(("expression", "size_px"), [("bored", 48), ("happy", 4)])
def test_refuses_what_it_cannot_draw(expression: str, size_px: int) -> None:
    with pytest.raises(InputError, match=r"unknown expression 'bored'|at least 8 px"):
        draw_face(expression, np.random.default_rng(0), size_px)


def test_expressions_can_be_told_apart_by_a_plain_model() -> None:
    """A linear model on raw pixels finds much more than chance (1/7), but far from all."""
    linear = pytest.importorskip("sklearn.linear_model")
    faces, labels = [], []
    for number in range(840):
        labels.append(number % 7)
        faces.append(draw_face(FER2013[number % 7], np.random.default_rng([9, number])))
    x = np.stack(faces).reshape(len(faces), -1) / 255.0
    x = (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True)
    model = linear.RidgeClassifier(alpha=3000).fit(x[:630], labels[:630])
    assert 0.25 < model.score(x[630:], labels[630:]) < 0.95
