"""Commands that train."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from mien.cli.bundles import export_run
from mien.cli.options import DataPath
from mien.cli.show import busy, console, need_report, need_train, say


def train(
    recipe: Annotated[str, typer.Argument(help="Recipe: a name in the package, or a YAML file.")],
    data: DataPath,
    out: Annotated[Path, typer.Option("--out", "-o", help="Run folder.", metavar="RUN")],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change the recipe, e.g. training.epochs=5.", metavar="KEY=VAL"),
    ] = None,
    resume: Annotated[bool, typer.Option(help="Continue an interrupted run.")] = False,
) -> None:
    """Train a model; export its best epoch to RUN/bundle."""
    need_train()
    from mien.recipe import load_recipe

    chosen = load_recipe(recipe, set_)
    with busy("loading torch"):
        from mien.train.run import run
    try:
        run(chosen, data, out, resume=resume)
    except KeyboardInterrupt:
        sys.stderr.write(f"mien: stopped; continue with the same command and --resume ({out})\n")
        raise typer.Exit(130) from None
    bundle = export_run(out, data, out / "bundle")
    say(f"trained: {out}\nbundle:  {bundle}\nnext:    mien evaluate {out} --data {data}")


def recipes() -> None:
    """List the recipes in the package."""
    need_report()
    from rich.markup import escape
    from rich.table import Table

    from mien.recipe import load_recipe, recipe_names

    table = Table(box=None, header_style="bold")
    for heading in ("recipe", "model", "input", "epochs", "about"):
        table.add_column(heading)
    for name in recipe_names():
        r = load_recipe(name)
        size = f"{r.input.size_px} px"
        table.add_row(name, r.model.name, size, str(r.training.all_epochs), escape(r.about))
    console().print(table)
