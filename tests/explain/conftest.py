"""A run that was never trained: networks of any kind, without the time."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from mien.labels import FER2013
from mien.models import build
from mien.recipes import Recipe
from tests.fakes import brightness_bundle

TINY = {
    "attention": {"widths": [8, 16, 16, 16], "blocks": 1, "hidden": 0},
    "mien-s": {"widths": [8, 16], "blocks": [1, 1]},
    "mobilenetv2": {"hidden": 8, "cbam": True, "frozen": True},
    "timm/test_resnet": {"self_attention": 2},
    "timm/test_vit": {"arguments": {"patch_size": 8}},
    "timm/swin_tiny_patch4_window7_224": {"arguments": {"embed_dim": 24, "depths": [1, 1]}},
    "vit": {"stem": [8, 8, 8], "width": 24, "depth": 2},
}


@pytest.fixture(scope="session")
def make_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`make_run(model)`: a run folder with random weights and no bundle, made once."""
    made: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in made:
            made[name] = _untrained(name, tmp_path_factory.mktemp("untrained") / "run")
        return made[name]

    return make


@pytest.fixture(scope="session")
def exported(make_run: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The attention model's run with a bundle, that of a simpler network: exporting takes long."""
    run = tmp_path_factory.mktemp("exported") / "run"
    shutil.copytree(make_run("attention"), run)
    brightness_bundle(run / "bundle", size_px=48)
    return run


def _untrained(name: str, run: Path) -> Path:
    (run / "checkpoints").mkdir(parents=True)
    recipe = Recipe.model_validate(
        {
            "name": name,
            "model": {"name": name, "options": TINY[name]},
            "input": {"size_px": 48},
            "training": {"epochs": 1, "batch": 16, "optimizer": {"lr": 0.1}},
        }
    )
    (run / "recipe.yaml").write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    split = {"split": "train", "images": 1, "digest": "0"}
    facts = {"labels": FER2013, "side_px": 48, "name": "drawn", "train": split, "validation": split}
    (run / "data.json").write_text(json.dumps(facts))
    torch.manual_seed(0)
    network = build(name, classes=7, channels=len(recipe.input.mean), **TINY[name])
    state = {f"model.{key}": value for key, value in network.state_dict().items()}
    torch.save({"state_dict": state}, run / "checkpoints" / "best.ckpt")
    return run


@pytest.fixture(scope="session")
def face() -> np.ndarray:
    from mien.data.drawn import draw_face

    return draw_face("happy", np.random.default_rng(0))
