"""What can be wrong with a training, said before torch is imported."""

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mien.bundle import CARD_FILE, is_shipped, pulled
from mien.data import check_outside, check_source
from mien.errors import InputError, RecipeError, RunError
from mien.extras import installed
from mien.files import existing, offline
from mien.models.spec import hint
from mien.recipes import Recipe, load_recipe, recipe_names
from mien.runs import RunFolder

RUNS = Path("runs")
"""Where runs are kept by default."""


LOGGERS = ("tensorboard", "csv", "wandb", "mlflow")
"""Where the figures of a training can go, besides history.csv."""
DEFAULT_LOGGERS = ("tensorboard",)


def check(
    recipe: Recipe,
    source: Path,
    out: Path,
    *,
    resume: bool = False,
    loggers: Sequence[str] = DEFAULT_LOGGERS,
) -> None:
    """Raise if the training cannot start or continue.

    InputError or DataError for files that are missing or no data set, RecipeError for a teacher
    that is nothing known, RunError if `out` holds another run; InputError and MissingExtra for
    loggers that are not there.
    """
    _check_loggers(loggers)
    asked = recipe.asked
    for path in (source, *(Path(other.path) for other in recipe.data.also)):
        check_source(path, asked)
        check_outside(out, path)
        asked = replace(asked, format=None)
    if recipe.data.votes is not None and recipe.training.loss.votes:
        existing(recipe.data.votes, "FER+ table")
    for table in ("exclude", "relabel", "weights"):
        if (path := getattr(recipe.data, table)) is not None:
            existing(path, f"{table} table")
    find_teachers(recipe, out)
    _check_folder(recipe, RunFolder(out), resume)


def lengthens(recipe: Recipe, begun: Recipe) -> bool:
    """Whether `recipe` is `begun` with more epochs. Its schedule is that of all of them: the rate
    rises again from where that of `begun` ended."""
    if recipe.training.finish or recipe.training.epochs <= begun.training.epochs:
        return False
    training = begun.training.model_copy(update={"epochs": recipe.training.epochs})
    return begun.model_copy(update={"training": training}) == recipe


def _check_loggers(names: Sequence[str]) -> None:
    for name in names:
        if name not in LOGGERS:
            raise InputError(f"no logger {name!r}{hint(name, LOGGERS)}")
        if name in ("wandb", "mlflow"):
            installed(name, extra=name)
    place = os.environ.get("MLFLOW_TRACKING_URI", "")
    if "mlflow" in names and offline() and place.startswith("http"):
        raise InputError(f"nothing is sent to {place}, as MIEN_OFFLINE is set; unset one of them")


def free_place(name: str, *, resume: bool = False) -> Path:
    """`runs/NAME`, or the first of `runs/NAME-2`, `runs/NAME-3`, ... that is free.

    With `resume`, the last that is taken.
    """
    number = re.compile(rf"{re.escape(name)}(?:-(\d+))?")
    there = [match for p in RUNS.glob(f"{name}*") if (match := number.fullmatch(p.name))]
    last = max((int(match[1] or 1) for match in there), default=0)
    wanted = max(1, last + (not resume))
    return RUNS / (name if wanted == 1 else f"{name}-{wanted}")


def find_teachers(recipe: Recipe, out: Path) -> tuple[list[Path | str], list[str]]:
    """Where the teachers of `recipe` are (run folder, bundle folder or shipped name), and the names
    of those that are not trained yet.

    A name is that of a run beside `out` or in `runs/`, or of a bundle in the package. Raises
    RecipeError for a name that is neither, and not a recipe's.
    """
    found: list[Path | str] = []
    missing = []
    for name in recipe.training.distil.teachers:
        if (place := _find_teacher(name, out.parent)) is not None:
            found.append(place)
        elif name in recipe_names():
            missing.append(name)
        else:
            raise RecipeError(
                f"no teacher {name!r}: expected a run, a bundle, or a recipe whose run lies in "
                f"{out.parent}; change training.distil.teachers"
            )
    return found, missing


def _find_teacher(name: str, beside: Path) -> Path | str | None:
    if is_shipped(name):
        return name
    places = (Path(name), beside / name, RUNS / name, pulled(name))
    known = (p for p in places if RunFolder(p).is_run or (p / CARD_FILE).is_file())
    return next(known, None)


def _check_folder(recipe: Recipe, run: RunFolder, resume: bool) -> None:
    """Refuse to mix two runs in one folder."""
    out = run.path
    if resume:
        if not run.is_run:
            raise RunError(f"{out} holds no run to resume; leave --resume out to start one")
        begun, recipe = load_recipe(run.recipe_file).placed, recipe.placed  # 0.1: as typed
        if begun != recipe and not lengthens(recipe, begun):
            raise RunError(
                f"{out} was begun with another recipe or --set; only a larger training.epochs may "
                f"differ, in recipes without training.finish; resume with: "
                f"mien train {run.recipe_file} --data DATA --out {out} --resume"
            )
    elif out.exists() and not out.is_dir():
        raise RunError(f"{out} is a file; choose another --out")
    elif out.exists() and any(out.iterdir()):
        raise RunError(f"{out} is not empty; add --resume to continue it, or choose another --out")
