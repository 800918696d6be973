import json
import math
import os
from pathlib import Path

import pytest
import torch

from mien.errors import DataError, RecipeError, RunError
from mien.recipe import load_recipe
from mien.report.history import read_history
from mien.train.run import run
from tests.train.runs import changed, history, largest_difference, weights


@pytest.fixture(scope="module")
def finished(drawn, tiny_recipe, tmp_path_factory) -> Path:
    return run(tiny_recipe, drawn, tmp_path_factory.mktemp("runs") / "tiny")


def test_a_run_folder_holds_what_later_steps_need(finished, tiny_recipe):
    assert load_recipe(finished / "recipe.yaml") == tiny_recipe
    data = json.loads((finished / "data.json").read_text())
    assert len(data["labels"]) == 7
    assert data["train"]["images"] > data["validation"]["images"] > 0
    assert len(data["train"]["digest"]) == 64
    environment = json.loads((finished / "environment.json").read_text())
    assert environment["torch"] == torch.__version__.split("+")[0]
    assert json.loads((finished / "done.json").read_text()) == {"epochs": 2}
    assert {p.name for p in (finished / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    assert list((finished / "tensorboard").glob("events*"))


def test_history_has_a_row_per_epoch(finished):
    rows = history(finished)
    assert [row["epoch"] for row in rows] == ["1", "2"]
    for row in rows:
        assert all(math.isfinite(float(value)) for value in row.values())
        assert 0 <= float(row["val_accuracy"]) <= 1
        assert float(row["lr"]) == pytest.approx(0.02)


def test_best_holds_the_weights_of_the_best_epoch(finished):
    best = weights(finished, "best")
    assert best.keys() == weights(finished).keys()
    same = all(torch.equal(t, best[n]) for n, t in weights(finished).items())
    assert same == (read_history(finished).best == 1)


def test_a_seed_decides_a_run(finished, drawn, tiny_recipe, tmp_path):
    again = run(tiny_recipe, drawn, tmp_path / "again")
    other = run(changed(tiny_recipe, tmp_path, "seed=4"), drawn, tmp_path / "other")
    assert largest_difference(finished, again) < 1e-5
    assert largest_difference(finished, other) > 1e-3


def test_resuming_a_finished_run_changes_nothing(finished, drawn, tiny_recipe):
    before = {p.name: p.read_bytes() for p in [finished / "history.csv", finished / "done.json"]}
    run(tiny_recipe, drawn, finished, resume=True)
    assert {name: (finished / name).read_bytes() for name in before} == before


@pytest.mark.parametrize("accumulate", [1, 2, 3])
def test_cosine_ends_at_zero_whatever_is_accumulated(drawn, tiny_recipe, tmp_path, accumulate):
    recipe = changed(
        tiny_recipe,
        tmp_path,
        f"training.accumulate={accumulate}",
        "training.schedule={name: cosine, warmup_epochs: 0}",
    )
    out = run(recipe, drawn, tmp_path / "run")
    assert float(history(out)[-1]["lr"]) < 0.02 * 0.05


def file_in_the_way(out: Path) -> None:
    out.write_text("mine")


def folder_in_the_way(out: Path) -> None:
    out.mkdir()
    (out / "thesis.txt").write_text("mine")


@pytest.mark.parametrize("occupy", [file_in_the_way, folder_in_the_way])
@pytest.mark.parametrize("resume", [False, True])
def test_what_is_no_run_is_left_alone(drawn, tiny_recipe, tmp_path, occupy, resume):
    occupy(tmp_path / "run")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(RunError, match=r"is not empty|holds no run|is a file"):
        run(tiny_recipe, drawn, tmp_path / "run", resume=resume)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_finished_run_is_not_overwritten(finished, drawn, tiny_recipe):
    with pytest.raises(RunError, match="add --resume to continue it, or choose another --out"):
        run(tiny_recipe, drawn, finished)


def test_resume_with_another_recipe_is_refused(finished, drawn, tiny_recipe, tmp_path):
    other = changed(tiny_recipe, tmp_path, "training.optimizer.lr=0.5")
    with pytest.raises(RunError, match="was begun with another recipe"):
        run(other, drawn, finished, resume=True)
    assert load_recipe(finished / "recipe.yaml") == tiny_recipe


def test_resume_on_other_data_is_refused(finished, tiny_recipe, tmp_path):
    from mien.data.drawn import draw_dataset

    draw_dataset(tmp_path / "others", images=210, seed=9)
    with pytest.raises(RunError, match="other images"):
        run(tiny_recipe, tmp_path / "others", finished, resume=True)


@pytest.mark.parametrize(
    ("override", "error", "message"),
    [
        ("training.batch=500", DataError, r"fewer than one batch of 500; add --set training\.b"),
        ("data.train=nonsense", DataError, "has no split 'nonsense'"),
        ("data.validation=private2", DataError, "has no split 'private2'"),
        ("model.name=atention", RecipeError, r"did you mean 'attention'\?"),
        ("model.options.hiden=3", RecipeError, r"did you mean 'hidden'\?"),
    ],
)
def test_what_cannot_start_leaves_no_run_folder(
    drawn, tiny_recipe, tmp_path, override, error, message
):
    with pytest.raises(error, match=message):
        run(changed(tiny_recipe, tmp_path, override), drawn, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_limit_uses_that_many_images(drawn, tiny_recipe, tmp_path):
    recipe = changed(tiny_recipe, tmp_path, "data.limit=17", "training.epochs=1")
    out = run(recipe, drawn, tmp_path / "run")
    data = json.loads((out / "data.json").read_text())
    assert (data["train"]["images"], data["validation"]["images"]) == (17, 17)


def test_nothing_is_left_half_written(finished):
    hidden = [name for _, _, files in os.walk(finished) for name in files if name[0] == "."]
    assert hidden == []


def test_a_checkpoint_is_a_file_of_weights_to_start_from(finished, drawn, tiny_recipe, tmp_path):
    best = finished / "checkpoints" / "best.ckpt"
    slowly = "training.optimizer.lr=1e-9"
    recipe = changed(tiny_recipe, tmp_path, f"model.weights={best}", slowly, "training.epochs=1")
    out = run(recipe, drawn, tmp_path / "run")
    pairs = [
        (t, weights(out)[n]) for n, t in weights(finished, "best").items() if "running" not in n
    ]
    assert max(float((a - b).abs().max()) for a, b in pairs if a.is_floating_point()) < 1e-6
