"""Every recipe that is new since release 0.1 trains: two steps, of few pictures."""

from pathlib import Path

import numpy as np
import pytest

from mien.data.drawn import Course, draw_clip, write_gif
from mien.recipes import load_recipe, recipe_names
from mien.train.run import run
from tests.train.runs import history

OF_0_1 = {
    *("attention", "drawn", "efficientnet-lite0", "face-mobilenet", "face-resnet", "facenet"),
    *("mien-l", "mien-m", "mien-s", "mien-s-wide", "mobilenetv2", "resnet50"),
    *("report/attention", "report/mobilenetv2", "report/resnet50"),
}
"""Other tests train these, or networks of their kind."""
SHORT = (
    *("data.limit=4", "training.batch=2", "training.epochs=1", "training.finish=null"),
    *("training.schedule.warmup_epochs=0", "model.weights=none"),  # those of others cannot be had
)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, rng = tmp_path_factory.mktemp("clips"), np.random.default_rng(0)
    for split in ("train", "val"):
        for row, label in enumerate(("happy", "sad", "happy", "sad")):
            clip = draw_clip(label, rng, 3, 48, Course((0.1, 0.4)))
            write_gif(folder / split / label / f"{row}.gif", clip)
    return folder


@pytest.mark.parametrize("name", sorted({*recipe_names()} - OF_0_1))
def test_each_new_recipe_trains(name: str, drawn: Path, clips: Path, tmp_path: Path):
    recipe = load_recipe(name, [*SHORT])
    teachers = ["training.distil.teachers=[mien-s]"] if recipe.training.distil.teachers else []
    recipe = load_recipe(name, [*SHORT, *teachers])
    (row,) = history(run(recipe, clips if recipe.model.frames else drawn, tmp_path / "run"))
    assert np.isfinite([float(value) for value in row.values()]).all()
