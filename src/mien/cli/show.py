"""What the commands share: words, tables and bars on the terminal, and packages to ask for."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import typer

from mien.extras import installed

_REPORT = ("yaml", "pydantic", "sklearn", "pandas", "pyarrow", "matplotlib", "jinja2")


def need_report() -> None:
    """Raise MissingExtra unless what reads data sets and evaluations is installed."""
    for module in _REPORT:
        installed(module, extra="report")


def need_train() -> None:
    """Raise MissingExtra unless what trains is installed."""
    for module in (*_REPORT, "torch", "timm", "lightning", "onnx", "onnxscript"):
        installed(module, extra="train")


UNREADABLE = 3
"""Exit code where all was written, but something could not be read."""


def end(unreadable: bool) -> None:
    """The command is through; its exit code tells whether something was `unreadable`."""
    if unreadable:
        raise typer.Exit(UNREADABLE)


def warn(text: str) -> None:
    """Tell the user apart from the results."""
    sys.stderr.write(f"mien: {text}\n")


def console() -> Any:
    """Where tables go."""
    from rich.console import Console

    # Piped output is for programs and files: its lines are never folded.
    console = Console()
    return console if console.is_terminal else Console(width=160)


def say(text: str) -> None:
    """Tell the user, or the next program."""
    typer.echo(text)


def busy(message: str) -> Any:
    """A spinner on standard error while something takes a while."""
    from rich.console import Console

    return Console(stderr=True).status(message)


@contextlib.contextmanager
def bar(total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """A progress bar on standard error; call what it gives with the number done."""
    with unknown_bar(unit) as (begin, advance):
        begin(total)
        yield advance


@contextlib.contextmanager
def unknown_bar(
    unit: str,
) -> Iterator[tuple[Callable[[int | None], None], Callable[[int], None]]]:
    """The same where the total is told later: what takes the total, and what the number done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn(unit), TimeLeft())
    console = Console(stderr=True)
    hidden = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as progress:
        task = progress.add_task("", total=None)
        yield (
            lambda total: progress.update(task, total=total),
            lambda done: progress.advance(task, done),
        )
