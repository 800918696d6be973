"""The report's three runs: their settings as the report states them, and that they run."""

from pathlib import Path

import pytest
import timm
import torch

from mien.recipes import load_recipe
from mien.train.run import run

TIMM = {"report/resnet50": "resnet50", "report/mobilenetv2": "mobilenetv2_100"}


@pytest.mark.parametrize(
    ("name", "lr", "epochs", "schedule", "weights"),
    [
        ("report/resnet50", 1e-3, 20, "constant", "imagenet"),
        ("report/attention", 1e-5, 30, "plateau", "none"),
        ("report/mobilenetv2", 1e-5, 30, "exponential", "imagenet"),
    ],
)
def test_settings_are_the_reports(name: str, lr: float, epochs: int, schedule: str, weights: str):
    recipe = load_recipe(name)
    training, augment = recipe.training, recipe.augment
    assert recipe.input.size_px == 224
    assert (recipe.input.mean, recipe.input.std) == ((0, 0, 0), (1, 1, 1))  # rescale 1/255 alone
    assert (augment.rotation_deg, augment.shift, augment.shear_deg) == (30, 0.2, 0.2)
    assert (augment.zoom, augment.zoom_axes, augment.flip) == ((0.8, 1.2), "each", True)
    assert augment.fill == "nearest"
    assert (training.optimizer.name, training.optimizer.lr) == ("adam", lr)
    assert (training.epochs, training.batch, training.early_stopping) == (epochs, 32, 5)
    assert training.schedule.name == schedule
    assert training.loss.class_weights == "balanced"
    assert recipe.model.weights == weights
    assert recipe.model.options.get("frozen", False) == (name == "report/resnet50")


@pytest.mark.parametrize("name", ["report/resnet50", "report/attention", "report/mobilenetv2"])
def test_a_batch_of_each_runs(name: str, drawn: Path, tmp_path: Path):
    """ImageNet's weights cannot be had here: a file of the same shape stands in for them. A small
    batch of small pictures, for speed."""
    changes = ["training.epochs=1", "training.batch=4", "data.limit=4", "input.size_px=96"]
    if name in TIMM:
        state = timm.create_model(TIMM[name], pretrained=False).state_dict()
        torch.save(state, tmp_path / "weights.pth")
        changes.append(f"model.weights={tmp_path / 'weights.pth'}")
    folder = run(load_recipe(name, changes), drawn, tmp_path / "run")
    assert len((folder / "history.csv").read_text().splitlines()) == 2
