"""The command that searches for the values of a recipe."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.options import DataPath
from mien.cli.show import need_train, say, warn
from mien.cli.training import say_what_is_missing
from mien.extras import installed

if TYPE_CHECKING:
    from mien.recipes import Recipe
    from mien.search.study import Search


def search(
    recipe: Annotated[str, typer.Argument(help="Recipe: a name in the package, or a YAML file.")],
    data: DataPath,
    space: Annotated[
        Path, typer.Option(help="Keys to try, with their ranges or choices.", metavar="YAML")
    ],
    trials: Annotated[int, typer.Option(help="How many trainings in all.")] = 24,
    sampler: Annotated[str, typer.Option(help="tpe (Bayesian), random or grid.")] = "tpe",
    pruner: Annotated[
        str, typer.Option(help="What ends hopeless trainings: asha, median or none.")
    ] = "asha",
    workers: Annotated[int, typer.Option(help="Trainings side by side.", min=1)] = 1,
    on: Annotated[
        str | None,
        typer.Option(help="Train on a Ray cluster: ray://HOST:10001, or local.", metavar="ADDRESS"),
    ] = None,
    votes: Annotated[
        Path | None, typer.Option(help="FER+ votes on the images.", metavar="CSV")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change the recipe of all trainings.", metavar="KEY=VAL"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder. Default: searches/RECIPE.", metavar="DIR"),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(help="Database that workers share. Default: a SQLite file.", metavar="URL"),
    ] = None,
    study: Annotated[str | None, typer.Option(help="Name in the database.")] = None,
) -> None:
    """Search for a recipe's best values in many trainings.

    Leaves DIR/best.yaml and DIR/search.html. The same command goes on with a stopped search.
    """
    need_train()
    installed("optuna", extra="search")
    if on is not None:
        installed("ray", extra="ray")
    from mien.search.space import check_space, read_space
    from mien.search.study import Search
    from mien.train.check import check

    table = [] if votes is None else [f"data.votes={json.dumps(str(votes.resolve()))}"]
    changes, tried = [*(set_ or []), *table], read_space(space)
    chosen = check_space(recipe, changes, tried)
    folder = out or Path("searches") / chosen.name
    wanted = Search(
        recipe, tuple(changes), tried, data, folder, trials, sampler, pruner, storage, study
    )
    check(chosen, data, folder / "trials" / "next")
    _train(wanted, chosen, workers, on)


def _train(search: "Search", recipe: "Recipe", workers: int, on: str | None) -> None:
    from mien.search.on_ray import on_ray
    from mien.search.results import write_results
    from mien.search.workers import side_by_side
    from mien.train.check import RUNS

    say_what_is_missing(recipe, search.data, RUNS / recipe.name)
    try:
        if on is None:
            side_by_side(search, workers, say)
        else:
            on_ray(search, workers, on, say)
    except KeyboardInterrupt:
        warn("stopped; the same command goes on")
        raise typer.Exit(130) from None
    best = write_results(search)
    say(f"best:    {best}")
    say(f"page:    {best.with_name('search.html')}")
    say(f"next:    mien train {best} --data {search.data}")
