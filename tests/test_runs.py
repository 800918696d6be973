"""A run folder read back, its card among it; what is wrong with a folder is told in test_export."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import mien
from mien.errors import RunError
from mien.labels import FER2013
from mien.models import entry
from mien.preprocess import Preprocess
from mien.provenance import Images, Source, Trained
from mien.recipes import Recipe
from mien.runs import History, RunData, RunFolder, count_macs
from tests.test_export import untrained_run

VIEWED = {"split": "train", "images": 3, "digest": "a" * 64}
VALIDATED = {"split": "public", "images": 2, "digest": "b" * 64}


def noted(folder: Path, training: dict[str, object], **data: object) -> RunFolder:
    """A run by a recipe with that `training`, and a data.json with that `data`."""
    recipe = Recipe.model_validate(
        {
            "name": "mine",
            "seed": 5,
            "model": {"name": "attention", "weights": "start.pth", "options": {"blocks": 1}},
            "input": {"size_px": 8, "mean": [0.5], "std": [0.25]},
            "data": {"votes": data.pop("votes", None)},
            "training": {"epochs": 3, "optimizer": {"lr": 0.1}, **training},
        }
    )
    recipe.save(folder / "recipe.yaml")
    facts = {"name": "faces", "labels": ["no", "yes"], "side_px": 40}
    facts |= {"train": VIEWED, "validation": VALIDATED, **data}
    (folder / "data.json").write_text(json.dumps(facts))
    return RunFolder(folder)


def network() -> nn.Module:
    """A convolution of 20 weights, used 64 times, and a layer of 2 x 128 + 2."""
    return nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Flatten(), nn.Linear(128, 2))


def test_a_card_tells_what_the_run_knows(tmp_path: Path):
    card = noted(tmp_path, {}).card(network(), "d" * 64)
    assert (card.name, card.model) == ("mine", "attention")
    assert (card.paper, card.licence) == (entry("attention").paper, "Apache-2.0")
    assert card.labels == ("no", "yes")
    assert card.preprocess == Preprocess(8, (0.5,), (0.25,), 40)
    assert card.digest == "d" * 64
    assert card.parameters == 20 + 258
    assert card.macs == 64 * 2 * 9 + 256
    assert card.provenance == Trained(
        recipe="mine",
        seed=5,
        epochs=3,
        data="faces",
        train=Images(**VIEWED),
        validation=Images(**VALIDATED),
        start="start.pth",
    )
    assert (card.temperature, card.unsure_below, card.views) == (1.0, 0.0, "plain")
    assert card.measured == ()
    assert card.created_by == f"mien {mien.__version__}"


@pytest.mark.parametrize(
    ("training", "data", "card"),
    [
        ({"loss": {"votes": 0.4}}, {"votes": "votes.csv"}, {"votes": 0.4}),
        ({"loss": {"votes": 0.4}}, {}, {"votes": 0}),
        ({"finish": {"epochs": 2, "lr": 0.01}}, {}, {"epochs": 5}),
        (
            {"distil": {"teachers": ["mien-s"], "weight": 0.3}},
            {"teachers": [{"name": "mien-s", "digest": "e" * 64}]},
            {"distil": 0.3, "teachers": (Source("mien-s", "e" * 64),)},
        ),
        ({"distil": {"weight": 0.3}}, {}, {"distil": 0, "teachers": ()}),
    ],
    ids=["votes", "no votes", "two stages", "a teacher", "no teacher after all"],
)
def test_a_card_tells_what_else_was_learned_from(
    tmp_path: Path, training: dict, data: dict, card: dict
):
    found = noted(tmp_path, training, **data).card(network(), "d" * 64).provenance
    assert {key: getattr(found, key) for key in card} == card


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
    folder = RunFolder(run)
    model = folder.network()
    assert {f"model.{name}" for name in model.state_dict()} == set(kept)
    assert all(torch.equal(t, kept[f"model.{name}"]) for name, t in model.state_dict().items())
    assert not any(module.training for module in model.modules())
    assert folder.data.labels == FER2013
    assert folder.preprocess == Preprocess(32, (0.5,), (0.25,), 48)


def test_what_a_checkpoint_holds_beside_the_network_is_left(tmp_path: Path):
    run = untrained_run(tmp_path, "attention")
    place = run / "checkpoints" / "best.ckpt"
    checkpoint = torch.load(place, weights_only=True)
    checkpoint["state_dict"]["loss.weight"] = torch.zeros(7)
    torch.save(checkpoint, place)
    RunFolder(run).network()


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
def test_a_checkpoint_that_cannot_be_used_is_noted(tmp_path: Path, spoil, message: str):
    run = untrained_run(tmp_path, "attention")
    spoil(run / "checkpoints" / "best.ckpt")
    with pytest.raises(RunError, match=message) as caught:
        RunFolder(run).network()
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
        RunFolder(run).network()


DATA = RunData(
    name="faces",
    labels=("no", "yes"),
    side_px=40,
    train=Images("train", 3, "a" * 64),
    validation=Images("public", 2, "b" * 64),
    teachers=(Source("mien-s", "c" * 64),),
    source="/data/faces.zip",
)


def test_what_a_run_notes_is_read_back(tmp_path: Path):
    run = RunFolder(tmp_path)
    assert not run.has_data
    run.write_data(DATA)
    run.write_environment({"mien": "0.1", "threads": 2, "commit": None})
    run.write_done(3)
    assert run.has_data and run.is_done
    assert run.data == DATA
    assert run.environment == {"mien": "0.1", "threads": 2, "commit": None}


@pytest.mark.parametrize(("source", "there"), [("faces", True), ("gone", False), ("", False)])
def test_the_data_of_a_run_is_found_where_it_was(tmp_path: Path, source: str, there: bool):
    run, place = RunFolder(tmp_path / "run"), tmp_path / "faces"
    place.mkdir()
    assert run.data_source is None
    run.write_data(replace(DATA, source=str(tmp_path / source) if source else ""))
    assert run.data_source == (place if there else None)


def test_data_that_is_not_whole_is_told(tmp_path: Path):
    (tmp_path / "data.json").write_text('{"name": "faces"}')
    with pytest.raises(RunError, match=r"data\.json is not whole .*train again"):
        _ = RunFolder(tmp_path).data


def written(folder: Path, text: str) -> RunFolder:
    folder.mkdir(exist_ok=True)
    (folder / "history.csv").write_text(text)
    return RunFolder(folder)


def test_a_history_is_read_back(tmp_path: Path):
    text = "epoch,val_loss,val_accuracy,seconds\n1,1.5,0.4,90\n2,1.25,0.5,10\n3,1.0,0.5,12\n"
    found = written(tmp_path, text).history
    assert found.epochs == [1, 2, 3]
    assert found["val_loss"] == [1.5, 1.25, 1.0]
    assert found.best == 2, "of equal accuracies, that of the least loss"
    assert found.seconds == 112
    assert found.seconds_per_epoch == 12, "one disturbed epoch does not count"


@pytest.mark.parametrize(
    ("accuracies", "losses", "best"),
    [
        ([0.5, 0.6, 0.4], [1, 2, 0.5], 1),
        ([0.6, 0.6, 0.6], [1, 0.5, 0.5], 1),
        ([0.7, 0.6, 0.6], [2, 0.5, 0.5], 0),
    ],
)
def test_the_epoch_that_was_kept(accuracies: list[float], losses: list[float], best: int):
    assert History({"val_accuracy": accuracies, "val_loss": losses}).best == best


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch\n", "is not a whole history"),
        ("", "is not a whole history"),
        ("epoch\nx\n", "is not a whole history .*; train again"),
        ("epoch,lr\n1\n", "is not a whole history"),
    ],
)
def test_a_history_that_is_none(tmp_path: Path, text: str, message: str):
    with pytest.raises(RunError, match=message):
        _ = written(tmp_path, text).history
    with pytest.raises(RunError, match=r"has no history.csv; train it with mien train"):
        _ = RunFolder(tmp_path / "none").history


FIRST = "epoch,val_loss,val_accuracy,seconds\n1,1.5,0.4,90\n2,1.25,0.5,10\n"


@pytest.mark.parametrize(
    "second",
    [FIRST + "3,1.0,0.6,8\n", FIRST.splitlines()[0] + "\n1,1.0,0.6,8\n"],
    ids=["counts on", "by itself"],
)
def test_a_history_of_two_stages_is_one(tmp_path: Path, second: str):
    run = written(tmp_path, second)
    written(run.first.path, FIRST)
    assert run.history.epochs == [1, 2, 3]
    assert run.history["val_accuracy"] == [0.4, 0.5, 0.6]
    assert run.history.seconds == 108


def test_while_the_first_stage_runs_the_history_is_its(tmp_path: Path):
    run = RunFolder(tmp_path)
    assert not run.has_history
    written(run.first.path, FIRST)
    assert run.has_history
    assert run.history.epochs == [1, 2]
