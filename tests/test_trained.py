"""Run folders read back. They are made by hand: no test here trains."""

import json
import shutil
from pathlib import Path

import pytest
import torch

import mien
from mien.errors import RunError
from mien.labels import FER2013
from mien.preprocess import Preprocess
from mien.recipe import Recipe
from mien.trained import Facts, count_macs, load_run
from tests.train.runs import changed, untrained


@pytest.fixture(scope="module")
def finished(tiny_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained(tiny_recipe, tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "run")


def test_the_network_comes_back_with_its_weights_and_without_dropout(finished):
    model, facts = load_run(finished)
    assert not model.training
    saved = torch.load(finished / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    assert {f"model.{name}" for name in model.state_dict()} == set(saved)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, saved[f"model.{name}"])
    assert facts.run == finished
    assert facts.labels == FER2013
    assert facts.preprocess == Preprocess(48, (0.5,), (0.5,), 48)


def test_what_is_no_weight_of_the_network_is_passed_over(copy):
    path = copy / "checkpoints" / "best.ckpt"
    saved = torch.load(path, weights_only=True)
    saved["state_dict"] |= {"weights": torch.ones(7), "mix.model.x": torch.ones(1)}
    torch.save(saved, path)
    load_run(copy)


def test_the_card_tells_of_the_run(copy, tiny_recipe, tmp_path):
    told = json.loads((copy / "data.json").read_text())
    card = Facts(copy).card(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(2304, 7)), "f")
    assert (card.name, card.model) == ("tiny", "attention")
    assert (card.paper, card.licence) == ("arXiv:1807.06521", "Apache-2.0")
    assert (card.labels, card.preprocess) == (FER2013, Preprocess(48, (0.5,), (0.5,), 48))
    assert (card.digest, card.created_by) == ("f", f"mien {mien.__version__}")
    assert (card.parameters, card.macs) == (2304 * 7 + 7, 2304 * 7)
    assert card.training == {
        "recipe": "tiny",
        "start": "none",
        "seed": 3,
        "epochs": 2,
        "data": "faces",
        "train": told["train"],
        "validation": told["validation"],
        "votes": 0,
        "teachers": [],
        "distil": 0,
    }


def test_the_card_tells_of_teachers_votes_and_a_finish(copy, tiny_recipe, tmp_path):
    changes = ["training.finish={epochs: 3, lr: 1}", "training.loss.votes=0.3"]
    changed(tiny_recipe, tmp_path, *changes, "training.distil.weight=0.7").save(
        copy / "recipe.yaml"
    )
    told = json.loads((copy / "data.json").read_text())
    teachers = [{"name": "t", "digest": "x"}]
    (copy / "data.json").write_text(json.dumps({**told, "teachers": teachers, "side_px": 40}))
    facts = Facts(copy)
    assert facts.preprocess.source_px == 40
    training = facts.card(load_run(copy)[0], "").training
    assert training["teachers"] == teachers
    assert (training["distil"], training["votes"], training["epochs"]) == (0.7, 0.3, 5)


@pytest.mark.parametrize(
    ("layer", "channels", "side", "macs"),
    [
        (torch.nn.Conv2d(1, 4, 3, padding=1, bias=False), 1, 10, 4 * 9 * 100),
        (torch.nn.Conv2d(3, 2, 1, stride=2), 3, 8, 3 * 2 * 16),
        (torch.nn.Conv2d(3, 3, 3, groups=3, padding=1), 3, 8, 3 * 9 * 64),
    ],
)
def test_multiply_accumulates_are_those_counted_by_hand(layer, channels, side, macs):
    preprocess = Preprocess(side, (0.5,) * channels, (0.5,) * channels)
    assert count_macs(layer, preprocess) == macs


def remove(name: str):
    return lambda run: (run / name).unlink()


def cut(run: Path) -> None:
    path = run / "checkpoints" / "best.ckpt"
    path.write_bytes(path.read_bytes()[:1000])


def keep(state: object):
    return lambda run: torch.save(state, run / "checkpoints" / "best.ckpt")


def other_labels(run: Path) -> None:
    told = json.loads((run / "data.json").read_text())
    (run / "data.json").write_text(json.dumps(told | {"labels": ["a", "b"]}))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            remove("recipe.yaml"),
            r"is no run folder: recipe\.yaml is missing; make one with mien tra",
        ),
        (remove("checkpoints/best.ckpt"), r"has no checkpoint yet; continue it with .*--resume"),
        (remove("data.json"), r"data\.json is missing or damaged"),
        (cut, r"best\.ckpt is damaged \(.*; train again"),
        (keep({}), r"best\.ckpt is damaged \('state_dict'\); train again"),
        (keep({"state_dict": {}}), r"holds other weights than attention has in this version"),
        (other_labels, r"holds other weights than attention has in this version"),
    ],
)
def test_a_folder_that_cannot_be_read_back_says_what_to_do(copy, spoil, message):
    spoil(copy)
    with pytest.raises(RunError, match=message) as caught:
        load_run(copy)
    assert "\n" not in str(caught.value)
