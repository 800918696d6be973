"""Averaged weights: what they are, and that they are what is validated, kept and exported; the
history and the progress bar."""

import csv
import io
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from torch.nn.functional import cross_entropy

from mien.data import open_dataset
from mien.recipes import Recipe
from mien.runs import RunFolder
from mien.train import callbacks
from mien.train.callbacks import Bar, Best, History, averaging
from mien.train.module import Fit
from mien.train.run import run

EPOCHS, STEPS = 4, 4
State = dict[str, torch.Tensor]


def averaged(recipe: Recipe, **averaging: object) -> Recipe:
    raw = recipe.model_dump()
    raw["data"]["limit"] = 64
    raw["training"] |= {"epochs": EPOCHS, "averaging": averaging}
    raw["training"]["schedule"] = {"name": "cosine", "warmup_epochs": 0}
    return Recipe.model_validate(raw)


def trained(recipe: Recipe, data: Path, out: Path) -> list[State]:
    """The network's state after each step of a run."""
    states: list[State] = []
    step = Fit.optimizer_step

    def recording(self: Fit, *args: object) -> None:
        step(self, *args)
        states.append({k: v.detach().clone() for k, v in self.model.state_dict().items()})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Fit, "optimizer_step", recording)
        run(recipe, data, out)
    assert len(states) == EPOCHS * STEPS
    return states


def kept(out: Path, which: str) -> State:
    state = torch.load(out / "checkpoints" / f"{which}.ckpt", weights_only=True)["state_dict"]
    return {k.removeprefix("model."): v for k, v in state.items() if k.startswith("model.")}


def assert_close(found: State, expected: State) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.allclose(found[name], value, rtol=1e-4, atol=1e-6), name


def history(out: Path) -> list[dict[str, float]]:
    with (out / "history.csv").open() as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def ema(drawn, tiny_recipe, tmp_path_factory) -> tuple[Path, list[State]]:
    out = tmp_path_factory.mktemp("ema") / "run"
    return out, trained(averaged(tiny_recipe, name="ema", decay=0.6), drawn, out)


def test_ema_is_the_moving_average_computed_by_hand(ema):
    out, states = ema
    average = dict(states[0])
    for step, state in enumerate(states[1:], 1):
        weight = min(0.6, (1 + step) / (10 + step))
        for name, value in state.items():
            blended = weight * average[name] + (1 - weight) * value
            average[name] = blended if value.is_floating_point() else value
    assert_close(kept(out, "last"), average)


def test_the_weights_kept_as_best_are_those_that_were_validated(ema, drawn):
    out, _ = ema
    folder = RunFolder(out)
    model, recipe = folder.network(), folder.recipe
    data = open_dataset(drawn)
    _, validation = data.for_training(recipe.data.train, recipe.data.validation, recipe.seed)
    order = torch.randperm(len(validation), generator=torch.Generator().manual_seed(recipe.seed))[
        :64
    ]
    chosen = validation.take(order.numpy())
    with torch.no_grad():
        logits = model(torch.from_numpy(folder.preprocess.standardise(chosen.images)))
    labels = torch.from_numpy(chosen.labels)
    best = max(history(out), key=lambda row: row["val_accuracy"])
    right = float((logits.argmax(1) == labels).float().mean())
    assert right == pytest.approx(best["val_accuracy"], abs=1e-5)
    assert float(cross_entropy(logits, labels)) == pytest.approx(best["val_loss"], rel=1e-3)


@pytest.fixture(scope="module")
def dark_and_bright(tmp_path_factory) -> Path:
    """Noise of two intensities: what a few steps can learn."""
    folder, rng = tmp_path_factory.mktemp("data") / "noise", np.random.default_rng(0)
    for split, images in (("train", 48), ("val", 16)):
        for label, grey in (("dark", 100), ("bright", 155)):
            (folder / split / label).mkdir(parents=True)
            for i in range(images):
                pixels = rng.normal(grey, 20, (48, 48)).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / split / label / f"{i}.png")
    return folder


def test_batchnorm_fits_the_averaged_weights(dark_and_bright, tiny_recipe, tmp_path):
    recipe = averaged(tiny_recipe, name="ema", decay=0.8).model_dump()
    recipe["data"]["limit"] = None
    recipe["training"] |= {"epochs": 12, "schedule": {"name": "constant"}}
    run(Recipe.model_validate(recipe), dark_and_bright, tmp_path / "run")
    assert history(tmp_path / "run")[-1]["val_accuracy"] > 0.95
    assert history(tmp_path / "run")[-1]["val_loss"] < 0.3


def test_without_averaging_nothing_is_averaged(tiny_recipe):
    assert averaging(tiny_recipe.training) == []


@pytest.mark.parametrize(
    ("decay", "steps", "kept_share"),
    [(0.5, 0, 0.1), (0.998, 0, 0.1), (0.998, 8, 0.5), (0.4, 8, 0.4), (0.9, 10**6, 0.9)],
)
def test_the_moving_average_keeps_more_of_itself_with_each_step(decay, steps, kept_share):
    assert callbacks.kept_share(decay, steps) == pytest.approx(kept_share)


def test_averages_move_by_their_share_and_counts_are_copied():
    averages = [torch.tensor([2.0]), torch.tensor(3), torch.zeros(1)]
    callbacks.blend(averages, [torch.zeros(1), torch.tensor(9), torch.ones(1)], 0.25)
    assert [a.item() for a in averages] == [1.5, 9, 0.25]
    callbacks.blend(averages[:1], [torch.ones(1)], 1.0)
    assert averages[0].item() == 1


def ended(lr: float = 0.1, **metrics: float) -> SimpleNamespace:
    """A trainer at the end of an epoch."""
    return SimpleNamespace(
        callback_metrics={name: torch.tensor(value) for name, value in metrics.items()},
        optimizers=[SimpleNamespace(param_groups=[{"lr": lr}, {"lr": 9.0}])],
        current_epoch=1,
        max_epochs=3,
        num_training_batches=4,
        loggers=[],
        is_global_zero=True,
    )


def measured(accuracy: float, loss: float, field: float = 0.4) -> dict[str, float]:
    trained = {"train_loss": 1.5, "train_accuracy": 0.25}
    return trained | {"val_loss": loss, "val_accuracy": accuracy, "val_field_accuracy": field}


def test_the_history_is_written_with_each_epoch_to_six_digits(tmp_path, monkeypatch):
    clock = iter([10.0, 12.3456, 20.0, 20.5])
    monkeypatch.setattr(callbacks.time, "perf_counter", lambda: next(clock))
    kept_rows = History(tmp_path / "history.csv")
    kept_rows.on_train_epoch_start()
    kept_rows.on_train_epoch_end(ended(0.12345678, other=7.0, **measured(0.5, 1234567.8)))
    lines = (tmp_path / "history.csv").read_text().splitlines()
    assert lines == [
        "epoch,lr,train_loss,train_accuracy,val_loss,val_accuracy,val_field_accuracy,seconds",
        "1,0.123457,1.5,0.25,1.23457e+06,0.5,0.4,2.35",
    ]
    again = History(tmp_path / "history.csv")
    again.load_state_dict(kept_rows.state_dict())
    again.on_train_epoch_start()
    again.on_train_epoch_end(ended(0.05, **measured(0.75, 2.0)))
    assert (tmp_path / "history.csv").read_text().splitlines() == [
        *lines,
        "2,0.05,1.5,0.25,2,0.75,0.4,0.5",
    ]
    assert len(kept_rows.rows) == 1
    later = History(tmp_path / "later.csv")
    later.follow(tmp_path / "history.csv")
    assert later.rows == again.rows


@pytest.mark.parametrize(
    ("epochs", "best"),
    [
        ([(0.5, 1.0)], 0),
        ([(0.5, 1.0), (0.6, 2.0), (0.4, 0.1)], 1),
        ([(0.5, 1.0), (0.5, 0.9), (0.5, 1.1)], 1),
        ([(0.5, 1.0), (0.5, 1.0)], 0),
        ([(0.6, 1.0, 0.4), (0.5, 1.0, 0.6), (0.7, 1.0, 0.3)], 1),
    ],
)
def test_the_best_epoch_is_the_most_accurate_in_both_framings_of_equals_that_of_least_loss(
    tmp_path, epochs, best
):
    kept_rows = History(tmp_path / "history.csv")
    checkpoint = Best(tmp_path, kept_rows)
    saved = []
    for figures in epochs:
        kept_rows.on_train_epoch_end(ended(**measured(*figures)))
        saved.append(checkpoint.check_monitor_top_k())
    assert kept_rows.best == best
    assert max(n for n, save in enumerate(saved) if save) == best


def test_the_bar_tells_epoch_loss_accuracy_and_speed(monkeypatch):
    clock = iter([10.0, 14.0, 16.0])
    monkeypatch.setattr(callbacks, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    said = io.StringIO()
    bar = Bar(Console(file=said, width=200), batch=16)
    bar.teardown()  # before there is one
    bar.on_train_start(ended())
    [task] = bar._progress.tasks
    assert (task.completed, task.total) == (4, 12)
    bar.on_train_epoch_start()
    bar.on_train_batch_end(ended(), None, {"loss": torch.tensor(0.51239)}, None, 0)
    assert (task.completed, task.fields["epoch"]) == (5, "2/3")
    assert task.fields["words"] == "loss 0.512"
    bar.on_train_epoch_end(ended(**measured(0.61239, 1.25)))
    bar.on_train_batch_end(ended(), None, {"loss": torch.tensor(0.5)}, None, 0)
    assert task.fields["words"] == "loss 0.500  validation accuracy 0.6124 field 0.4000"
    bar.teardown()
    assert bar._progress.finished or not bar._progress.live.is_started
    assert (
        "epoch   2/3  train loss 1.5000 accuracy 0.2500  validation loss 1.2500 accuracy 0.6124 "
        "field 0.4000  16 images/s" in said.getvalue()
    )
