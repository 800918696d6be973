"""Networks for clips, from drawn clips to readings: the order of frames is learned, and what is
exported reads a film as it was trained."""

import csv
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest

import mien
from mien.bundle import Bundle
from mien.card import State
from mien.cli import main
from mien.data import Asked, open_dataset
from mien.data.drawn import Course, draw_clip, write_gif
from mien.errors import DataError, RecipeError
from mien.evaluate import evaluate
from mien.export import export, proof_images
from mien.quantize import quantize_weights
from mien.recipes import Recipe, load_recipe
from mien.runs import RunFolder
from mien.train.check import check
from mien.train.run import run
from tests.train.runs import interrupt, largest_difference

TRAINED, TESTED, FRAMES = 90, 30, 6
RECIPE = """
name: NAME
model:
  name: NAME
  options: OPTIONS
input: {size_px: 32, mean: [0.5], std: [0.25]}
augment: {flip: true}
training:
  epochs: 9
  batch: 16
  optimizer: OPTIMIZER
  schedule: {name: cosine, warmup_epochs: 1}
"""
IMAGES = {
    "NAME": "attention",
    "OPTIONS": "{widths: [12, 24], blocks: 1, hidden: 0, dropout: 0.0}",
    "OPTIMIZER": "{name: muon, lr: 0.01, weight_decay: 0.05, momentum: 0.95}",
}
OF_CLIPS = {
    "OPTIONS": f"{{encoder: RUN, frames: {FRAMES}, dropout: 0.0}}",
    "OPTIMIZER": "{name: adamw, lr: 0.003}",
}


def recipe(folder: Path, words: dict[str, str], *overrides: str) -> Recipe:
    text = RECIPE
    for word, value in words.items():
        text = text.replace(word, value)
    (folder / "recipe.yaml").write_text(text)
    return load_recipe(folder / "recipe.yaml", [*overrides])


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> Path:
    """Clips of a smile that appears, and the same backwards: it fades; `faces` has first and last
    frames of the training clips as images."""
    folder, rng = tmp_path_factory.mktemp("smiles"), np.random.default_rng(0)
    for split, number in (("train", TRAINED), ("val", TESTED)):
        for row in range(number):
            start = rng.uniform(0.1, 0.5)
            clip = draw_clip("surprise", rng, FRAMES, 32, Course((start, start + 0.3)))
            for label, frames in (("appears", clip), ("fades", clip[::-1])):
                write_gif(folder / "clips" / split / label / f"{row}.gif", frames)
            for label, place in (("neutral", 0), ("surprise", -1)):
                face = folder / "faces" / split / label / f"{row}.png"
                face.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(face), clip[place])
    return folder


@pytest.fixture(scope="module")
def encoder(films, tmp_path_factory) -> Path:
    """A run that tells surprise from rest in images."""
    place = tmp_path_factory.mktemp("encoder")
    return run(recipe(place, IMAGES), films / "faces", place / "run")


@pytest.fixture(scope="module")
def of_clips(encoder):
    """`of_clips(model, *overrides)`: a recipe that starts from that run."""

    def make(name: str, *overrides: str) -> Recipe:
        return recipe(encoder.parent, OF_CLIPS | {"NAME": name, "RUN": str(encoder)}, *overrides)

    return make


@pytest.fixture(scope="module")
def lstm(films, of_clips, tmp_path_factory) -> Path:
    chosen = of_clips("cnn-lstm", "training.precision=fp32")  # validated as it is evaluated
    return run(chosen, films / "clips", tmp_path_factory.mktemp("lstm") / "run")


def accuracy(folder: Path) -> float:
    with (folder / "history.csv").open() as file:
        return float([*csv.DictReader(file)][-1]["val_accuracy"])


def test_an_lstm_tells_the_order_of_frames(lstm):
    """With more clips and a better encoder, 96 % and more: scripts/draw_clips.py."""
    assert accuracy(lstm) >= 0.8


def test_their_mean_does_not(films, of_clips, tmp_path):
    chosen = of_clips("frame-mean", "training.epochs=2", "model.options.frozen=true")
    assert accuracy(run(chosen, films / "clips", tmp_path / "run")) == pytest.approx(0.5, abs=0.05)


@pytest.fixture(scope="module")
def bundle(lstm, films, tmp_path_factory) -> Bundle:
    data = open_dataset(films / "clips", Asked(clips=True))
    exported, difference = export(lstm, proof_images(data), tmp_path_factory.mktemp("b") / "b")
    assert difference < 1e-4
    return exported


def test_the_card_tells_of_the_state_and_the_pace(bundle, lstm):
    """Six frames of films of six frames, 25 a second."""
    assert bundle.card.state == State({"hidden": (128,), "cell": (128,)}, FRAMES, 25.0)
    assert RunFolder(lstm).data.rate == 25.0
    session = onnxruntime.InferenceSession(bundle.model_file)
    assert [i.name for i in session.get_inputs()] == ["face", "state_hidden", "state_cell"]
    assert [o.name for o in session.get_outputs()] == ["logits", "next_hidden", "next_cell"]


def test_a_bundle_is_evaluated_as_the_run_was_validated(bundle, lstm, films):
    data = open_dataset(films / "clips", Asked(clips=True))
    evaluation = evaluate(bundle, data, "val", jitter=True)
    assert len(evaluation.truth) == 2 * TESTED
    with (lstm / "history.csv").open() as file:
        rows = [*csv.DictReader(file)]
    best = rows[RunFolder(lstm).history.best]
    assert evaluation.metrics().accuracy.value == pytest.approx(float(best["val_accuracy"]))
    assert evaluation.field_accuracy.value == pytest.approx(
        float(best["val_field_accuracy"]), abs=0.15
    )
    assert evaluation.copies.sum() == 0


def test_a_film_is_read_as_its_clip_was_evaluated(bundle, films):
    data = open_dataset(films / "clips", Asked(clips=True))
    evaluation = evaluate(bundle, data, "val")
    reader = mien.Recognizer(bundle.folder, detector="none")
    for row in (0, 1, TESTED, 2 * TESTED - 1):
        found = reader.recognize(films / "clips" / str(evaluation.names[row]))
        assert len(found) == FRAMES
        assert found[-1].scores.values == pytest.approx(evaluation.probabilities[row], abs=1e-5)


def test_a_resumed_training_ends_with_the_same_weights(films, of_clips, tmp_path, monkeypatch):
    short = of_clips("cnn-lstm", "training.epochs=2", "data.limit=64")
    whole = run(short, films / "clips", tmp_path / "whole")
    with monkeypatch.context() as patch:
        interrupt(patch, 1, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            run(short, films / "clips", tmp_path / "broken", resume=False)
    run(short, films / "clips", tmp_path / "broken", resume=True)
    assert largest_difference(whole, tmp_path / "broken") == 0


def test_a_recipe_spells_out_the_run_that_it_starts_from(lstm, encoder, bundle, tmp_path):
    chosen = load_recipe(lstm / "recipe.yaml")
    assert chosen.model.options["encoder"] == "attention"
    assert chosen.model.options["encoder_options"]["widths"] == [12, 24]
    assert chosen.model.weights == str(encoder / "checkpoints" / "best.ckpt")
    assert chosen.input == load_recipe(encoder / "recipe.yaml").input
    with pytest.raises(RecipeError, match="is no encoder: expected a model's name, or the folder"):
        recipe(tmp_path, OF_CLIPS | {"NAME": "cnn-lstm", "RUN": str(bundle.folder)})


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.mix.mixup=0.2", "training.mix.mixup is for images, and cnn-lstm reads clips"),
        ("training.distil.teachers=[mien-s]", "teachers is for images"),
        ("training.loss.votes=0.4", "votes is for images"),
        ("export.quantize=int8", "int8 is for images"),
        ("model.options.encoder=frame-mean", "the encoder frame-mean reads clips"),
        ("model.options.encoder=mien-x", "no model named 'mien-x'"),
    ],
)
def test_what_does_not_fit_clips_is_refused(override, message):
    with pytest.raises(RecipeError, match=message):
        load_recipe("cnn-lstm", [override])


def test_data_of_the_other_kind_is_refused_before_torch_is_asked(films, tmp_path):
    with pytest.raises(DataError, match="data set of still images, and clips are expected"):
        check(load_recipe("cnn-lstm"), films / "faces", tmp_path / "out")
    with pytest.raises(DataError, match="data set of clips, and still images are expected"):
        check(load_recipe("mien-s"), films / "clips", tmp_path / "out")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("evaluate BUNDLE --data FACES --split val --out OUT", "clips are expected here"),
        ("evaluate mien-s --data CLIPS --split val --out OUT", "still images are expected here"),
        ("evaluate BUNDLE --data CLIPS --corruptions --out OUT", "are for images"),
        ("ensemble BUNDLE mien-s --out OUT", "reads clips; an ensemble is of bundles for images"),
        ("quantize BUNDLE --data CLIPS --out OUT", "add --weights-only"),
        ("data stats CLIPS --out OUT", "still images are expected here"),
        ("data audit CLIPS --out OUT", "still images are expected here"),
    ],
)
def test_commands_refuse_the_other_kind_in_a_line(
    bundle, films, tmp_path, monkeypatch, capsys, command, message
):
    words = {"BUNDLE": bundle.folder, "FACES": films / "faces", "CLIPS": films / "clips"}
    words["OUT"] = tmp_path / "out"
    arguments = [str(words.get(word, word)) for word in command.split()]
    monkeypatch.setattr("sys.argv", ["mien", *arguments])
    with pytest.raises(SystemExit, match="2"):
        main()
    told = capsys.readouterr().err.strip()
    assert message in told
    assert len(told.splitlines()) == 1


def test_the_weights_of_a_bundle_for_clips_can_be_quantised(bundle, films, tmp_path):
    small = quantize_weights(bundle, tmp_path / "w8")
    data = open_dataset(films / "clips", Asked(clips=True))
    one, other = (evaluate(b, data, "val").probabilities for b in (bundle, small))
    assert np.abs(one - other).max() < 0.1
    assert small.card.state == bundle.card.state
