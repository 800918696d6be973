"""Several processes train one network, as one process would."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mien.errors import InputError, RunError
from mien.recipes import load_recipe
from mien.train.launch import launch, nodes, place, shares
from mien.train.run import run
from mien.train.together import joined, wait
from tests.train.runs import history, largest_difference

# Without BatchNorm, whose figures of a batch are each process's own on a CPU, and in fp32.
NETWORK = {"depths": [1, 1, 1, 1], "dims": [8, 16, 32, 32]}
OPTIONS = {"dropout": 0, "drop_path": 0, "arguments": NETWORK}
RECIPE = {
    "name": "tiny",
    "model": {"name": "timm/convnext_atto_ols", "options": OPTIONS},
    "input": {"size_px": 32},
    "augment": {"flip": True, "rotation_deg": 5, "photo": 0.1},
    "training": {
        "epochs": 2,
        "batch": 32,
        "precision": "fp32",
        "optimizer": {"name": "adamw", "lr": 0.001},
        "averaging": {"name": "ema", "decay": 0.9},
    },
}
DEVICES = os.environ.get("MIEN_TEST_DEVICES", "2")  # 4 takes half a minute more
WORKER = """
import sys
from pathlib import Path
from mien.recipes import load_recipe
from mien.train.run import run
run(load_recipe(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
"""


@pytest.fixture(scope="module")
def recipe_file(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    file.write_text(yaml.safe_dump(RECIPE))
    return file


@pytest.fixture(scope="module")
def alone(recipe_file, drawn, tmp_path_factory) -> tuple[Path, Path]:
    """The run of one process, and the same after its first epoch."""
    place = tmp_path_factory.mktemp("alone")
    first = run(load_recipe(recipe_file, ["training.epochs=1"]), drawn, place / "first")
    whole = shutil.copytree(first, place / "whole")
    return run(load_recipe(recipe_file), drawn, whole, resume=True), first


def same(one: Path, other: Path) -> None:
    for a, b in zip(history(one), history(other), strict=True):
        figures = [key for key in a if key not in ("epoch", "seconds")]
        assert {k: float(a[k]) for k in figures} == pytest.approx(
            {k: float(b[k]) for k in figures}, rel=1e-4
        )
    assert largest_difference(one, other) < 1e-4


@pytest.fixture
def first_of_two(monkeypatch) -> None:
    """What torchrun tells the first of two processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    here = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    here |= {"MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "test", "GROUP_RANK": "0"}
    for name, value in {**here, "RANK": "0", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)


def test_two_processes_take_the_steps_of_one(recipe_file, drawn, alone, tmp_path, first_of_two):
    out = tmp_path / "run"
    command = [sys.executable, "-c", WORKER, str(recipe_file), str(drawn), str(out)]
    with subprocess.Popen(command, env={**os.environ, "RANK": "1", "LOCAL_RANK": "1"}) as other:
        try:
            run(load_recipe(recipe_file), drawn, out)
            assert other.wait(60) == 0
        finally:
            other.kill()
    same(out, alone[0])


def test_a_run_of_one_process_goes_on_with_several(recipe_file, drawn, alone, tmp_path):
    out = shutil.copytree(alone[1], tmp_path / "run")
    command = [sys.executable, "-m", "mien", "train", str(recipe_file), "--data", str(drawn)]
    done = subprocess.run(
        [*command, "--out", str(out), "--resume", "--devices", DEVICES],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    same(out, alone[0])
    assert done.stdout.count("trained: ") == 1 and (out / "bundle" / "card.json").exists()
    assert done.stderr.count("epoch   2/2") == 1


def test_the_loss_of_another_process_is_one_line(first_of_two, monkeypatch):
    if not (other := os.fork()):
        os.environ |= {"RANK": "1", "LOCAL_RANK": "1"}
        with joined():
            os._exit(0)
    with pytest.raises(RunError, match=r"another process .* was lost; .* --resume"), joined():
        os.waitpid(other, 0)
        wait()


def test_a_process_that_a_signal_ended_is_named(tmp_path, monkeypatch):
    program = tmp_path / "ends"
    program.write_text("#!/bin/sh\n[ $RANK = 0 ] || kill -9 $$\nsleep 60\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    with pytest.raises(RunError, match=r"process 1 of 2 was ended by signal 9, as the system"):
        launch(2, ["train", "mien-s"])


def test_who_a_process_is_comes_from_torchrun_or_srun(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SLURM_NTASKS", "4")  # of the job: nothing was started by srun
    assert (place(), nodes()) == ((0, 1), 1)
    monkeypatch.setenv("SLURM_PROCID", "3")
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    monkeypatch.setenv("SLURM_STEP_NUM_NODES", "2")
    assert (place(), nodes()) == ((3, 4), 2)
    for name, value in (("RANK", "1"), ("WORLD_SIZE", "6"), ("LOCAL_WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)
    assert (place(), nodes()) == ((1, 6), 3)


def test_a_batch_that_cannot_be_shared_is_refused():
    shares(64, 4)
    with pytest.raises(InputError, match=r"--set training\.batch=63"):
        shares(64, 3)
    with pytest.raises(InputError, match=r"--set training\.batch=3"):
        shares(2, 3)


def test_processes_that_others_start_are_told_where_to_write(drawn, monkeypatch):
    from typer.testing import CliRunner

    from mien.cli import app

    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    told = CliRunner().invoke(app, ["train", "drawn", "--data", str(drawn)])
    assert told.exit_code != 0 and "give all of them one --out" in str(told.exception)
