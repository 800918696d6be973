"""Runs of the tests: their recipes, histories and weights, and how they are broken off."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from mien.data.drawn import draw_face
from mien.files import write_json
from mien.labels import FER2013
from mien.models import build
from mien.recipes import Recipe, load_recipe
from mien.train.module import Fit


def changed(recipe: Recipe, folder: Path, *overrides: str) -> Recipe:
    recipe.save(folder / "base.yaml")
    return load_recipe(folder / "base.yaml", list(overrides))


def history(out: Path) -> list[dict[str, str]]:
    with (out / "history.csv").open() as file:
        return list(csv.DictReader(file))


def weights(out: Path, which: str = "last") -> dict[str, torch.Tensor]:
    path = out / "checkpoints" / f"{which}.ckpt"
    return torch.load(path, map_location="cpu", weights_only=False)["state_dict"]


def largest_difference(one: Path, other: Path) -> float:
    pairs = [(t, weights(other)[name]) for name, t in weights(one).items()]
    return max(float((a.double() - b.double()).abs().max()) for a, b in pairs)


def results(out: Path) -> list[dict[str, str]]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in history(out)]


def interrupt(monkeypatch: pytest.MonkeyPatch, epoch: int, error: BaseException) -> None:
    """Make the training break in its `epoch` (from 0), after some steps."""
    step = Fit.training_step

    def breaking(self: Fit, batch: object, index: int) -> torch.Tensor:
        if self.current_epoch == epoch and index == 3:
            raise error
        return step(self, batch, index)

    monkeypatch.setattr(Fit, "training_step", breaking)


def untrained(recipe: Recipe, folder: Path, labels: tuple[str, ...] = FER2013) -> Path:
    """A run folder as a training leaves it, in no time: its network has random weights, and
    answers that differ widely from picture to picture."""
    torch.manual_seed(0)
    preprocess = recipe.input.preprocess()
    model = build(
        recipe.model.name,
        classes=len(labels),
        channels=preprocess.channels,
        size_px=preprocess.size_px,
        **recipe.model.options,
    ).eval()
    with torch.no_grad():
        faces = [draw_face(label, np.random.default_rng(n)) for label in FER2013 for n in range(3)]
        logits = model(torch.from_numpy(preprocess(faces)))
        last, spread = model.head[-1], logits.std(0)
        last.weight /= spread[:, None]
        last.bias.copy_((last.bias - logits.mean(0)) / spread)
    recipe.save(folder / "recipe.yaml")
    part = {"split": "train", "images": 168, "digest": "d" * 64}
    told = {"name": "faces", "labels": labels, "side_px": 48, "train": part}
    told["validation"] = part | {"split": "public", "images": 21}
    write_json(folder / "data.json", told)
    write_json(folder / "done.json", {"epochs": recipe.training.all_epochs})
    state = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    (folder / "checkpoints").mkdir()
    torch.save({"state_dict": state}, folder / "checkpoints" / "best.ckpt")
    return folder
