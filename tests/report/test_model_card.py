import dataclasses
from pathlib import Path

from mien.evaluate import evaluate, record
from mien.report.model_card import write_model_card
from tests.evaluate.test_evaluation import greys
from tests.fakes import brightness_bundle

TRAINED = {
    "recipe": "mien-s",
    "start": "none",
    "seed": 3,
    "epochs": 7,
    "data": "greys",
    "train": {"split": "train", "images": 1234, "digest": "a" * 64},
    "validation": {"split": "public", "images": 40, "digest": greys().split("public").digest},
}


def test_the_card_says_what_the_bundle_is_and_how_it_was_measured(tmp_path: Path):
    bundle = brightness_bundle(tmp_path / "b")
    trained = dataclasses.replace(bundle, card=dataclasses.replace(bundle.card, training=TRAINED))
    evaluation, trained = record(evaluate(trained, greys(), "public"), trained)
    text = write_model_card(trained, evaluation).read_text(encoding="utf-8")
    for told in (
        bundle.card.digest,
        "Apache-2.0",
        "seed 3, 7 epochs",
        "random weights",
        "1,234 of train",
        "learned from: the labels\n",
        "the epoch was chosen on them",
        "| accuracy, % | 100.00 [100.00, 100.00] | 40 |",
        "| angry | 100 [100, 100] | 6 | 0 |",
        "AI Act",
    ):
        assert told in text, told


def test_the_card_names_voters_teachers_and_what_was_left_out(tmp_path: Path):
    bundle = brightness_bundle(tmp_path / "b")
    more = {"votes": 0.4, "teachers": [{"name": "big", "digest": "f" * 64}], "distil": 0.5}
    more["fold"] = [2, 5]
    card = dataclasses.replace(bundle.card, training=TRAINED | more)
    taught = dataclasses.replace(bundle, card=card)
    text = write_model_card(taught, evaluate(taught, greys(), "public")).read_text()
    assert (
        "learned from: the labels; what FER+'s voters say of them (0.4 of that target); "
        "the answers of big (sha256 ffffffffffff) (0.5 of the whole)\n"
    ) in text
    assert text.count(", without part 2 (from 0) of 5") == 1


def test_an_ensemble_tells_how_its_members_were_trained(tmp_path: Path):
    bundle = brightness_bundle(tmp_path / "b")
    member = {"name": "x", "digest": "0" * 64, "weight": 0.5, "training": TRAINED}
    inner = {"by": "vote", "members": [member]}
    outer = {"name": "both", "digest": "1" * 64, "weight": 0.5, "training": inner}
    card = dataclasses.replace(bundle.card, training={"by": "mean", "members": [member, outer]})
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
    assert "and the epochs of members were chosen on them." in text
