"""Trainings of a search on the machines of a Ray cluster."""

import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

from mien.cluster.connection import connected
from mien.errors import InputError, MienError, RunError
from mien.extras import need
from mien.search.study import Search, line, open_study, work

_TRIES = 5
_LOOK_S = 5.0


def on_ray(search: Search, workers: int, address: str, tell: Callable[[str], None]) -> None:
    """Work on the study in so many tasks of a cluster, or of this machine (`local`).

    Each has a card, where there are any, else its share of the cores. One whose machine is lost
    begins anew on another, and the study has its trial begun again. All machines see the data set
    and the search's folder under the same paths. Raises the errors of `work` and `connected`;
    RunError for a worker that was lost too often.
    """
    if address != "local" and search.storage is None:
        raise InputError(
            "machines cannot share a SQLite file; expected --storage "
            "postgresql+psycopg://user@host/database, which all of them reach"
        )
    placed = _placed(search)
    study = open_study(placed)
    over = {trial.number for trial in study.trials if trial.state.is_finished()}
    out = sys.stdout
    with connected(address) as ray:  # which keeps Ray's own words from standard output
        task = ray.remote(_work).options(**_share(ray, workers), max_retries=_TRIES - 1)
        left = [task.remote(placed) for _ in range(workers)]
        while left:
            ended, left = ray.wait(left, timeout=_LOOK_S)
            for trial in study.trials:
                if trial.state.is_finished() and trial.number not in over:
                    over.add(trial.number)
                    with redirect_stdout(out):
                        tell(line(study, trial, search.trials))
            _check(ray, ended)


def _work(search: Search) -> None:
    """What a task does; what it tells is seen in the study."""
    work(search, lambda _text: None)


def _placed(search: Search) -> Search:
    """The search with whole paths: a task has a folder of its own."""
    recipe = Path(search.recipe)
    name = str(recipe.resolve()) if recipe.is_file() else search.recipe
    return replace(search, recipe=name, data=search.data.resolve(), out=search.out.resolve())


def _share(ray: Any, workers: int) -> dict[str, float]:
    """What one of so many workers takes of a machine."""
    there = ray.cluster_resources()
    if there.get("GPU"):
        return {"num_cpus": 1, "num_gpus": 1}
    most = max(node["Resources"].get("CPU", 1) for node in ray.nodes() if node["Alive"])
    return {"num_cpus": max(1, min(there.get("CPU", 1) // workers, most))}


def _check(ray: Any, ended: list[Any]) -> None:
    """Raise what a worker has ended with."""
    errors = need("ray.exceptions", extra="ray")
    try:
        ray.get(ended)
    except errors.RayTaskError as error:
        if isinstance(error.cause, MienError):
            raise error.cause from None
        raise
    except errors.RayError as error:
        raise RunError(
            f"a worker was lost {_TRIES} times: {' '.join(str(error).split())[:200]}; "
            "the same command goes on"
        ) from error
