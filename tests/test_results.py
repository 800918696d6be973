"""The record of runs: its table says what its predictions say, and takes a new run."""

import csv
import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from mien.evaluate.evaluation import load as load_evaluation
from mien.evaluate.evaluation import save as save_evaluation
from scripts import results

KEPT = sorted({str(view).rsplit("/", 1)[0] for view in results.predictions().views})
MEANS = [name for name, row in results.rows().items() if row["model"] == results.MEAN]


@functools.cache
def recipes() -> dict[str, Any]:
    return dict(yaml.safe_load((results.RESULTS / "recipes.yaml").read_text()))


@functools.cache
def epochs() -> dict[str, int]:
    with (results.RESULTS / "histories.csv").open(newline="") as file:
        names = [row["run"] for row in csv.DictReader(file)]
    return {name: names.count(name) for name in names}


@pytest.mark.parametrize("name", [*KEPT, *MEANS])
def test_the_table_says_what_the_predictions_say(name: str):
    found, row = results.figures(name), results.rows()[name]
    assert found and found == {column: row[column] for column in found}


def test_figures_are_of_all_images():
    found = results.predictions()
    assert found.probabilities.shape == (2, 7, 3589, len(found.views))
    assert np.bincount(found.copies).tolist() == [2686, 278, 625]
    assert (found.ferplus >= 0).sum() == 3372
    assert set(found.framed) <= set(results.rows()) and found.field.max() == 4


def test_a_trained_run_has_its_recipe_and_its_epochs():
    trained = {name for name, row in results.rows().items() if row["epochs"]}
    folds = {name for name in trained if "-fold-" in name and not name.endswith("-0")}
    assert trained == set(epochs()) == set(recipes()) | folds


def test_what_a_run_is_made_of_is_on_record():
    named = [row[column] for row in results.rows().values() for column in ("teachers", "members")]
    assert {name for names in named for name in names.split()} <= set(results.rows())


def test_16_bits_change_no_answer():
    rows = np.random.default_rng(0).dirichlet(np.ones(7), 1000)
    rows[:, 3] = rows.max(1) * (1 + 1e-6)  # next to the largest of the others
    assert (rows.astype(np.float16).argmax(1) != rows.argmax(1)).any()
    assert (results.halves(rows).argmax(1) == rows.argmax(1)).all()
    assert abs(results.halves(rows) - rows).max() < 4e-3


def test_what_is_unpacked_is_an_evaluation(tmp_path: Path):
    results.unpack(tmp_path, ["mien-s"])
    assert {p.name for p in tmp_path.iterdir()} == {"mien-s", "mien-s-flip", "mien-s-ten-crop"}
    found = load_evaluation(tmp_path / "mien-s-flip")
    assert found.views == "flip" and found.copies is not None and found.copies.sum() == 278
    assert found.metrics().accuracy == results.load("mien-s", "flip").metrics().accuracy


def test_a_run_is_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "results").mkdir()
    for path in results.RESULTS.glob("[hpr]*"):
        (tmp_path / "results" / path.name).write_bytes(path.read_bytes())
    run = tmp_path / "run"
    run.mkdir()
    evaluations = [run / "evaluation" / "public", tmp_path / "mirrored"]
    save_evaluation(results.load("attention"), evaluations[0])
    save_evaluation(results.load("mien-s", "flip"), evaluations[1])
    placed = {"weights": f"{tmp_path}/weights.csv", "also": [{"path": f"{tmp_path}/more"}]}
    recipe = recipes()["attention"]
    (run / "recipe.yaml").write_text(yaml.safe_dump(recipe | {"data": recipe["data"] | placed}))
    columns = "epoch,lr,train_loss,train_accuracy,val_loss,val_accuracy,seconds"
    (run / "history.csv").write_text(f"{columns}\n1,0.1,2,0.3,1.9,0.31,60.4\n")
    before, found = results.load("attention").probabilities, results.predictions()
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results")
    large = (tmp_path / "results" / "predictions.npz").read_bytes()
    forget()
    try:
        results.add("mine", "a try", evaluations, run)
        forget()
        row, old = results.rows()["mine"], results.rows()["attention"]
        assert (row["what"], row["epochs"], row["training_s"]) == ("a try", "1", "60")
        assert (row["accuracy_pct"], row["mirrored_accuracy_pct"]) == ("69.13", "69.04")
        assert abs(results.load("mine").probabilities - before).max() < 1e-3
        assert old["accuracy_pct"] == "69.13"
        views = [*found.views, "mine/plain", "mine/flip"]
        assert results.predictions().views.tolist() == views
        assert (tmp_path / "results" / "predictions.npz").read_bytes() == large
        added = (tmp_path / "results" / "histories.csv").read_text().splitlines()[-1]
        assert added == "mine,1,0.1,2,0.3,1.9,0.31,,60.4"
        kept = yaml.safe_load((results.RESULTS / "recipes.yaml").read_text())
        assert list(kept)[-1] == "mine" and str(tmp_path) not in str(kept["mine"])
    finally:
        monkeypatch.undo()
        forget()


def test_a_short_training_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "results").mkdir()
    for name in ("answers", "robustness", "covers", "adversarial"):
        (tmp_path / "results" / f"{name}.csv").write_bytes(
            (results.RESULTS / f"{name}.csv").read_bytes()
        )
    told, place = results.load("mien-s"), tmp_path / "evaluation"
    save_evaluation(told, place)
    (place / "occlusions.csv").write_text(
        "corruption,severity,images,right,accuracy,accuracy_low,accuracy_high,strength\n"
        "eyes,1,1000,518,0.518,0.487,0.551,0.2\n"
    )
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results")
    before = (tmp_path / "results" / "answers.csv").read_text()
    for _ in range(2):  # the second time in place of the first
        results.short("a/try", place)
    truth, given = results.answers("a/try")
    assert (truth == told.truth).all() and (given == told.probabilities.argmax(1)).all()
    after = (tmp_path / "results" / "answers.csv").read_text()
    assert after.startswith(before) and after.count("\n") == before.count("\n") + 1
    covers = (tmp_path / "results" / "covers.csv").read_text().splitlines()
    assert covers[-1] == "a/try,eyes,1,0.2,1000,518,0.518,0.487,0.551"
    assert sum(line.startswith("a/try") for line in covers) == 1
    assert "a/try" not in (tmp_path / "results" / "robustness.csv").read_text()
    results.short("mien-s", place)  # whose answers are in predictions.npz
    assert (tmp_path / "results" / "answers.csv").read_text() == after
    assert "\nmien-s,PGD-20" in (tmp_path / "results" / "adversarial.csv").read_text()
    assert "\nmien-s,eyes,1" in (tmp_path / "results" / "covers.csv").read_text()


def forget() -> None:
    results.predictions.cache_clear()
    results.rows.cache_clear()
