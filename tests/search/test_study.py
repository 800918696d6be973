"""Searches: their course, their end, what they leave, and what survives a kill."""

import contextlib
import csv
import dataclasses
import importlib.util
import logging
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest
import torch
from typer.testing import CliRunner

from mien.cli import app
from mien.data.drawn import draw_dataset
from mien.errors import InputError, MissingExtra, OutOfMemory, RunError
from mien.recipes import load_recipe
from mien.search import study as searching
from mien.search.on_ray import on_ray
from mien.search.results import write_results
from mien.search.space import Range, Space
from mien.search.study import Search, open_study, work
from mien.search.watch import Watch
from mien.search.workers import side_by_side
from mien.train.callbacks import History
from mien.train.run import run

SPACE = Space({"training.optimizer.lr": Range(0.001, 0.1, log=True), "training.batch": (16, 32)})


@pytest.fixture
def search(drawn: Path, tiny_recipe, tmp_path: Path) -> Search:
    tiny_recipe.save(tmp_path / "tiny.yaml")
    return Search(
        str(tmp_path / "tiny.yaml"),
        ("training.epochs=2", "data.limit=60"),
        SPACE,
        drawn,
        tmp_path / "out",
        3,
    )


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def by_formula(monkeypatch) -> None:
    """Trials that train nothing: best at a rate of 0.01 and the batch 16."""

    def value(_search: Search, trial: optuna.Trial) -> float:
        params = SPACE.suggest(trial)
        off = abs(float(params["training.optimizer.lr"]) - 0.01)
        return 0.9 - off - 0.1 * (params["training.batch"] == 32)

    monkeypatch.setattr(searching, "train", value)


def test_a_search_trains_and_leaves_the_best_recipe_a_table_and_a_page(search, told):
    side_by_side(search, 1, told.append)
    best = write_results(search)
    study = open_study(search)
    assert len(told) == 3 and told[0].startswith("trial 1/3: ")
    assert load_recipe(best) == search.recipe_of(study.best_trial.params)
    assert search.folder_of(study.best_trial.number).is_done
    kept = [n for n in range(3) if search.folder_of(n).best_checkpoint.exists()]
    assert kept == [study.best_trial.number], "weights of the others are most of the disk"
    with (search.out / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["trial" if "trial" in row else "number"] for row in rows] == ["1", "2", "3"]
    assert max(float(row["value"] or 0) for row in rows) == pytest.approx(study.best_value, 1e-4)
    page = (search.out / "search.html").read_text()
    assert "training.optimizer.lr" in page and page.count("<svg") >= 4
    assert "http://" not in page and "https://" not in page


def test_a_search_says_what_its_trials_learn_without(search, monkeypatch):
    space = search.out.parent / "space.yaml"
    space.write_text("training.optimizer.lr: {low: 0.001, high: 0.1, log: true}\n")
    missing = ("training.loss.votes=0.4", "training.distil.teachers=[mien-l]")
    changes = [word for change in missing for word in ("--set", change)]
    monkeypatch.chdir(search.out.parent)
    for name in ("workers.side_by_side", "results.write_results"):  # nothing is trained
        monkeypatch.setattr(f"mien.search.{name}", lambda *_: Path("best.yaml"))
    command = ["search", search.recipe, "--data", str(search.data), "--space", str(space)]
    said = CliRunner().invoke(app, [*command, *changes], catch_exceptions=False).output
    assert "no FER+ votes given (--votes FILE): learning from labels alone" in said
    assert f"mien train mien-l --data {search.data} --out runs/mien-l" in said


def test_what_is_done_is_not_done_again_and_more_trials_go_on(search, told, by_formula):
    work(search, told.append)
    work(search, told.append)
    assert len(told) == 3
    work(dataclasses.replace(search, trials=5), told.append)
    assert len(told) == 5 and told[-1].startswith("trial 5/5")


def test_a_grid_tries_everything_once_and_ends(search, told, by_formula):
    space = Space({"training.optimizer.lr": (0.01, 0.02), "training.batch": (16, 32)})
    search = dataclasses.replace(search, space=space, sampler="grid", trials=24)
    work(search, told.append)
    tried = [tuple(trial.params.values()) for trial in open_study(search).trials]
    assert sorted(tried) == [(0.01, 16), (0.01, 32), (0.02, 16), (0.02, 32)]


def test_bayesian_search_comes_nearer_than_chance(search, told, by_formula):
    best = {}
    for sampler in ("tpe", "random"):
        one = dataclasses.replace(search, sampler=sampler, trials=40, study=sampler)
        work(one, told.append)
        last = open_study(one).trials[20:]
        best[sampler] = sum(trial.value or 0 for trial in last) / len(last)
    assert best["tpe"] > best["random"]


def test_a_training_that_is_hopeless_is_ended_after_its_epoch(search):
    study = open_study(search)
    study.pruner = optuna.pruners.ThresholdPruner(lower=0.999)
    study.optimize(lambda trial: searching.train(search, trial), n_trials=1)
    assert study.trials[0].state.name == "PRUNED"
    assert len(search.folder_of(0).history.epochs) == 1
    assert not search.folder_of(0).is_done


def test_a_training_without_enough_memory_is_a_trial_and_the_search_goes_on(
    search, told, monkeypatch
):
    def step(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")

    monkeypatch.setattr("mien.train.module.Fit.training_step", step)
    work(dataclasses.replace(search, trials=2), told.append)
    states = [trial.state.name for trial in open_study(search).trials]
    assert states == ["PRUNED", "PRUNED"] and "no result" in told[0]
    changes = ["training.batch=32", "training.accumulate=3"]
    recipe = load_recipe(search.recipe, [*search.changes, *changes])
    says = r"batch=32; .* --set training.batch=16 --set training.accumulate=6"
    with pytest.raises(OutOfMemory, match=says):
        run(recipe, search.data, search.out / "run")


def test_epochs_of_a_second_stage_count_on_from_the_first(search, told):
    changes = ("training.epochs=1", "training.finish={epochs: 2, lr: 0.01}", "data.limit=60")
    search = dataclasses.replace(search, changes=changes, trials=1, pruner="none")
    work(search, told.append)
    (trial,) = open_study(search).trials
    assert list(trial.intermediate_values) == [1, 2, 3]


def test_epochs_are_compared_with_those_of_other_trials():
    study = optuna.create_study(direction="maximize", pruner=searching._pruner("asha"))
    for accuracy in (0.5, 0.6, 0.7):
        tell(Watch(study.ask()), accuracy)
    tell(Watch(study.ask()), 0.8)
    with pytest.raises(optuna.TrialPruned):
        tell(Watch(study.ask()), 0.4)


def tell(watch: Watch, accuracy: float) -> None:
    metrics = {"val_accuracy": torch.tensor(accuracy), "val_field_accuracy": torch.tensor(accuracy)}
    history = History(Path("history.csv"))
    for _ in range(3):
        history.rows.append({})
        watch.on_train_epoch_end(SimpleNamespace(callback_metrics=metrics, callbacks=[history]))


def test_another_search_is_not_continued(search, told, by_formula):
    work(search, told.append)
    other = search.out.parent / "other" / search.data.name  # of the same name
    draw_dataset(other, images=70, seed=1)
    for changes in ({"changes": ("training.epochs=4",)}, {"data": other}):
        with pytest.raises(RunError, match="was begun with another recipe"):
            work(dataclasses.replace(search, **changes), told.append)


def test_a_search_goes_on_where_its_images_lie_elsewhere_or_an_older_version_began_it(
    search, told, by_formula
):
    study = open_study(search)
    study.set_user_attr("digest", search.digest_by_name)
    work(search, told.append)
    moved = shutil.copytree(search.data, search.out.parent / "moved")
    work(dataclasses.replace(search, data=moved, trials=5), told.append)
    assert len(told) == 5


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("sampler", "tp", "did you mean 'tpe'"),
        ("pruner", "hyperband", "there are: asha, median, none"),
        ("trials", 0, "at least one trial, got 0"),
    ],
)
def test_what_cannot_be_searched_is_said(search, field, value, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(search, **{field: value})


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        ("nonsense", "is no database address"),
        ("orcale://a/b", "is no database address"),
        ("postgresql+psycopg://me:secret@127.0.0.1:1/none", r"127.0.0.1:1/none: .*refused"),
    ],
)
def test_a_database_that_cannot_be_opened_is_one_line_without_the_password(
    search, storage, message
):
    with pytest.raises(InputError, match=message) as caught:
        open_study(dataclasses.replace(search, storage=storage))
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)


def test_a_driver_that_is_missing_is_one_line(search):
    with pytest.raises(MissingExtra, match=r"h/db needs a driver .* pip install"):
        open_study(dataclasses.replace(search, storage="postgresql+pg8000://me:secret@h/db"))


def test_a_database_that_is_lost_is_one_line(search, told, monkeypatch):
    def run(*_given: object, **_more: object) -> None:
        with contextlib.closing(sqlite3.connect(search.out / "study.db")) as database:
            database.execute("DROP TABLE trial_values")

    monkeypatch.setattr("mien.train.run.run", run)
    monkeypatch.setattr(searching, "score", lambda _folder: 0.5)
    with pytest.raises(RunError, match=r"study.db cannot be reached any more: .*trial_values"):
        work(search, told.append)


def test_a_search_without_a_finished_trial_has_no_best(search):
    with pytest.raises(RunError, match="no trial of 'tiny' was trained to its end"):
        write_results(search)


CHILD = """
import sys
from pathlib import Path
from mien.search import study
from mien.search.space import Range, Space
study.HEARTBEAT_S = 1
space = Space({"training.optimizer.lr": Range(0.001, 0.1, log=True), "training.batch": (16, 32)})
recipe, data, out = sys.argv[1:]
study.work(study.Search(recipe, ("training.epochs=400",), space, Path(data), Path(out), 1), print)
"""


def test_the_trial_of_a_killed_worker_is_continued_in_its_folder(search, told, monkeypatch):
    search = dataclasses.replace(search, changes=("training.epochs=400",), trials=1)
    command = [sys.executable, "-c", CHILD, search.recipe, str(search.data), str(search.out)]
    history = search.folder_of(0).history_file
    with subprocess.Popen(command) as child:
        while not history.exists():
            assert child.poll() is None
            time.sleep(0.1)
        os.kill(child.pid, signal.SIGKILL)
    monkeypatch.setattr(searching, "HEARTBEAT_S", 1)
    resumed: list[tuple[Path, bool]] = []

    def run(_recipe, _data, out: Path, *, resume: bool, shown: object) -> None:
        resumed.append((out, resume))

    monkeypatch.setattr("mien.train.run.run", run)
    time.sleep(5)  # until its silence is noticed
    work(search, told.append)
    assert resumed == [(search.folder_of(0).path, True)]
    states = [trial.state.name for trial in open_study(search).trials]
    assert states == ["FAIL", "COMPLETE"]


def test_the_trial_of_a_stopped_search_is_continued_in_its_folder(search, told, monkeypatch):
    search, begun, logged = dataclasses.replace(search, trials=1), [], logging.Handler()
    logged.emit = lambda record: told.append(record.getMessage())
    monkeypatch.setattr(logging.getLogger("optuna"), "handlers", [logged])

    def run(recipe, _data, out: Path, *, resume: bool, shown: object) -> None:
        begun.append((recipe, out))
        if len(begun) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr("mien.train.run.run", run)
    monkeypatch.setattr(searching, "score", lambda _folder: 0.5)
    with pytest.raises(KeyboardInterrupt):
        work(search, told.append)
    assert told == [], "to stop is no failure"
    work(search, told.append)
    assert begun[0] == begun[1] and len(begun) == 2
    assert [t.state.name for t in open_study(search).trials] == ["FAIL", "COMPLETE"]


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The address of a database of a server of its own, which never runs as root."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    path = os.pathsep.join([*map(str, found[-1:]), os.environ["PATH"]])
    if shutil.which("initdb", path=path) is None:
        pytest.skip("needs PostgreSQL (Debian: postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="mien-postgres-"))  # pytest's is closed to others
    own = ["runuser", "-u", "nobody", "--"] if os.getuid() == 0 else []
    if own:
        shutil.chown(folder, "nobody")
    settings = f"-c listen_addresses= -k {folder} -c fsync=off"

    def call(*words: str) -> None:
        environment = {**os.environ, "PATH": path, "LC_ALL": "C"}
        subprocess.run([*own, *words], check=True, env=environment, stdout=subprocess.DEVNULL)

    call("initdb", "-D", f"{folder}/data", "-A", "trust", "-U", "mien", "-E", "UTF8")
    call("pg_ctl", "-D", f"{folder}/data", "-w", "-l", f"{folder}/log", "-o", settings, "start")
    try:
        yield f"postgresql+psycopg://mien@/postgres?host={folder}"
    finally:
        call("pg_ctl", "-D", f"{folder}/data", "-m", "immediate", "stop")
        shutil.rmtree(folder)


def test_two_workers_share_a_study_in_postgresql(search, postgres, capfd):
    changes = ("training.epochs=1", "data.limit=60")
    search = dataclasses.replace(search, storage=postgres, trials=4, changes=changes)
    side_by_side(search, 2, print)
    trials = open_study(search).trials
    done = [trial for trial in trials if trial.state.name in ("COMPLETE", "PRUNED")]
    assert 4 <= len(done) <= 5  # a worker ends its own trial when the other's was the last
    assert len({trial.number for trial in trials}) == len(trials)
    assert capfd.readouterr().out.count("trial ") >= 4
    assert write_results(search).is_file()


def test_machines_need_a_database_that_all_of_them_reach(search):
    with pytest.raises(InputError, match="machines cannot share a SQLite file; expected --storage"):
        on_ray(search, 2, "ray://head:10001", print)


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="no Ray (mien[ray])")
def test_workers_on_ray_share_a_study_and_one_that_is_killed_begins_again(search, told, capsys):
    changes = ("training.epochs=1", "data.limit=60")
    search = dataclasses.replace(search, trials=4, changes=changes)
    killed: list[int] = []

    def tell(text: str) -> None:
        told.append(text)
        sys.stdout.write(f"{text}\n")
        found = subprocess.run(["pgrep", "-f", "ray::_work"], capture_output=True, text=True)
        if not killed:
            killed.append(int(found.stdout.split()[0]))
            os.kill(killed[0], signal.SIGKILL)

    on_ray(search, 2, "local", tell)
    states = [trial.state.name for trial in open_study(search).trials]
    assert killed
    assert sum(state in ("COMPLETE", "PRUNED") for state in states) >= 4
    assert len(told) >= 4 and all(text.startswith("trial ") for text in told)
    assert capsys.readouterr().out.splitlines() == told
    assert write_results(search).is_file()


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="no Ray (mien[ray])")
def test_what_a_worker_on_ray_raises_is_raised_here(search, tmp_path):
    other = dataclasses.replace(search, data=tmp_path / "none")
    with pytest.raises(InputError, match="none"):
        on_ray(other, 1, "local", print)
