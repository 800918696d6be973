from pathlib import Path

import numpy as np
import pytest

from mien.bundle import Bundle, Classifier, open_bundle
from mien.card import load_card
from mien.data import Dataset, Split
from mien.demo import PORTRAIT
from mien.ensemble import RULES, combine, fit_weights, weigh
from mien.errors import BundleError
from mien.labels import FER2013
from mien.quantize import quantize
from mien.recognizer import Recognizer
from tests.fakes import brightness_bundle

FACES = np.random.default_rng(0).integers(0, 256, (40, 48, 48)).astype(np.uint8)


@pytest.fixture(scope="module")
def members() -> list[Bundle]:
    return [open_bundle("mien-s"), open_bundle("mien-m-int8")]


def answers(bundles: list[Bundle]) -> np.ndarray:
    return np.stack([Classifier(b, views="plain").probabilities(FACES) for b in bundles])


def test_the_mean_is_that_of_the_members(members, tmp_path: Path):
    whole = combine(members, tmp_path / "both")
    assert np.allclose(Classifier(whole).probabilities(FACES), answers(members).mean(0), atol=1e-5)
    assert whole.card.parameters == sum(m.card.parameters for m in members)
    told = whole.card.training["members"]
    assert [m["name"] for m in told] == ["mien-s", "mien-m-int8"]
    assert [m["training"] for m in told] == [m.card.training for m in members]
    assert load_card(whole.folder / "card.json").name == "both"


@pytest.mark.parametrize("by", RULES)
def test_an_ensemble_goes_into_8_bits_in_silence(members, tmp_path: Path, capfd, by: str):
    whole = combine(members, tmp_path / "both", by=by, weights=np.array([0.7, 0.3]))
    small = quantize(whole, FACES, tmp_path / "small")
    assert capfd.readouterr().err == "", "ONNX Runtime warns of what the graph does not use"
    ours, theirs = (Classifier(bundle).probabilities(FACES) for bundle in (small, whole))
    assert np.abs(ours - theirs).mean() < 0.1


def test_members_in_8_bits_are_combined_as_any_others(tmp_path: Path):
    members = [open_bundle("mien-s-int8"), open_bundle("mien-s")]
    both = combine(members, tmp_path / "both")
    assert np.allclose(Classifier(both).probabilities(FACES), answers(members).mean(0), atol=1e-5)


def test_the_ensemble_of_the_repository_holds_the_weights_of_the_package():
    whole = open_bundle(Path(__file__).parents[1] / "bundles" / "ensemble")
    digests = {m["name"]: m["digest"] for m in whole.card.training["members"]}
    assert digests["mien-s"] == open_bundle("mien-s").card.digest
    (reading,) = Recognizer(whole.folder, detector="haar").recognize(PORTRAIT)
    assert reading.label == "happy"


def test_weights_count(members, tmp_path: Path):
    weights = np.array([3.0, 1.0])
    whole = combine(members, tmp_path / "both", by="weighted", weights=weights)
    expected = np.average(answers(members), axis=0, weights=weights)
    assert np.allclose(Classifier(whole).probabilities(FACES), expected, atol=1e-5)


def test_the_majority_decides_and_the_mean_breaks_ties(members, tmp_path: Path):
    three = [*members, members[0]]
    voted = Classifier(combine(three, tmp_path / "vote", by="vote")).probabilities(FACES)
    assert np.allclose(voted.sum(1), 1, atol=1e-5)
    one, other = answers(members)
    assert (one.argmax(1) != other.argmax(1)).any(), "the members never differ: nothing is tested"
    assert (voted.argmax(1) == one.argmax(1)).all()
    tied = Classifier(combine(members, tmp_path / "tie", by="vote")).probabilities(FACES)
    both = np.stack([one.argmax(1), other.argmax(1)])
    mean = (one + other) / 2
    rows = np.arange(len(FACES))
    better = np.where(mean[rows, both[0]] >= mean[rows, both[1]], *both)
    assert (tied.argmax(1) == better).all()


def test_members_of_other_sizes_and_channels_see_the_same_crop(tmp_path: Path):
    import dataclasses

    small, large = (brightness_bundle(tmp_path / str(s), size_px=s) for s in (8, 16))
    coloured = dataclasses.replace(
        large.card, preprocess=dataclasses.replace(large.card.preprocess, mean=(0.2,), std=(0.5,))
    )
    coloured.save(large.folder / "card.json")
    both = [small, open_bundle(large.folder)]
    whole = Classifier(combine(both, tmp_path / "both"))
    grey = np.full((1, 8, 8), 90, np.uint8)
    expected = np.mean([Classifier(b).probabilities(grey) for b in both], axis=0)
    assert np.allclose(whole.probabilities(grey), expected, atol=1e-5)


def test_what_cannot_be_combined(members, tmp_path: Path):
    with pytest.raises(BundleError, match="at least two"):
        combine(members[:1], tmp_path / "x")
    with pytest.raises(BundleError, match="mean, weighted, vote, got 'max'"):
        combine(members, tmp_path / "x", by="max")
    with pytest.raises(BundleError, match="needs weights"):
        combine(members, tmp_path / "x", by="weighted")
    other = brightness_bundle(tmp_path / "two", ("angry", "happy"))
    with pytest.raises(BundleError, match="different labels"):
        combine([members[0], other], tmp_path / "x")
    coarse = brightness_bundle(tmp_path / "coarse")
    with pytest.raises(BundleError, match="different resolutions"):
        combine([members[0], coarse], tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_weights_find_the_better_member():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 500)
    truth = np.eye(3)[labels]
    good, bad = 0.8 * truth + 0.2 / 3, rng.dirichlet(np.ones(3), 500)
    weights = fit_weights([good, bad], labels)
    assert weights.sum() == pytest.approx(1)
    assert weights[0] > 0.95
    # No other mixture on a grid has less loss.
    losses = [
        -np.log((w * good + (1 - w) * bad)[np.arange(500), labels]).mean()
        for w in (*np.linspace(0.01, 0.99, 99), weights[0])
    ]
    assert losses[-1] <= min(losses) + 1e-6


def test_weights_are_never_fitted_on_a_test(members):
    split = Split("private", FACES, np.zeros(40, np.int64), np.array([str(i) for i in range(40)]))
    with pytest.raises(BundleError, match="private is a test"):
        weigh(members, Dataset("d", FER2013, {"private": split}), "private")
