import json
from pathlib import Path

import pytest

from mien.card import load_card
from mien.errors import BundleError
from tests.fakes import brightness_bundle


def test_a_card_survives_the_disk(tmp_path: Path):
    bundle = brightness_bundle(tmp_path / "b")
    bundle.card.save(tmp_path / "card.json")
    assert load_card(tmp_path / "card.json") == bundle.card


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": ["angry"]}, "two distinct labels"),
        ({"labels": ["angry", "angry"]}, "two distinct labels"),
        ({"temperature": 0}, "temperature above 0"),
        ({"format": 99}, "update mien"),
        ({"colour": "red"}, "colour"),
        ({"preprocess": {"size_px": 8}}, "not a valid card"),
        ({"preprocess": {"size_px": 0, "mean": [0], "std": [1], "source_px": 8}}, "at least 1 px"),
    ],
)
def test_a_wrong_card_is_refused_with_its_path(tmp_path: Path, change: dict, message: str):
    path = brightness_bundle(tmp_path / "b").folder / "card.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(BundleError, match=message) as caught:
        load_card(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7"])
def test_a_card_that_is_no_card(tmp_path: Path, text: str):
    (tmp_path / "card.json").write_text(text)
    with pytest.raises(BundleError, match="not a valid card"):
        load_card(tmp_path / "card.json")
