"""The `mien` command: arguments in, library calls, errors as one line and exit code 2.

Exit code 3: all was written, but something could not be read.
"""

import io
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

import mien
from mien.cli.bundles import ensemble, export, pull, push, quantize
from mien.cli.data import data_audit, data_crop, data_draw, data_stats, data_synthesize, data_votes
from mien.cli.recognition import demo, recognize, report, watch
from mien.cli.scoring import calibrate, compare, evaluate, explain, groups
from mien.cli.searching import search
from mien.cli.serving import PREFIX, GroupedCommand, page, serve
from mien.cli.training import recipes, train
from mien.errors import FileError, InputError, MienError

app = typer.Typer(
    name="mien",
    help="Read facial expressions: recognise, train, evaluate, compare and export classifiers.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: rich's takes 0.15 s more to load
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(
    help="Look at data sets, clean them, make new ones.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(data_app, name="data")

COMMANDS: tuple[Callable[..., None], ...] = (
    *(recognize, report, serve, page, demo, watch),
    *(train, search, recipes, evaluate, calibrate, compare, groups, explain),
    *(export, ensemble, quantize, push, pull),
)
_SPECIAL: dict[Callable[..., None], dict[str, Any]] = {
    serve: {"cls": GroupedCommand, "context_settings": {"auto_envvar_prefix": PREFIX}}
}
for _command in COMMANDS:
    app.command(**_SPECIAL.get(_command, {}))(_command)
data_app.command("stats")(data_stats)
data_app.command("audit")(data_audit)
data_app.command("crop")(data_crop)
data_app.command("draw")(data_draw)
data_app.command("votes")(data_votes)
data_app.command("synthesize")(data_synthesize)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"mien {mien.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command; every foreseen error is one line on standard error and exit code 2."""
    for stream in (sys.stdout, sys.stderr):  # names of files need not be printable
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        _refuse_empty(sys.argv[1:])
        app()
    except MienError as error:
        _fail(str(error))
    except OSError as error:
        _fail(str(FileError(error.errno, error.strerror or str(error), error.filename)))


def _refuse_empty(arguments: list[str]) -> None:
    """InputError for an option without a value: as a path it would be the current folder."""
    for name, value in zip(arguments, [*arguments[1:], "x"], strict=True):
        option, is_joined, joined = name.partition("=")
        if option.startswith("--") and (value == "" or (is_joined and joined == "")):
            raise InputError(f"{option} is empty; give a value, or leave {option} out")


def _fail(message: str) -> None:
    sys.stderr.write(f"mien: {' '.join(message.split())}\n")
    sys.exit(2)
