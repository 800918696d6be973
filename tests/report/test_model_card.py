import dataclasses
from pathlib import Path

import numpy as np
import pytest

from mien.evaluate import calibrate, evaluate
from mien.provenance import Ensemble, Images, Member, Quantised, Source
from mien.report.model_card import write_model_card
from tests import fakes
from tests.evaluate.test_evaluation import greys
from tests.fakes import an_evaluation, brightness_bundle

CHOSEN = Images("public", 40, greys().split("public").digest)
TRAINED = dataclasses.replace(fakes.TRAINED, validation=CHOSEN)


def test_the_card_says_what_the_bundle_is_and_how_it_was_measured(tmp_path: Path):
    bundle = brightness_bundle(tmp_path / "b")
    trained = dataclasses.replace(bundle, card=dataclasses.replace(bundle.card, provenance=TRAINED))
    evaluation, trained = calibrate(trained, greys(), "public")
    text = write_model_card(trained, evaluation).read_text(encoding="utf-8")
    for told in (
        bundle.card.digest,
        "Apache-2.0",
        "seed 3, 7 epochs",
        "random weights",
        "1,234 of train",
        "learned from: the labels\n",
        "the epoch or the seed was chosen on them",
        "| accuracy, % | 100.00 [100.00, 100.00] | 40 |",
        "| angry | 6 | 100 [100, 100] | 100 [100, 100] | – |",
        "AI Act",
    ):
        assert told in text, told


def test_a_card_whole(tmp_path: Path):
    """Of a network that was chosen elsewhere and measured on a test without an image of sad."""
    bundle = brightness_bundle(tmp_path / "b")
    card = dataclasses.replace(
        bundle.card, provenance=dataclasses.replace(TRAINED, start="imagenet")
    )
    bundle = dataclasses.replace(bundle, card=card)
    truth = np.array([0] * 11 + [6] * 10)
    answers = np.where(np.arange(21) == 0, 3, truth)
    found = an_evaluation(truth, np.eye(7)[answers] * 0.93 + 0.01, split="private", data="greys")
    path = write_model_card(bundle, found)
    assert path == bundle.folder / "README.md"
    parts = path.read_text(encoding="utf-8").split("\n\n")
    megabytes = bundle.model_file.stat().st_size / 1e6
    assert parts[:5] == [
        "# brightness",
        "A classifier of 7 expressions (angry, disgust, fear, happy, neutral, sad, surprise) in "
        "8 px grey faces. 0.00 M parameters, 0 M multiply-accumulates, "
        f"{megabytes:.1f} MB.",
        "- architecture: brightness (-)\n- licence: Apache-2.0\n"
        f"- made by: {card.created_by}\n- sha256 of model.onnx: {card.digest}\n"
        "- views averaged: plain\n- temperature: 1\n- unsure below: 0",
        "## Training",
        "- recipe: mien-s, seed 3, 7 epochs\n- start: weights imagenet\n"
        "- images: 1,234 of train of greys (digest aaaaaaaaaaaa)\n- learned from: the labels\n"
        f"- epoch or seed chosen on: 40 of public of greys (digest {CHOSEN.digest[:12]})",
    ]
    assert parts[5:7] == [
        "## On private of greys",
        "95 % bootstrap intervals over images. Nothing was chosen or fitted on these images.",
    ]
    assert parts[8] == "### Per class"
    assert parts[9].splitlines() == [
        "| expression | images | recall, % [95 %] | precision, % [95 %] "
        "| most often taken for (images) |",
        "| --- | --- | --- | --- | --- |",
        "| angry | 11 | 91 [70, 100] | 100 [100, 100] | happy (1) |",
        *(f"| {label} | 0 | – | – | – |" for label in ("disgust", "fear")),
        "| happy | 0 | – | 0 [0, 0] | – |",
        *(f"| {label} | 0 | – | – | – |" for label in ("neutral", "sad")),
        "| surprise | 10 | 100 [100, 100] | 100 [100, 100] | – |",
    ]
    assert parts[10] == "## Limits"


@pytest.mark.parametrize(
    ("split", "chosen", "told"),
    [
        ("test", True, "Nothing was chosen or fitted on these images."),
        (
            "val",
            True,
            "were fitted on these same images, and the epoch or the seed was chosen on them.",
        ),
        ("val", False, "Temperature and threshold were fitted on these same images.\n"),
    ],
)
def test_the_protocol_says_what_was_fitted_where(tmp_path, split: str, chosen: bool, told: str):
    bundle = brightness_bundle(tmp_path / "b")
    digest = CHOSEN.digest if chosen else "e" * 64
    bundle = dataclasses.replace(bundle, card=dataclasses.replace(bundle.card, provenance=TRAINED))
    found = an_evaluation(np.zeros(3, int), np.eye(7)[[0, 0, 1]], split=split, digest=digest)
    assert told in write_model_card(bundle, found).read_text()


def test_the_card_names_voters_and_teachers(tmp_path: Path):
    bundle = brightness_bundle(tmp_path / "b")
    more = {"votes": 0.4, "teachers": (Source("big", "f" * 64),), "distil": 0.5}
    card = dataclasses.replace(bundle.card, provenance=dataclasses.replace(TRAINED, **more))
    taught = dataclasses.replace(bundle, card=card)
    text = write_model_card(taught, evaluate(taught, greys(), "public")).read_text()
    assert (
        "learned from: the labels; what FER+'s voters say of them (0.4 of that target); "
        "the answers of big (sha256 ffffffffffff) (0.5 of the whole)\n"
    ) in text


def test_an_ensemble_tells_how_its_members_were_trained(tmp_path: Path):
    bundle = brightness_bundle(tmp_path / "b")
    member = Member("x", "0" * 64, 0.5, TRAINED)
    outer = Member("both", "1" * 64, 0.5, Ensemble("vote", (member,)))
    card = dataclasses.replace(bundle.card, provenance=Ensemble("mean", (member, outer)))
    together = dataclasses.replace(bundle, card=card)
    text = write_model_card(together, evaluate(together, greys(), "public")).read_text()
    assert (
        f"""\
- ensemble by: mean
- x, weight 0.500
  - sha256 of its model.onnx: {"0" * 64}
  - recipe: mien-s, seed 3, 7 epochs
"""
        in text
    )
    assert "  - ensemble by: vote\n  - x, weight 0.500\n    - sha256" in text
    assert "and the epochs or seeds of members were chosen on them." in text


def test_a_network_in_8_bits_tells_of_both(tmp_path: Path):
    bundle = brightness_bundle(tmp_path / "b")
    card = dataclasses.replace(bundle.card, provenance=Quantised("9" * 64, TRAINED))
    small = dataclasses.replace(bundle, card=card)
    text = write_model_card(small, evaluate(small, greys(), "public")).read_text()
    assert "- recipe: mien-s, seed 3, 7 epochs\n" in text
    assert f"- quantised from the network with sha256: {'9' * 64}\n" in text
    assert "and the epoch or the seed was chosen on them." in text


def test_a_bundle_of_unknown_origin_says_so(tmp_path: Path):
    bundle = brightness_bundle(tmp_path / "b")
    text = write_model_card(bundle, evaluate(bundle, greys(), "public")).read_text()
    assert "## Training\n\nNot known.\n" in text
