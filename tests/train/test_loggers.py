"""Loggers by name, the real ones: W&B offline, MLflow in a local database."""

import csv
import sqlite3
import subprocess
import sys

import lightning as L
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mien.errors import InputError, MissingExtra
from mien.runs import RunFolder
from mien.train.check import check
from mien.train.loggers import Logging
from mien.train.run import run
from tests.train.runs import history, interrupt

CHARTS = {"lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "val_field_accuracy"}


def test_tensorboard_and_csv_have_every_figure_and_the_learning_rate(drawn, tiny_recipe, tmp_path):
    out = run(tiny_recipe, drawn, tmp_path / "run", loggers=("tensorboard", "csv"))
    charts = EventAccumulator(str(out / "tensorboard"))
    charts.Reload()
    assert {*charts.Tags()["scalars"]} >= CHARTS
    rates = [float(row["lr"]) for row in history(out)]
    assert [event.value for event in charts.Scalars("lr")] == pytest.approx(rates)
    with (out / "csv" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {*rows[0]} >= CHARTS
    assert [float(row["lr"]) for row in rows if row["lr"]] == pytest.approx(rates)


@pytest.mark.filterwarnings("ignore:Experiment logs directory")
def test_tensorboard_and_csv_keep_earlier_epochs_however_often_a_run_is_resumed(
    tiny_recipe, tmp_path
):
    log = Logging(("tensorboard", "csv"), tmp_path, L.Callback())
    for epoch in range(3):
        with log.of(tiny_recipe, RunFolder(tmp_path)) as loggers:
            for logger in loggers:
                logger.log_metrics({"lr": epoch / 8} | ({"late": 1.0} if epoch else {}), epoch)
                logger.finalize("success")
    with (tmp_path / "csv" / "metrics.csv").open() as file:
        rows = [tuple(row.values()) for row in csv.DictReader(file)]
    assert rows == [("", "0.0", "0"), ("1.0", "0.125", "1"), ("1.0", "0.25", "2")]
    charts = EventAccumulator(str(tmp_path / "tensorboard"))
    charts.Reload()
    assert [event.value for event in charts.Scalars("lr")] == [0, 0.125, 0.25]


def test_mlflow_goes_on_with_a_run_that_is_resumed(drawn, tiny_recipe, tmp_path, monkeypatch):
    pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    out = tmp_path / "runs" / "tiny"
    with monkeypatch.context() as patch:
        interrupt(patch, 1, RuntimeError("stop"))
        with pytest.raises(RuntimeError, match="stop"):
            run(tiny_recipe, drawn, out, loggers=["mlflow"])
    run(tiny_recipe, drawn, out, loggers=["mlflow"], resume=True)
    with sqlite3.connect(tmp_path / "runs" / "mlflow.db") as store:
        assert store.execute("select name from runs").fetchall() == [("tiny",)]
        found = store.execute("select value from metrics where key = 'lr' order by step").fetchall()
        told = dict(store.execute("select key, value from params").fetchall())
    assert [rate for (rate,) in found] == pytest.approx([float(r["lr"]) for r in history(out)])
    assert told["training/epochs"] == "2"
    assert {path.name for path in tmp_path.iterdir()} == {"runs"}, "nothing is left elsewhere"


WANDB = """
import sys
from pathlib import Path
from mien.recipes import load_recipe
from mien.train.run import run

recipe, data, out = map(Path, sys.argv[1:])
run(load_recipe(recipe), data, out, loggers=["wandb"])
"""


def test_wandb_writes_a_run_to_be_sent_later(drawn, tiny_recipe, tmp_path):
    pytest.importorskip("wandb")
    tiny_recipe.save(tmp_path / "recipe.yaml")
    out = tmp_path / "run"
    places = [tmp_path / "recipe.yaml", drawn, out]
    # In a process of its own: W&B starts a service, which outlives a test.
    command = [sys.executable, "-c", WANDB, *map(str, places)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    (kept,) = (out / "wandb").glob("offline-run-*/run-*.wandb")
    content = kept.read_bytes()
    assert all(chart.encode() in content for chart in CHARTS)
    assert "wandb" not in said.stdout


@pytest.mark.parametrize(
    ("names", "variables", "error", "message"),
    [
        (["wandbb"], {}, InputError, r"no logger 'wandbb'; did you mean 'wandb'\?"),
        (
            ["comet"],
            {},
            InputError,
            "no logger 'comet'; there are: tensorboard, csv, ",
        ),
        (
            ["mlflow"],
            {"MLFLOW_TRACKING_URI": "http://here", "MIEN_OFFLINE": "1"},
            InputError,
            "nothing is sent to http://here, as MIEN_OFFLINE is set",
        ),
    ],
)
def test_a_logger_that_cannot_be_used_is_told_before_anything(
    drawn, tiny_recipe, tmp_path, monkeypatch, names, variables, error, message
):
    monkeypatch.setattr("mien.train.check.installed", lambda package, extra: None)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(error, match=message):
        check(tiny_recipe, drawn, tmp_path / "run", loggers=names)


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_logger_that_is_not_installed_names_its_extra(
    drawn, tiny_recipe, tmp_path, monkeypatch, name
):
    monkeypatch.setattr("importlib.util.find_spec", lambda package: None)
    with pytest.raises(MissingExtra, match=rf"{name} is not installed; run.*{name}"):
        check(tiny_recipe, drawn, tmp_path / "run", loggers=[name])
