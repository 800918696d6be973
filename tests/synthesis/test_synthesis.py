"""`mien data synthesize`: what is written, what it stands on, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from mien.cli import app
from mien.data import Split, open_dataset
from mien.errors import InputError, MienError, RunError
from mien.recipes import Recipe
from mien.runs import data_of
from mien.synthesis.fit import Generator, chances
from mien.synthesis.flow import as_pictures, as_values
from mien.synthesis.judge import distance, looks, novelty
from mien.synthesis.wanted import Facts, Material, Wanted

TINY = (8, 16)


@pytest.fixture(scope="module")
def material(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Material:
    return Material.open(drawn, tmp_path_factory.mktemp("none") / "out", Wanted(images=3))


def facts(split: Split, seed: int = 0) -> Facts:
    """Those of a generator of some thousand weights."""
    return replace(Facts.of(("angry", "happy"), split, seed), widths=TINY, batch=8)


@pytest.fixture(scope="module")
def two() -> Split:
    """16 pictures of two classes."""
    images = np.random.default_rng(0).integers(0, 256, (16, 48, 48), np.uint8)
    return Split("train", images, np.arange(16) % 2, np.arange(16).astype(np.str_))


def weights(generator: Generator) -> list[torch.Tensor]:
    return [*generator.network.state_dict().values(), *generator.average.state_dict().values()]


def test_the_same_seed_draws_the_same_faces_and_another_others(two: Split, tmp_path: Path):
    faces = []
    for place, seed in (("a", 0), ("b", 0), ("c", 1)):
        generator = Generator(facts(two, seed), tmp_path / place)
        generator.fit(two, 1)
        faces.append(generator.draw(0, 3, guidance=2, steps=2))
    assert faces[0].shape == (3, 48, 48)
    assert faces[0].dtype == np.uint8
    assert np.array_equal(faces[0], faces[1])
    assert not np.array_equal(faces[0], faces[2])


def test_more_faces_begin_with_the_same_and_classes_differ(two: Split, tmp_path: Path):
    generator = Generator(facts(two), tmp_path)
    generator.fit(two, 1)
    few, many, others = (generator.draw(*asked, 2, 2) for asked in ((0, 2), (0, 66), (1, 2)))
    assert np.array_equal(few, many[:2])
    assert len(many) == 66
    assert not np.array_equal(few, others)


def test_a_training_that_was_stopped_ends_with_the_same_weights(two: Split, tmp_path: Path):
    done: list[int] = []
    whole = Generator(facts(two), tmp_path / "whole")
    whole.fit(two, 3, done.append)
    Generator(facts(two), tmp_path / "parts").fit(two, 1)
    again = Generator(facts(two), tmp_path / "parts")
    again.fit(two, 3)
    assert sum(done) == 3 * len(two)
    assert again.losses == whole.losses
    assert all(torch.equal(*pair) for pair in zip(weights(whole), weights(again), strict=True))


@pytest.mark.parametrize(
    ("seed", "epochs", "words"), [(1, 2, "other seed"), (0, 1, "2 epochs, more than 1")]
)
def test_a_generator_of_something_else_is_refused(
    two: Split, tmp_path: Path, seed: int, epochs: int, words: str
):
    Generator(facts(two), tmp_path).fit(two, 2)
    with pytest.raises(RunError, match=words):
        Generator(facts(two, seed), tmp_path).fit(two, epochs)


def test_the_loss_falls(material: Material, tmp_path: Path):
    labels = material.data.labels
    generator = Generator(
        replace(Facts.of(labels, material.training, 0), widths=TINY, batch=8), tmp_path
    )
    generator.fit(material.training, 3)
    assert generator.losses[-1] < 0.8 * generator.losses[0]


def test_guidance_goes_away_from_the_faces_of_any_class(two: Split, tmp_path: Path):
    generator = Generator(facts(two), tmp_path)
    generator.fit(two, 2)
    far = [
        np.abs(generator.draw(0, 4, w, 2).astype(int) - generator.draw(0, 4, 0, 2)).mean()
        for w in (1, 4)
    ]
    assert 0 < far[0] < far[1]


def test_pictures_survive_the_way_to_values_and_back(two: Split):
    pictures = torch.from_numpy(two.images)
    assert torch.equal(as_pictures(as_values(pictures)), pictures)


def test_a_class_is_drawn_as_the_root_of_its_size():
    labels = torch.tensor([0] * 100 + [1] * 4)
    drawn = chances(labels)
    assert float(drawn[labels == 0].sum() / drawn[labels == 1].sum()) == pytest.approx(5)


def test_repeated_training_images_are_found(material: Material):
    training = material.training.images
    noise = np.random.default_rng(1)
    repeated = [
        training[5],
        training[6][:, ::-1],
        np.roll(training[7], 2, axis=1),
        np.clip(training[8] + noise.normal(0, 3, (48, 48)), 0, 255).astype(np.uint8),
    ]
    strange = noise.integers(0, 256, (4, 48, 48), np.uint8)
    found = novelty(np.stack([*repeated, *strange]), training, material.held_out.images)
    assert found.too_near.tolist() == [True] * 4 + [False] * 4
    assert found.nearest.row[:4].tolist() == [5, 6, 7, 8]
    assert found.nearest.mirrored[:2].tolist() == [False, True]
    assert found.nearest.score[0] == pytest.approx(1, abs=1e-4)


def test_copies_among_held_out_images_do_not_raise_the_limit(material: Material):
    training, held_out = material.training.images, material.held_out.images
    plain = novelty(training[:1], training, held_out)
    copied = novelty(training[:1], training, np.concatenate([held_out, training[:9]]))
    assert copied.held_out_copies == plain.held_out_copies + 9
    assert copied.limit == plain.limit


def test_distance_is_small_within_a_kind_and_large_between(material: Material):
    features = looks(material.training.images).features
    noise = looks(np.random.default_rng(0).integers(0, 256, (40, 48, 48), np.uint8)).features
    near = distance(features[::2], features[1::2])
    far = distance(features, noise)
    assert near is not None
    assert far is not None
    assert abs(near) < far / 10
    assert distance(features[:1], features) is None


def test_what_is_drawn_joins_a_training(drawn: Path, tmp_path: Path, tiny_recipe: Recipe):
    out = tmp_path / "out"
    command = f"data synthesize {drawn} {out} --fill 0.5 --labels disgust,fear --epochs 1"
    first = CliRunner().invoke(app, command.split())
    assert first.exit_code == 0, first.output
    assert "disgust" in first.output
    names = {p.relative_to(out).as_posix() for p in out.iterdir()}
    assert names == {"generator", "faces", "contact.png", "neighbours.png", "synthesis.json"}

    found = json.loads((out / "synthesis.json").read_text())
    counts = {label: each["training"] for label, each in found["classes"].items()}
    asked = {label: each["drawn"] for label, each in found["classes"].items()}
    written = sum(each["drawn"] - each["too_near"] for each in found["classes"].values())
    assert asked == {label: round(0.5 * count) for label, count in counts.items()}

    faces = open_dataset(out / "faces")
    assert faces.present == ("disgust", "fear")
    assert len(faces.split("train")) == written
    raw = tiny_recipe.model_dump() | {"data": {"also": [{"path": str(out / "faces")}]}}
    both = data_of(Recipe.model_validate(raw), drawn)
    assert len(both.split("train")) == len(open_dataset(drawn).split("train")) + written

    trained = (out / "generator" / "generator.pt").read_bytes()
    fewer = command.replace("disgust,", "").split()
    with pytest.raises(InputError, match="has faces of disgust, which would be deleted"):
        CliRunner().invoke(app, fewer, catch_exceptions=False)
    (out / "faces").rename(tmp_path / "earlier")
    again = CliRunner().invoke(app, fewer)
    assert again.exit_code == 0, again.output
    assert (out / "generator" / "generator.pt").read_bytes() == trained
    assert open_dataset(out / "faces").present == ("fear",)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--images 3 --labels digust", "unknown label 'digust'"),
        ("", "either --images or --fill"),
        ("--images 3 --fill 1", "either --images or --fill"),
        ("--images 0", "above 0"),
        ("--fill nan", "above 0"),
        ("--images 3 --epochs 0", "above 0"),
    ],
)
def test_mistakes_are_told_before_anything_is_written(
    drawn: Path, tmp_path: Path, options: str, words: str
):
    out = tmp_path / "out"
    done = CliRunner().invoke(app, f"data synthesize {drawn} {out} {options}".split())
    assert isinstance(done.exception, MienError)
    assert words in str(done.exception)
    assert not out.exists()


def test_a_folder_of_something_else_is_left_alone(drawn: Path, tmp_path: Path):
    (tmp_path / "mine.txt").write_text("mine")
    for place in (tmp_path, drawn / "train"):
        with pytest.raises(InputError):
            Material.open(drawn, place, Wanted(images=3))
