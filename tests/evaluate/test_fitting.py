import dataclasses
from pathlib import Path

import numpy as np
import pytest

from mien.bundle import open_bundle
from mien.data import Dataset
from mien.errors import InputError
from mien.evaluate import calibrate, evaluate
from mien.evaluate.fitting import tempered
from mien.labels import FER2013
from tests.evaluate.test_evaluation import greys
from tests.fakes import an_evaluation, brightness_bundle


def test_the_card_gets_what_was_found(tmp_path: Path):
    bundle = brightness_bundle(tmp_path / "b")
    data = greys(n=140)
    found, told = calibrate(bundle, data, "public", views="flip")
    assert found.temperature < 1, "a network that is always right may be surer"
    card = open_bundle(bundle.folder).card
    assert card == told.card
    assert (card.views, card.temperature) == ("flip", found.temperature)
    assert card.unsure_below == found.unsure_below > 0
    (measured,) = card.measured
    assert dataclasses.asdict(measured) == {
        "data": "greys",
        "split": "public",
        "images": 140,
        "digest": data.split("public").digest,
        "accuracy": 1.0,
        "low": 1.0,
        "high": 1.0,
        "field_accuracy": 1.0,
        "field_low": 1.0,
        "field_high": 1.0,
    }
    again = evaluate(told, data, "public")
    assert np.allclose(again.probabilities, found.probabilities)
    assert again.uncalibrated().loss.value > again.metrics().loss.value


def test_a_later_measure_takes_the_place_of_an_older_one_of_the_same_images(tmp_path: Path):
    bundle = brightness_bundle(tmp_path / "b")
    for n, name in ((7, "few"), (14, "more"), (7, "few again")):
        _, bundle = calibrate(bundle, dataclasses.replace(greys(n=n), name=name), "public")
    told = [(entry.data, entry.images) for entry in open_bundle(bundle.folder).card.measured]
    assert told == [("more", 14), ("few again", 7)]


def test_a_temperature_is_fitted_on_top_of_the_one_there_is():
    """Always right at 0.6 of 2, and a quarter wrong: whatever was applied, the same is best."""
    truth = np.repeat([0, 1], [75, 25])
    plain = np.tile([0.6, 0.4], (100, 1))
    once = tempered(an_evaluation(truth, plain))
    assert once.probabilities[:, 0] == pytest.approx(0.75, abs=1e-3)
    assert once.temperature == pytest.approx(np.log(1.5) / np.log(3), abs=1e-4)
    assert once.temperature == round(once.temperature, 4)
    assert once.untempered == pytest.approx(plain)
    warm = plain**0.5 / (plain**0.5).sum(1, keepdims=True)
    twice = tempered(an_evaluation(truth, warm, temperature=2.0))
    assert twice.temperature == pytest.approx(once.temperature, abs=2e-4)
    assert twice.probabilities == pytest.approx(once.probabilities, abs=1e-4)


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ("private", "private is a test: fit the temperature on public or val"),
        ("test", "test is a test"),
        ("train", "surer of what it was trained on: fit the temperature on public or val"),
    ],
)
def test_nothing_is_fitted_on_a_test_or_on_training_images(tmp_path, split: str, message: str):
    public = greys().split("public")
    data = Dataset("greys", FER2013, {split: dataclasses.replace(public, name=split)})
    bundle = brightness_bundle(tmp_path / "b")
    with pytest.raises(InputError, match=message):
        calibrate(bundle, data, split)
    assert open_bundle(bundle.folder).card == bundle.card


def test_a_shipped_bundle_is_not_changed():
    bundle = open_bundle("mien-s")
    with pytest.raises(InputError, match=r"mien-s is shipped with mien .*copy .*give the copy"):
        calibrate(bundle, greys(), "public")


@pytest.mark.parametrize(("images", "fitted"), [(99, False), (100, True)])
def test_a_hundred_images_set_a_temperature_and_fewer_none(
    tmp_path: Path, images: int, fitted: bool
):
    bundle = brightness_bundle(tmp_path / "b")
    found, told = calibrate(bundle, greys(n=images), "public")
    assert (found.temperature != 1) == fitted
    assert told.card.temperature == found.temperature
    assert told.card.measured[0].images == images
    assert told.card.unsure_below == found.unsure_below > 0
