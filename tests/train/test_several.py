"""Training in colour, on several data sets, and on some labels of them."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien import Recognizer
from mien.bundle import open_bundle
from mien.cli.training import _also
from mien.data import Asked, matched, open_dataset
from mien.data.dataset import Split
from mien.data.ferplus import join_votes
from mien.evaluate import evaluate
from mien.export import export, proof_images
from mien.labels import EIGHT, FER2013
from mien.package import package
from mien.recipes import load_recipe
from mien.runs import RunFolder, data_of
from mien.train.batches import Shuffled, training_batches
from mien.train.check import check
from mien.train.inputs import Inputs
from mien.train.lessons import Lessons
from mien.train.run import run
from tests.train.runs import changed

COLOUR = ["input={size_px: 32, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5], color: true}"]
TINTS = {"happy": (200, 40, 40), "sad": (40, 90, 200)}


@pytest.fixture(scope="module")
def tinted(tmp_path_factory):
    """Pictures of two labels that differ in their colour, and are equally bright."""
    root = tmp_path_factory.mktemp("tinted")
    rng = np.random.default_rng(0)
    for split, number in (("train", 40), ("val", 10)):
        for label, tint in TINTS.items():
            (root / split / label).mkdir(parents=True)
            for n in range(number):
                noise = rng.integers(0, 40, (32, 32, 1))
                picture = (np.array(tint) + noise).astype(np.uint8)
                Image.fromarray(picture).save(root / split / label / f"{n}.png")
    return root


@pytest.fixture(scope="module")
def colour_run(tinted, tiny_recipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("colour")
    overrides = [
        *COLOUR,
        "training.epochs=4",
        "augment={photo: 0.5, rotation_deg: 5, erase: 0.2, flip: true, cover: 0.2}",
        "training.progressive.from_px=24",
        "export.quantize=int8",
    ]
    recipe = changed(tiny_recipe, folder, *overrides)
    out = run(recipe, tinted, folder / "run")
    package(out, data_of(recipe, tinted))
    return out


@pytest.mark.parametrize("kind", ["bundle", "bundle-int8"])
def test_a_network_of_colour_reads_colour_from_training_to_recognition(colour_run, tinted, kind):
    bundle = open_bundle(colour_run / kind)
    assert bundle.card.preprocess.color
    data, told = matched(tinted, Asked(color=True), bundle.card.labels)
    assert told.startswith(f"{tinted.name} has no picture of: angry")
    assert evaluate(bundle, data, "val").metrics().accuracy.value > 0.9
    with Recognizer(colour_run / kind, detector="none") as recognizer:
        for label, tint in TINTS.items():
            photo = np.full((64, 64, 3), tint, np.uint8)
            assert recognizer.recognize(photo)[0].label == label
    grey, _ = matched(tinted, Asked(), bundle.card.labels)
    assert evaluate(bundle, grey, "val").metrics().accuracy.value <= 0.9


def test_the_explanation_of_a_network_of_colour_covers_the_face(colour_run):
    from mien.explain import Explainer

    face = np.full((32, 32, 3), TINTS["happy"], np.uint8)
    for method in ("occlusion", "gradcam"):
        found = Explainer(str(colour_run), method, detector="none").explain_crop(face)
        assert found.map.shape == (32, 32)


@pytest.mark.parametrize("option", ["--corruptions", "--occlusions", "--adversarial"])
def test_what_is_of_grey_faces_refuses_colour(option, colour_run, tinted):
    from typer.testing import CliRunner

    from mien.cli import app
    from mien.errors import InputError

    command = ["evaluate", str(colour_run), "--data", str(tinted), "--split", "val", option]
    with pytest.raises(InputError, match="are of grey faces, and tiny reads colour; leave them"):
        CliRunner().invoke(app, command, catch_exceptions=False)


def test_ensembles_refuse_colour(colour_run, tmp_path):
    from mien.ensemble import combine
    from mien.errors import BundleError

    bundle = open_bundle(colour_run / "bundle")
    with pytest.raises(BundleError, match="reads colour; an ensemble is of grey ones"):
        combine([bundle, bundle], tmp_path / "both")


@pytest.fixture(scope="module")
def eight(tmp_path_factory):
    """A data set of eight labels, 16 pictures each of 24 px."""
    root = tmp_path_factory.mktemp("eight")
    rng = np.random.default_rng(1)
    for label in EIGHT:
        (root / "train" / label).mkdir(parents=True)
        for n in range(16):
            picture = rng.integers(0, 256, (24, 24), np.uint8)
            Image.fromarray(picture).save(root / "train" / label / f"{n}.png")
    return root


@pytest.mark.parametrize(
    ("labels", "expected", "left_out"),
    [("null", FER2013, {"contempt": 16}), ("7", FER2013, {"contempt": 16}), ("8", EIGHT, {})],
)
def test_contempt_is_an_eighth_label_where_it_is_asked_for(
    labels, expected, left_out, eight, tiny_recipe, tmp_path
):
    data = data_of(changed(tiny_recipe, tmp_path, f"data.labels={labels}"), eight)
    assert (data.labels, data.left_out) == (expected, left_out)
    assert len(data.split("train")) == 16 * len(expected)


def test_two_data_sets_train_one_network_and_the_first_validates(
    eight, drawn, tiny_recipe, tmp_path, monkeypatch
):
    monkeypatch.chdir(eight.parent)
    also = f"data.also=[{{path: {eight.name}, share: 0.25}}]"
    recipe = changed(tiny_recipe, tmp_path, also, "data.exclude=null", "training.epochs=1")
    out = run(recipe, drawn, tmp_path / "run")
    check(recipe, drawn, out, resume=True)
    monkeypatch.chdir(tmp_path)  # where the other one is not found as it was typed
    noted = RunFolder(out).data
    own = open_dataset(drawn)
    assert noted.name == f"{drawn.name} + {eight.name}"
    assert noted.train.images == len(own.split("train")) + 7 * 16
    assert noted.validation.digest == own.split("public").digest
    assert noted.side_px == 48
    data, split = RunFolder(out).with_validation(drawn)
    assert data.split(split).digest == noted.validation.digest
    export(out, proof_images(data), tmp_path / "bundle")


def test_votes_are_those_of_the_first_data_set_alone(eight, tiny_recipe, tmp_path):
    shutil.copytree(eight, tmp_path / "other")  # its pictures have the same names
    also = f"data.also=[{{path: {tmp_path / 'other'}}}]"
    data = data_of(changed(tiny_recipe, tmp_path, also, "data.exclude=null"), eight)
    names = open_dataset(eight).split("train").names
    lines = ["path,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"]
    lines += [f"{name},0,10,0,0,0,0,0,0,0,0" for name in names]
    (tmp_path / "votes.csv").write_text("\n".join(lines))
    found = join_votes(data.split("train"), tmp_path / "votes.csv")
    training, held_out = data.for_training("train", "auto", 0)
    assert held_out.name == "held-out" and len(held_out) == 7, "of the first data set alone"
    assert not set(held_out.names) & set(training.names[training.own])
    assert ((found >= 0).all(1) == np.repeat([True, False], [7 * 15, 7 * 16])).all()
    assert ((join_votes(training, tmp_path / "votes.csv") >= 0).all(1) == training.own).all()
    assert (join_votes(held_out, tmp_path / "votes.csv") >= 0).all()


def test_data_sets_of_the_command_join_those_of_the_recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = load_recipe("drawn", ["data.also=[{path: a, share: 0.2}, {path: b, share: 0.1}]"])
    paths = [one["path"] for one in _also(recipe, [tmp_path / "b", Path("c")])]
    assert paths == ["a", "b", "c"]
    assert _also(recipe, [Path("b")])[1]["share"] == 0.1


def test_labels_in_common_are_those_that_every_data_set_has(eight, tinted, tiny_recipe, tmp_path):
    recipe = changed(tiny_recipe, tmp_path, f"data.also=[{{path: {tinted}}}]", "data.labels=common")
    data = data_of(recipe, eight)
    assert data.labels == ("happy", "sad")
    assert data.split("train").counts(2).tolist() == [55, 55]  # and one of each is held out
    assert data.left_out == dict.fromkeys([x for x in EIGHT if x not in data.labels], 16)
    assert data.split("train").chances is None


@pytest.mark.parametrize("balanced", [False, True])
def test_an_epoch_shows_the_data_sets_in_their_shares(balanced, tiny_recipe):
    rng = np.random.default_rng(0)
    images = np.zeros((1000, 8, 8), np.uint8)
    labels = rng.integers(0, 7, 1000)
    chances = np.where(np.arange(1000) < 900, 0.3 / 900, 0.7 / 100)
    split = Split("train", images, labels, np.arange(1000).astype(str), None, chances)
    lessons = Lessons(tiny_recipe, 1000)
    preprocess = tiny_recipe.input.preprocess()
    batches = training_batches(split, preprocess, 10, 0, lessons, balanced=balanced)
    assert isinstance(batches.sampler, Shuffled)
    rows = np.concatenate([rows.numpy() for rows in batches.sampler])
    assert (rows >= 900).mean() == pytest.approx(0.7, abs=0.06)


def test_a_colour_recipe_ships():
    assert load_recipe("efficientnet-lite0-color").asked == Asked(None, True, 112)


def test_pictures_of_several_sizes_come_as_large_as_the_network_asks(tmp_path):
    for label, side in (("happy", 300), ("sad", 150)):
        (tmp_path / "data" / label).mkdir(parents=True)
        Image.fromarray(np.full((side, side, 3), 9, np.uint8)).save(
            tmp_path / "data" / label / "a.png"
        )
    sizes = [(48, 96), (96, 96), (112, 112), (400, 224)]
    for asked, side in sizes * 2:  # the second time from the cache
        data = open_dataset(tmp_path / "data", Asked(color=asked > 100, side_px=asked))
        assert data.split("train").images.shape[1:3] == (side, side)
        assert data.split("train").images.ndim == (4 if asked > 100 else 3)


def test_class_weights_are_those_of_what_an_epoch_shows(tiny_recipe, tmp_path):
    labels = np.array([0] * 8 + [1] * 8)
    names = np.array([str(n) for n in range(16)])
    chances = np.array([0.75 / 8] * 8 + [0.25 / 8] * 8)
    split = Split("train", np.zeros((16, 8, 8), np.uint8), labels, names, chances=chances)
    weights = changed(tiny_recipe, tmp_path, "training.loss.class_weights=balanced")
    for training, wanted in ((split, [2 / 3, 2]), (replace(split, chances=None), [1, 1])):
        inputs = Inputs("two", ("happy", "sad"), training, training, (), tmp_path)
        assert inputs.class_weights(weights).tolist() == pytest.approx(wanted)
