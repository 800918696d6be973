"""Runs of the tests: their recipes, histories and weights, and how they are broken off."""

import csv
from pathlib import Path

import pytest
import torch

from mien.recipe import Recipe, load_recipe
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
