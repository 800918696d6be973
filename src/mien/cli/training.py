"""Commands that train."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.bundles import calibrate_bundle
from mien.cli.options import DataFormat, DataLabels, DataPaths
from mien.cli.show import busy, console, need_report, need_train, say, warn
from mien.errors import InputError

if TYPE_CHECKING:
    from mien.bundle import Bundle
    from mien.recipes import Recipe


def train(
    recipe: Annotated[str, typer.Argument(help="Recipe: a name in the package, or a YAML file.")],
    data: DataPaths,
    format_: DataFormat = None,
    labels: DataLabels = None,
    votes: Annotated[
        Path | None,
        typer.Option(help="FER+ votes on the images. Default: learn from labels.", metavar="CSV"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Run folder. Default: runs/RECIPE.", metavar="RUN"),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change the recipe, e.g. training.epochs=5.", metavar="KEY=VAL"),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(help="Continue an interrupted run, or one with a larger training.epochs."),
    ] = False,
    logger: Annotated[
        list[str] | None,
        typer.Option(
            help="tensorboard (default), csv, wandb or mlflow; may be repeated.", metavar="NAME"
        ),
    ] = None,
    devices: Annotated[
        int, typer.Option(min=1, help="Graphics cards, or processes where there is none.")
    ] = 1,
) -> None:
    """Train a model; export its best epoch to RUN/bundle.

    On several machines, start it by torchrun or srun, with one --out that all of them see.
    """
    need_train()
    from mien.recipes import load_recipe
    from mien.train.check import DEFAULT_LOGGERS, check, free_place
    from mien.train.launch import launch, place, shares

    first, *others = data
    given = {"votes": votes and str(votes), "format": format_, "labels": labels}
    changes = [*(set_ or []), *_changes(given)]
    chosen = load_recipe(recipe, changes)
    if others:
        chosen = load_recipe(recipe, [*changes, *_changes({"also": _also(chosen, others)})])
    rank, processes = place()
    if processes > 1 and out is None:
        raise InputError(f"{processes} processes train together: give all of them one --out RUN")
    run = out or free_place(chosen.name, resume=resume)
    loggers = tuple(dict.fromkeys(logger or DEFAULT_LOGGERS))
    if rank > 0:  # the first says and writes what there is to say and to write
        _fit(chosen, first, run, resume, loggers)
        return
    check(chosen, first, run, resume=resume, loggers=loggers)
    if processes == 1 and devices > 1:
        shares(chosen.training.batch, devices)
        raise typer.Exit(launch(devices, [*sys.argv[1:], *([] if out else ["--out", str(run)])]))
    say_what_is_missing(chosen, first, run)
    _read(chosen, first)
    bundles = _fit(chosen, first, run, resume, loggers)
    say(f"trained: {run}\nbest:    {_best(run)}")
    for bundle in bundles:
        say(f"bundle:  {bundle.folder}")
    say(f"next:    mien evaluate {run} --data {first}")


def _also(recipe: "Recipe", others: Sequence[Path]) -> list[dict[str, Any]]:
    """The further data sets of a recipe and those of `--data`, each once."""
    there = recipe.data.also
    places = {Path(one.path).resolve() for one in there}
    new = [{"path": str(path)} for path in others if path.resolve() not in places]
    return [*(one.model_dump() for one in there), *new]


def _changes(given: dict[str, Any]) -> list[str]:
    """The keys of `data` that options give, as `--set` takes them."""
    if (labels := given.get("labels")) is not None and labels.isdecimal():
        given = {**given, "labels": int(labels)}
    return [f"data.{key}={json.dumps(value)}" for key, value in given.items() if value is not None]


def _read(recipe: "Recipe", data: Path) -> None:
    """Decode the data, which says what is wrong with it before torch is loaded, and what of it is
    left out."""
    from mien.runs import data_of

    with busy("reading the data"):
        found = data_of(recipe, data)
    if found.told:
        keep = "; --labels 8 keeps contempt" if "contempt" in found.left_out else ""
        say(f"left out: {found.told}{keep}")


def say_what_is_missing(recipe: "Recipe", data: Path, run: Path) -> None:
    """Votes and teachers that the recipe would learn from."""
    from mien.train.check import find_teachers

    if recipe.training.loss.votes and recipe.data.votes is None:
        say("no FER+ votes given (--votes FILE): learning from labels alone")
    for name in find_teachers(recipe, run)[1]:
        say(
            f"teacher {name} is not trained, learning without it; it is made by: "
            f"mien train {name} --data {data} --out {run.parent / name}"
        )


def _best(run: Path) -> str:
    """Which epoch was kept, and where."""
    from mien.runs import RunFolder

    folder = RunFolder(run)
    history = folder.history
    best = history.best
    return (
        f"epoch {best + 1} of {len(history.epochs)}, validation accuracy "
        f"{history['val_accuracy'][best]:.4f}: {folder.best_checkpoint}"
    )


def _fit(
    recipe: "Recipe", data: Path, run: Path, resume: bool, loggers: tuple[str, ...]
) -> "list[Bundle]":
    """Train, export and calibrate."""
    with busy("loading torch"):
        from mien.package import package
        from mien.runs import RunFolder, data_of
        from mien.train.launch import place
        from mien.train.run import run as fit
    try:
        fit(recipe, data, run, resume=resume, loggers=loggers)
    except KeyboardInterrupt:
        if not place()[0]:
            last = "the same command with --resume goes on after the last whole epoch"
            warn(f"stopped; {last} ({run})")
        raise typer.Exit(130) from None
    if place()[0]:
        return []
    with busy("exporting"):
        bundles = package(run, data_of(recipe, data))
    for bundle in bundles:
        calibrate_bundle(bundle, data, RunFolder(run))
    return bundles


def recipes(
    name: Annotated[
        str | None, typer.Argument(help="Print this one, with every key.", metavar="[NAME]")
    ] = None,
) -> None:
    """List the recipes in the package, or print one."""
    need_report()
    from rich.markup import escape
    from rich.table import Table

    from mien.recipes import load_recipe, recipe_names

    if name is not None:
        say(load_recipe(name).to_yaml())
        return
    table = Table(box=None, header_style="bold")
    for heading in ("recipe", "model", "input", "epochs", "about"):
        table.add_column(heading)
    for each in recipe_names():
        r = load_recipe(each)
        size = f"{r.input.size_px} px"
        table.add_row(each, r.model.name, size, str(r.training.all_epochs), escape(r.about))
    console().print(table)
