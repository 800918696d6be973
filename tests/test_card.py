import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from mien.card import Card, Measured, load_card
from mien.errors import BundleError
from mien.preprocess import Preprocess
from mien.provenance import Ensemble, Member, Quantised, Source
from tests.fakes import TRAINED, brightness_bundle

NAN, INF = float("nan"), float("inf")
MEASURED = Measured("fer2013.zip", "public", 3589, "d" * 64, 0.7, 0.68, 0.72)
TAUGHT = dataclasses.replace(TRAINED, votes=0.4, teachers=(Source("big", "e" * 64),))
CARD = Card(
    name="mine",
    model="attention",
    paper="arXiv:1",
    licence="MIT",
    labels=("angry", "happy"),
    preprocess=Preprocess(64, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 32),
    digest="a" * 64,
    parameters=7,
    macs=8,
    provenance=Ensemble("mean", (Member("one", "c" * 64, 0.5, TAUGHT),)),
    temperature=1.25,
    views="flip",
    unsure_below=0.456,
    measured=(MEASURED, dataclasses.replace(MEASURED, split="private")),
    created_by="mien 9",
)


def without(*names: str) -> dict[str, Any]:
    """What a card of an older mien holds: not these."""
    raw = dataclasses.asdict(CARD)
    return {name: value for name, value in raw.items() if name not in names}


def written(folder: Path, raw: object) -> Path:
    path = folder / "card.json"
    path.write_text(json.dumps(raw))
    return path


def test_a_card_survives_the_disk(tmp_path: Path):
    CARD.save(tmp_path / "card.json")
    assert load_card(tmp_path / "card.json") == CARD
    raw = json.loads((tmp_path / "card.json").read_text())
    assert list(raw) == [field.name for field in dataclasses.fields(Card)]
    assert (raw["preprocess"]["source_px"], raw["measured"][1]["split"]) == (32, "private")
    assert raw["format"] == 2


def test_what_a_card_leaves_out_changes_nothing(tmp_path: Path):
    left_out = ("temperature", "views", "unsure_below", "created_by", "format")
    card = load_card(written(tmp_path, without(*left_out)))
    assert (card.temperature, card.views, card.unsure_below) == (1.0, "plain", 0.0)
    assert (card.created_by, card.format) == ("", 2)
    raw = without()
    del raw["preprocess"]["source_px"]
    assert load_card(written(tmp_path, raw)).preprocess.source_px == 48


OF_0_1 = {
    "recipe": "mien-s",
    "start": "none",
    "seed": 3,
    "epochs": 7,
    "data": "greys",
    "train": {"split": "train", "images": 1234, "digest": "a" * 64},
    "validation": {"split": "public", "images": 40, "digest": "b" * 64},
    "votes": 0.4,
    "teachers": [{"name": "big", "digest": "e" * 64}],
    "distil": 0,
}
MEMBER = {"name": "one", "digest": "c" * 64, "weight": 0.5, "training": OF_0_1}


@pytest.mark.parametrize(
    ("training", "provenance"),
    [
        (OF_0_1, TAUGHT),
        (OF_0_1 | {"fold": [1, 3]}, TAUGHT),
        (OF_0_1 | {"quantized_from": "f" * 64}, Quantised("f" * 64, TAUGHT)),
        ({"by": "mean", "members": [MEMBER]}, CARD.provenance),
        (
            {"by": "mean", "members": [MEMBER], "quantized_from": "f" * 64},
            Quantised("f" * 64, CARD.provenance),
        ),
        ({}, None),
        ({"recipe": "r"}, None),
    ],
    ids=["trained", "fold", "8 bits", "ensemble", "ensemble in 8 bits", "nothing", "too little"],
)
def test_cards_of_release_0_1_are_read(tmp_path: Path, training: dict, provenance: object):
    raw = without("provenance") | {"training": training, "format": 1}
    card = load_card(written(tmp_path, raw))
    assert card == dataclasses.replace(CARD, provenance=provenance)
    card.save(tmp_path / "card.json")
    assert load_card(tmp_path / "card.json") == card


@pytest.mark.parametrize("name", ["temperature", "unsure_below", "format"])
@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_a_number_without_a_value_is_refused(tmp_path: Path, name: str, value: float):
    with pytest.raises(BundleError, match=rf"expected finite numbers, got -?\w+ in card\.{name}"):
        load_card(written(tmp_path, without() | {name: value}))
    with pytest.raises(BundleError, match="expected finite numbers"):
        dataclasses.replace(CARD, **{name: value})


@pytest.mark.parametrize("value", [NAN, INF])
@pytest.mark.parametrize(
    ("place", "change"),
    [
        (
            r"card\.provenance\.members\[0\]\.weight",
            lambda raw, v: raw["provenance"]["members"][0].update(weight=v),
        ),
        (
            r"card\.provenance\.members\[0\]\.provenance\.votes",
            lambda raw, v: raw["provenance"]["members"][0]["provenance"].update(votes=v),
        ),
        (r"card\.measured\[1\]\.low", lambda raw, v: raw["measured"][1].update(low=v)),
        (r"card\.measured\[0\]\.accuracy", lambda raw, v: raw["measured"][0].update(accuracy=v)),
        ("finite means and stds", lambda raw, v: raw["preprocess"].update(mean=[v, 0.0, 0.0])),
        ("finite means and stds", lambda raw, v: raw["preprocess"].update(std=[1.0, 1.0, v])),
    ],
)
def test_so_it_is_anywhere_in_a_card(tmp_path: Path, place: str, change: Any, value: float):
    raw = json.loads(json.dumps(without()))
    change(raw, value)
    with pytest.raises(BundleError, match=place):
        load_card(written(tmp_path, raw))


def test_a_number_too_large_for_a_float_is_refused(tmp_path: Path):
    text = json.dumps(without()).replace('"temperature": 1.25', '"temperature": 1e999')
    (tmp_path / "card.json").write_text(text)
    with pytest.raises(BundleError, match=r"got inf in card\.temperature"):
        load_card(tmp_path / "card.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": ["angry"]}, r"two distinct labels, got \('angry',\)"),
        ({"labels": ["angry", "angry"]}, "two distinct labels"),
        ({"labels": ["angry", "happy", "angry"]}, "two distinct labels"),
        ({"temperature": 0}, "temperature above 0, got 0"),
        ({"temperature": -1}, "temperature above 0, got -1"),
        ({"temperature": "warm"}, "not a valid card"),
        ({"unsure_below": -0.01}, r"unsure_below from 0 to 1, got -0\.01"),
        ({"unsure_below": 1.01}, r"unsure_below from 0 to 1, got 1\.01"),
        ({"views": "mirror"}, "views among plain, flip, ten-crop, got 'mirror'"),
        ({"format": 99}, "card format 99 is not 2; update mien"),
        ({"format": 0}, "card format 0 is not 2; update mien"),
        ({"format": 3}, "card format 3 is not 2; update mien"),
        ({"colour": "red"}, "colour"),
        ({"provenance": {"kind": "stolen"}}, "unknown kind 'stolen'"),
        ({"provenance": {"kind": "trained", "recipe": "r"}}, "not a valid card"),
        ({"provenance": {"kind": "ensemble", "by": "mean", "members": [{}]}}, "not a valid card"),
        ({"preprocess": {"size_px": 8}}, "not a valid card: .*'mean'.*; export it again"),
        ({"preprocess": {"size_px": 0, "mean": [0], "std": [1], "source_px": 8}}, "at least 1 px"),
        ({"measured": [{"data": "x"}]}, "not a valid card"),
        ({"measured": None}, "not a valid card"),
    ],
)
def test_a_wrong_card_is_refused_with_its_path(tmp_path: Path, change: dict, message: str):
    path = written(tmp_path, without() | change)
    with pytest.raises(BundleError, match=message) as caught:
        load_card(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 1e-3},
        {"temperature": 100},
        {"unsure_below": 0},
        {"unsure_below": 1},
        {"labels": ["a", "b"]},
        {"measured": []},
    ],
)
def test_the_edges_of_what_a_card_may_say(tmp_path: Path, change: dict):
    card = load_card(written(tmp_path, without() | change))
    (name, value) = next(iter(change.items()))
    assert getattr(card, name) == (tuple(value) if isinstance(value, list) else value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", "{}"])
def test_a_card_that_is_no_card(tmp_path: Path, text: str):
    (tmp_path / "card.json").write_text(text)
    with pytest.raises(BundleError, match=r"not a valid card: .*; export it again"):
        load_card(tmp_path / "card.json")


def test_a_folder_without_a_card_is_named(tmp_path: Path):
    with pytest.raises(BundleError, match=r"is no bundle: card\.json is missing") as caught:
        load_card(tmp_path / "card.json")
    assert str(tmp_path) in str(caught.value)


def test_a_card_does_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        CARD.temperature = 2.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        CARD.measured[0].accuracy = 1.0


def test_a_bundle_with_a_wrong_card_does_not_open(tmp_path: Path):
    from mien.bundle import open_bundle

    bundle = brightness_bundle(tmp_path / "b")
    raw = json.loads((bundle.folder / "card.json").read_text())
    written(bundle.folder, raw | {"temperature": NAN})
    with pytest.raises(BundleError, match=r"got nan in card\.temperature"):
        open_bundle(bundle.folder)
