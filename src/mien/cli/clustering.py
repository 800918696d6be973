"""`mien recognize --on`: the same readings by many machines."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mien.cli.show import end, say, warn
from mien.errors import FileError, InputError, RunError
from mien.extras import installed

if TYPE_CHECKING:
    from mien.cluster.driver import Need, Progress
    from mien.cluster.plan import Job

_TOLD_S = 30.0
_NAMED = 5
"""Files that cannot be read, of which the command says why."""


def check_on(sources: list[str], out: str | None, others: Mapping[str, object]) -> None:
    """InputError for what does not go with --on; MissingExtra without Ray."""
    installed("ray", extra="ray")
    installed("pyarrow", extra="ray")
    if out is None:
        raise InputError("--on writes tables of Parquet alone; add --parquet FOLDER")
    if Path(out).is_file() or out == "-":
        raise InputError(f"--parquet {out}: with --on expected a folder; choose another name")
    if "-" in sources:
        raise InputError("--on reads files and addresses; give a Parquet table of paths for -")
    if given := [option for option, value in others.items() if value]:
        raise InputError(
            f"{', '.join(given)} cannot be had with --on, which writes --parquet alone; leave "
            f"{'it' if len(given) == 1 else 'them'} out"
        )


def check_alone(sources: list[str], out: str | None, cards: float) -> None:
    """InputError for what only --on has."""
    from mien.cluster.stores import is_stored

    if cards:
        raise InputError("--cards is the share of a worker of --on; add --on, or leave it out")
    if stored := [*filter(is_stored, [*sources, out or ""])]:
        raise InputError(f"{stored[0]} is in a store, which --on reads and writes; add --on local")


def recognize_on(address: str, sources: list[str], job: "Job", cards: float) -> None:
    """Read `sources` on a Ray cluster; each worker has a core for each thread."""
    from mien.cluster.connection import check_answers, connected
    from mien.cluster.driver import run
    from mien.cluster.listing import listed
    from mien.cluster.plan import first_errors, parts_of, save_plan, saved_plan, shared
    from mien.cluster.reading import recognizer_of
    from mien.cluster.stores import Place, is_stored

    check_answers(address)  # before the sources are listed, which takes minutes of many
    job, each = _for_workers(job, cards)
    here = {**(job.recognizer or {}), "device": "cpu"}  # the command may run where no card is
    with recognizer_of(replace(job, recognizer=here)) as recognizer:
        origin = recognizer.origin(job.cut)
    parts = saved_plan(job, sources, origin)
    if parts is None:
        entries, notes = listed(sources, job.cut, job.private)
        for note in notes:
            warn(note)
        parts = parts_of(entries, job.photos)
        save_plan(parts, job, sources, origin)
    job = replace(job, shared=shared(parts), stores=tuple(filter(is_stored, sources)))
    try:
        with connected(address) as ray, _bar() as tell:
            summary, progress = run(ray, job, parts, origin, each, tell)
    except KeyboardInterrupt:
        sys.stderr.write("mien: stopped; the same command goes on\n")
        raise typer.Exit(130) from None
    except FileError as error:
        raise RunError(f"{error}; the same command goes on") from error
    for note in summary.warnings:
        warn(note)
    _name(first_errors(job.out, parts, _NAMED) if summary.unreadable else [], summary.unreadable)
    say(summary.describe())
    say(f"saved: {Place(job.out).name}")
    if progress.failed:
        raise RunError(
            f"{len(progress.failed)} of {len(parts)} parts could not be read, such as "
            f"{progress.failed[0]}; the same command tries again"
        )
    end(summary.unreadable > 0)


def _name(errors: list[str], number: int) -> None:
    """Say the first of so many errors."""
    for error in errors:
        warn(error)
    if number > len(errors):
        warn(f"{number - len(errors)} more: the rows whose status is unreadable")


def _for_workers(job: "Job", cards: float) -> tuple["Job", "Need"]:
    """The job as it is told to workers, which have other folders and one core."""
    from mien.cluster.driver import Need
    from mien.cluster.stores import Place

    given = dict(job.recognizer or {})
    given["threads"] = given["threads"] or 1
    cards = cards or float(given["device"] == "cuda")
    if not cards:
        given["device"] = "cpu"
    told = replace(job, recognizer=given, base=str(Path.cwd()), out=Place(job.out).address)
    return told, Need(given["threads"], cards)


@contextmanager
def _bar() -> "Iterator[Callable[[Progress], None]]":
    """Shows where the run is: a bar on a terminal, else a line now and then."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console, begun_s = Console(stderr=True), time.monotonic()
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    told_s = begun_s
    with Bar(
        *columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("parts", total=None)

        def tell(progress: "Progress") -> None:
            nonlocal told_s
            now_s = time.monotonic()
            line = _line(progress, now_s - begun_s)
            bar.update(task, description=line, total=progress.parts, completed=progress.done)
            if not console.is_terminal and now_s - told_s > _TOLD_S:
                told_s = now_s
                warn(f"{progress.done}/{progress.parts} {line}")

        yield tell


def _line(progress: "Progress", seconds: float) -> str:
    workers = f"{progress.workers} worker{'s' * (progress.workers != 1)}"
    parts = [f"parts, {workers}, {progress.pictures / seconds:.1f} pictures/s"]
    if progress.unreadable:
        parts.append(f"{progress.unreadable} unreadable")
    if progress.again:
        parts.append(f"{progress.again} tried again")
    return ", ".join(parts)
