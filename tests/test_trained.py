"""A run folder read back, its card among it; what is wrong with a folder is told in test_export."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

import mien
from mien.errors import RunError
from mien.labels import FER2013
from mien.models import entry
from mien.preprocess import Preprocess
from mien.recipes import Recipe
from mien.trained import Facts, count_macs, load_run
from tests.test_export import untrained_run

VIEWED = {"split": "train", "images": 3, "digest": "a" * 64}
VALIDATED = {"split": "public", "images": 2, "digest": "b" * 64}


def told(folder: Path, training: dict[str, object], **data: object) -> Facts:
    """The facts of a run by a recipe with that `training`, and a data.json with that `data`."""
    recipe = Recipe.model_validate(
        {
            "name": "mine",
            "seed": 5,
            "model": {"name": "attention", "weights": "start.pth", "options": {"blocks": 1}},
            "input": {"size_px": 8, "mean": [0.5], "std": [0.25]},
            "data": {} if "fold" not in data else {"fold": data.pop("fold")},
            "training": {"epochs": 3, "optimizer": {"lr": 0.1}, **training},
        }
    )
    recipe.save(folder / "recipe.yaml")
    facts = {"name": "faces", "labels": ["no", "yes"], "side_px": 40}
    facts |= {"train": VIEWED, "validation": VALIDATED, **data}
    (folder / "data.json").write_text(json.dumps(facts))
    return Facts(folder)


def network() -> nn.Module:
    """A convolution of 20 weights, used 64 times, and a layer of 2 x 128 + 2."""
    return nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Flatten(), nn.Linear(128, 2))


def test_a_card_tells_what_the_run_knows(tmp_path: Path):
    card = told(tmp_path, {}).card(network(), "d" * 64)
    assert (card.name, card.model) == ("mine", "attention")
    assert (card.paper, card.licence) == (entry("attention").paper, "Apache-2.0")
    assert card.labels == ("no", "yes")
    assert card.preprocess == Preprocess(8, (0.5,), (0.25,), 40)
    assert card.digest == "d" * 64
    assert card.parameters == 20 + 258
    assert card.macs == 64 * 2 * 9 + 256
    assert card.training == {
        "recipe": "mine",
        "start": "start.pth",
        "seed": 5,
        "epochs": 3,
        "data": "faces",
        "train": VIEWED,
        "validation": VALIDATED,
        "votes": 0,
        "teachers": [],
        "distil": 0,
    }
    assert (card.temperature, card.unsure_below, card.views) == (1.0, 0.0, "plain")
    assert card.measured == ()
    assert card.created_by == f"mien {mien.__version__}"


@pytest.mark.parametrize(
    ("training", "data", "card"),
    [
        ({"loss": {"votes": 0.4}}, {}, {"votes": 0.4}),
        ({"finish": {"epochs": 2, "lr": 0.01}}, {}, {"epochs": 5}),
        ({}, {"fold": (1, 3)}, {"fold": [1, 3]}),
        (
            {"distil": {"teachers": ["mien-s"], "weight": 0.3}},
            {"teachers": [{"name": "mien-s", "digest": "e" * 64}]},
            {"distil": 0.3, "teachers": [{"name": "mien-s", "digest": "e" * 64}]},
        ),
        ({"distil": {"weight": 0.3}}, {}, {"distil": 0, "teachers": []}),
    ],
    ids=["votes", "two stages", "a fold", "a teacher", "no teacher after all"],
)
def test_a_card_tells_what_else_was_learned_from(
    tmp_path: Path, training: dict, data: dict, card: dict
):
    found = told(tmp_path, training, **data).card(network(), "d" * 64).training
    assert {key: found[key] for key in card} == card
    assert ("fold" in found) == ("fold" in data)


@pytest.mark.parametrize("channels", [1, 3])
def test_macs_are_those_of_one_face_as_the_network_sees_it(channels: int):
    seen = Preprocess(10, (0.5,) * channels, (0.5,) * channels)
    net = nn.Conv2d(channels, 5, 3, stride=2)  # 4 x 4 places of 9 x channels x 5
    assert count_macs(net, seen) == 16 * 45 * channels


def test_macs_are_counted_where_gradients_are_off():
    with torch.inference_mode():
        assert count_macs(nn.Conv2d(1, 1, 1), Preprocess(2, (0.5,), (0.5,))) == 4


def test_the_network_of_the_best_checkpoint_comes_ready_to_answer(tmp_path: Path):
    run = untrained_run(tmp_path, "attention")
    kept = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    (run / "checkpoints" / "last.ckpt").write_bytes(b"not to be read")
    model, facts = load_run(run)
    assert {f"model.{name}" for name in model.state_dict()} == set(kept)
    assert all(torch.equal(t, kept[f"model.{name}"]) for name, t in model.state_dict().items())
    assert not any(module.training for module in model.modules())
    assert facts.labels == FER2013
    assert facts.run == run
    assert facts.preprocess == Preprocess(32, (0.5,), (0.25,), 48)


def test_what_a_checkpoint_holds_beside_the_network_is_left(tmp_path: Path):
    run = untrained_run(tmp_path, "attention")
    place = run / "checkpoints" / "best.ckpt"
    checkpoint = torch.load(place, weights_only=True)
    checkpoint["state_dict"]["loss.weight"] = torch.zeros(7)
    torch.save(checkpoint, place)
    load_run(run)


def spoil_weights(place: Path) -> None:
    checkpoint = torch.load(place, weights_only=True)
    checkpoint["state_dict"]["model.features.other"] = torch.zeros(1)
    torch.save(checkpoint, place)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            spoil_weights,
            r"best\.ckpt holds other weights than attention has in this version of mien "
            r"\(.*features\.other.*\); use the version that trained it, or train again",
        ),
        (
            lambda place: place.write_bytes(place.read_bytes()[:1000]),
            r"best\.ckpt is damaged \(.+\); train again",
        ),
        (lambda place: place.write_bytes(b""), r"best\.ckpt is damaged \(.*\); train again"),
        (lambda place: place.write_text("text"), r"best\.ckpt is damaged \(.+\); train again"),
        (lambda place: place.write_text("other"), r"best\.ckpt is damaged \(.+\); train again"),
        (lambda place: torch.save([1, 2], place), r"best\.ckpt is damaged \(.+\); train again"),
        (lambda place: torch.save({"epoch": 1}, place), r"best\.ckpt is damaged \(.*state_dict"),
    ],
    ids=["another network's", "half a file", "empty", "text", "other text", "a list", "no weights"],
)
def test_a_checkpoint_that_cannot_be_used_is_told(tmp_path: Path, spoil, message: str):
    run = untrained_run(tmp_path, "attention")
    spoil(run / "checkpoints" / "best.ckpt")
    with pytest.raises(RunError, match=message) as caught:
        load_run(run)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ("recipe.yaml", r"is no run folder: recipe\.yaml is missing; make one with mien train"),
        ("checkpoints/best.ckpt", "has no checkpoint yet; continue it with mien train --resume"),
    ],
)
def test_a_folder_that_is_no_run_says_what_to_do(tmp_path: Path, gone: str, message: str):
    run = untrained_run(tmp_path, "attention")
    (run / gone).unlink()
    with pytest.raises(RunError, match=message):
        load_run(run)
