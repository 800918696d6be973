"""`training.finish`: two trainings, one after the other, by one recipe."""

import json
from pathlib import Path

import pytest
import torch

from mien.errors import InputError, RecipeError, RunError
from mien.recipes import Recipe
from mien.runs import RunFolder
from mien.train.run import run
from tests.train.runs import changed, history, interrupt, largest_difference, results, weights

BEGINNING = [
    "augment={rotation_deg: 20, flip: true, until: 0.9}",
    "training.schedule={name: cosine, warmup_epochs: 0.5}",
    "training.progressive={from_px: 40, until: 0.5}",
    "training.averaging.name=ema",
]
FINISH = "training.finish={epochs: 2, lr: 0.005, warmup_epochs: 0.25}"


@pytest.fixture(scope="module")
def recipe(tiny_recipe, tmp_path_factory) -> Recipe:
    return changed(tiny_recipe, tmp_path_factory.mktemp("recipe"), *BEGINNING, FINISH)


@pytest.fixture(scope="module")
def finished(recipe, drawn, tmp_path_factory) -> Path:
    return run(recipe, drawn, tmp_path_factory.mktemp("runs") / "finished")


def test_it_is_what_two_trainings_by_hand_are(finished, tiny_recipe, drawn, tmp_path):
    first = run(changed(tiny_recipe, tmp_path, *BEGINNING), drawn, tmp_path / "first")
    by_hand = [
        *BEGINNING,
        f"model.weights={first / 'checkpoints' / 'best.ckpt'}",
        "augment.until=0",
        "training.progressive.from_px=null",
        "training.epochs=2",
        "training.optimizer.lr=0.005",
        "training.schedule.warmup_epochs=0.25",
    ]
    second = run(changed(tiny_recipe, tmp_path, *by_hand), drawn, tmp_path / "second")
    assert largest_difference(first, finished / "first") < 1e-5
    assert largest_difference(second, finished) < 1e-5
    expected = results(first) + results(second)
    assert [row["epoch"] for row in results(finished)] == ["1", "2", "3", "4"]
    for row, other in zip(results(finished), expected, strict=True):
        assert {**row, "epoch": ""} == {**other, "epoch": ""}


def test_the_folder_tells_of_both(finished, recipe):
    assert json.loads((finished / "done.json").read_text()) == {"epochs": 4}
    assert RunFolder(finished).recipe == recipe
    assert RunFolder(finished).history.epochs == [1, 2, 3, 4]


def test_the_best_epoch_of_all_is_kept(recipe, drawn, tmp_path):
    """Here the finish does harm."""
    harmful = changed(recipe, tmp_path, "training.finish.lr=50")
    out = run(harmful, drawn, tmp_path / "run")
    assert RunFolder(out).history.best < 2
    best, first = weights(out, "best"), weights(out / "first", "best")
    assert all(torch.equal(tensor, first[name]) for name, tensor in best.items())


def test_it_goes_on_where_its_first_stage_broke_off(finished, recipe, drawn, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt(patch, 1, RuntimeError("power cut"))
        with pytest.raises(RuntimeError, match="power cut"):
            run(recipe, drawn, tmp_path / "run")
    assert len(history(tmp_path / "run" / "first")) == 1
    run(recipe, drawn, tmp_path / "run", resume=True)
    assert largest_difference(finished, tmp_path / "run") < 1e-5
    assert results(finished) == results(tmp_path / "run")


def test_it_goes_on_where_its_second_stage_broke_off(
    finished, recipe, drawn, tmp_path, monkeypatch
):
    out = tmp_path / "run"
    recipe.save(out / "recipe.yaml")
    run(recipe.stages()[0], drawn, out / "first")
    with monkeypatch.context() as patch:
        interrupt(patch, 1, RuntimeError("power cut"))
        with pytest.raises(RuntimeError, match="power cut"):
            run(recipe, drawn, out, resume=True)
    assert len(history(out)) == 3
    run(recipe, drawn, out, resume=True)
    assert largest_difference(finished, out) < 1e-5
    assert results(finished) == results(out)


def test_data_that_are_not_there_leave_the_folder_free(recipe, drawn, tmp_path):
    out = tmp_path / "run"
    with pytest.raises(InputError):
        run(recipe, tmp_path / "nowhere", out)
    run(recipe, drawn, out)


def test_there_must_be_a_run_to_resume(recipe, drawn, tmp_path):
    with pytest.raises(RunError, match="holds no run to resume"):
        run(recipe, drawn, tmp_path / "run", resume=True)


def test_a_finished_run_is_left_as_it_is(finished, recipe, drawn):
    before = {path: path.read_bytes() for path in finished.rglob("*.csv")}
    run(recipe, drawn, finished, resume=True)
    assert {path: path.read_bytes() for path in before} == before


def test_without_it_there_is_one_stage(tiny_recipe):
    assert tiny_recipe.stages() == (tiny_recipe,)
    assert tiny_recipe.training.all_epochs == 2


def test_a_finish_without_its_rate_is_told(tiny_recipe, tmp_path):
    with pytest.raises(RecipeError, match=r"training\.finish\.lr"):
        changed(tiny_recipe, tmp_path, "training.finish={epochs: 1}")
