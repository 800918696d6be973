"""Runs that are killed, interrupted, moved or out of disk go on as if nothing had been."""

import json
import math
import signal
import subprocess
import sys

import pytest
import torch

from mien.runs import RunFolder
from mien.train.module import Fit
from mien.train.run import run
from tests.train.runs import changed, history, interrupt, largest_difference, results

AUGMENTED = ["augment.rotation_deg=10", "augment.flip=true", "augment.erase=0.2"]
KILLED = [
    *AUGMENTED,
    "training.epochs=3",
    "training.schedule={name: cosine, warmup_epochs: 0.5}",
    "training.loss={class_weights: balanced, label_smoothing: 0.1, focal: 1}",
    "training.sampling=balanced",
]
CHILD = """
import os, resource, signal, sys
from pathlib import Path

data, recipe_file, full, killed = map(Path, sys.argv[1:])

from mien.recipes import load_recipe
from mien.train.callbacks import WholeCheckpoints
from mien.runs import RunFolder
from mien.train.module import Fit
from mien.train.run import run

recipe = load_recipe(recipe_file)
save = WholeCheckpoints.save_checkpoint
limits = resource.getrlimit(resource.RLIMIT_FSIZE)

def save_on_a_full_disk(self, checkpoint, path, storage_options=None):
    if checkpoint["epoch"] == 1:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    save(self, checkpoint, path, storage_options)

WholeCheckpoints.save_checkpoint = save_on_a_full_disk
try:
    run(recipe, data, full)
except OSError as error:
    print(type(error).__name__, flush=True)
WholeCheckpoints.save_checkpoint = save
resource.setrlimit(resource.RLIMIT_FSIZE, limits)

step = Fit.training_step

def step_until_the_second_epoch(self, batch, index):
    if self.current_epoch == 1 and index == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, batch, index)

Fit.training_step = step_until_the_second_epoch
run(recipe, data, killed)
"""


@pytest.fixture(scope="module")
def broken(drawn, tiny_recipe, tmp_path_factory):
    """A run on a full disk and a run that was killed; with its recipe and what the child said."""
    pytest.importorskip("resource")
    folder = tmp_path_factory.mktemp("broken")
    recipe = changed(tiny_recipe, folder, *KILLED)
    recipe.save(folder / "recipe.yaml")
    places = [drawn, folder / "recipe.yaml", folder / "full", folder / "killed"]
    command = [sys.executable, "-c", CHILD, *map(str, places)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert answer.returncode == -signal.SIGKILL, answer.stderr[-2000:]
    return folder, recipe, answer.stdout


def test_a_killed_run_resumes_to_the_weights_of_an_unbroken_one(broken, drawn, tmp_path):
    folder, recipe, _ = broken
    assert len(history(folder / "killed")) == 1
    assert not (folder / "killed" / "done.json").exists()
    run(recipe, drawn, folder / "killed", resume=True)
    unbroken = run(recipe, drawn, tmp_path / "unbroken")
    difference = largest_difference(unbroken, folder / "killed")
    assert difference < 1e-5  # 0 on the machine this was written on
    assert results(folder / "killed") == results(unbroken)


def test_a_full_disk_is_told_and_leaves_the_last_whole_checkpoint(broken):
    folder, _, said = broken
    assert "FileError" in said
    checkpoints = folder / "full" / "checkpoints"
    assert {p.name for p in checkpoints.iterdir()} == {"best.ckpt", "last.ckpt"}
    for path in checkpoints.iterdir():
        assert torch.load(path, weights_only=False)["epoch"] == 0
    assert not (folder / "full" / "done.json").exists()


def test_plateau_survives_an_interruption(drawn, tiny_recipe, tmp_path, monkeypatch):
    recipe = changed(
        tiny_recipe,
        tmp_path,
        "training.epochs=4",
        "training.optimizer.lr=1.5",
        "training.schedule={name: plateau, patience: 1, factor: 0.5}",
    )
    unbroken = run(recipe, drawn, tmp_path / "unbroken")
    with monkeypatch.context() as patch:
        interrupt(patch, 2, RuntimeError("power cut"))
        with pytest.raises(RuntimeError, match="power cut"):
            run(recipe, drawn, tmp_path / "broken")
    run(recipe, drawn, tmp_path / "broken", resume=True)
    assert results(tmp_path / "broken") == results(unbroken)
    rates = [float(row["lr"]) for row in results(unbroken)]
    losses = [float(row["val_loss"]) for row in results(unbroken)]
    expected, least = [1.5], math.inf
    for loss in losses[:-1]:  # with a patience of 1 each epoch without a fall halves the rate
        expected.append(expected[-1] * (1 if loss < least else 0.5))
        least = min(least, loss)
    assert rates == pytest.approx(expected)
    assert len(set(rates)) > 1


def test_a_run_stops_early_and_its_resume_does_not_go_on(drawn, tiny_recipe, tmp_path):
    recipe = changed(
        tiny_recipe,
        tmp_path,
        "training.epochs=30",
        "training.optimizer.lr=1.5",
        "training.early_stopping=1",
    )
    out = run(recipe, drawn, tmp_path / "run")
    rows = history(out)
    losses = [float(row["val_loss"]) for row in rows]
    falls = [loss < min(losses[:n], default=math.inf) for n, loss in enumerate(losses)]
    assert falls.index(False) == len(rows) - 1  # the first epoch without a fall is the last
    assert json.loads((out / "done.json").read_text()) == {"epochs": len(rows)}
    run(recipe, drawn, out, resume=True)
    assert history(out) == rows


def log(fit: Fit, **values: float) -> None:
    """What a step of validation logs, whatever the images."""
    field = {"val_field_accuracy": values["val_accuracy"]}
    fit.log_dict(values | field, add_dataloader_idx=False)


def test_a_moved_run_remembers_its_best_score(drawn, tiny_recipe, tmp_path, monkeypatch):
    recipe = changed(tiny_recipe, tmp_path, "training.epochs=3")
    with monkeypatch.context() as patch:
        interrupt(patch, 2, RuntimeError("power cut"))
        with pytest.raises(RuntimeError, match="power cut"):
            run(recipe, drawn, tmp_path / "broken")
    moved = (tmp_path / "broken").rename(tmp_path / "moved")
    best = moved / "checkpoints" / "best.ckpt"
    before = best.read_bytes()

    def worse(self: Fit, _batch: object, _index: int, dataloader_idx: int = 0) -> None:
        if dataloader_idx == 0:
            log(self, val_accuracy=0.0, val_loss=9.0)

    monkeypatch.setattr(Fit, "validation_step", worse)
    run(recipe, drawn, moved, resume=True)
    assert [float(row["val_accuracy"]) for row in history(moved)][-1] == 0
    assert best.read_bytes() == before


def test_an_interrupted_run_says_so_and_is_not_done(drawn, tiny_recipe, tmp_path, monkeypatch):
    interrupt(monkeypatch, 0, KeyboardInterrupt())
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # Lightning would ignore later Ctrl-Cs
    with pytest.raises(KeyboardInterrupt):
        run(tiny_recipe, drawn, tmp_path / "run")
    assert not (tmp_path / "run" / "done.json").exists()


def test_of_equally_accurate_epochs_the_one_of_least_loss_is_kept(
    drawn, tiny_recipe, tmp_path, monkeypatch
):
    def as_told(self: Fit, _batch: object, _index: int, dataloader_idx: int = 0) -> None:
        loss = [0.9, 0.7, 0.8, 0.6][self.current_epoch]
        if dataloader_idx == 0:
            log(self, val_accuracy=0.5 if self.current_epoch < 3 else 0.4, val_loss=loss)

    monkeypatch.setattr(Fit, "validation_step", as_told)
    recipe = changed(tiny_recipe, tmp_path, "training.epochs=4")
    with monkeypatch.context() as patch:
        interrupt(patch, 2, RuntimeError("power cut"))
        with pytest.raises(RuntimeError, match="power cut"):
            run(recipe, drawn, tmp_path / "run")
    run(recipe, drawn, tmp_path / "run", resume=True)
    best = tmp_path / "run" / "checkpoints" / "best.ckpt"
    assert torch.load(best, map_location="cpu", weights_only=True)["epoch"] == 1
    assert RunFolder(tmp_path / "run").history.best == 1
