"""Tables that are written row by row, valid after any interruption, and can be continued."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol

from mien.errors import FileError, InputError
from mien.files import file_errors
from mien.locks import held
from mien.origin import Origin
from mien.output.lines import Csv, JsonLines, StandardOutput
from mien.output.parquet import Parquet, new_parquet
from mien.types import Readings

_FORMATS = {".csv": ".csv", ".jsonl": ".jsonl", ".ndjson": ".jsonl", ".parquet": ".parquet"}
_ORDER = (".jsonl", ".parquet", ".csv")
"""The .csv is the last: what a kill leaves in it is in the others, too."""


def format_of(path: Path) -> str:
    """.csv, .jsonl or .parquet, by the suffix in any case; InputError for another one."""
    try:
        return _FORMATS[path.suffix.lower()]
    except KeyError:
        raise InputError(
            f"{path}: cannot write {path.suffix!r}; use .csv, .jsonl or .parquet"
        ) from None


class Table(Protocol):
    """Takes the readings of one picture or frame after the other."""

    def write(self, readings: Readings) -> None:
        """Add the readings of one picture or frame, all or none."""
        ...

    def close(self) -> None:
        """Finish the file."""
        ...


def open_table(path: Path, labels: Sequence[str], *, resume: bool = False) -> Table:
    """A table in the format of its suffix: .csv, .jsonl or .parquet; see `Tables`."""
    with contextlib.ExitStack() as stack:
        tables = stack.enter_context(Tables([path], labels, resume=resume))
        tables.begin()
        stack.pop_all()
    return tables


class Tables:
    """The tables of a run, with a row or line for every reading; a context manager.

    On entering, other processes are kept off, and nothing is changed yet. With `resume`, `done` has
    what an interrupted run has read; its last picture is left out, of which a row may be missing,
    unless the run is known to have ended there. `begin` makes the tables new, or cuts them to what
    is done. A block that fails leaves whole lines in tables of text, and of a .parquet what was
    there before.

    `origin` is told beside the tables, and continued are those of the same one. `stdout` is a
    format, .csv or .jsonl, for standard output; `bom` tells Excel that a new .csv is in UTF-8.
    Raises InputError for another suffix, for a table that another process writes, and for one that
    cannot be continued.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        labels: Sequence[str],
        origin: Origin | None = None,
        *,
        resume: bool = False,
        bom: bool = False,
        stdout: str | None = None,
    ) -> None:
        self._paths = sorted(paths, key=lambda path: _ORDER.index(format_of(path)))
        self._labels, self._origin = tuple(labels), origin
        self._resume, self._bom, self._stdout = resume, bom, stdout
        self._stack = contextlib.ExitStack()
        self._begun = False
        self._tables: list[Csv | JsonLines | Parquet | StandardOutput] = []
        self.done = Readings(labels=labels)
        self.notes: list[str] = []
        """What the user should know of tables that are continued."""

    def __enter__(self) -> "Tables":
        with contextlib.ExitStack() as stack:
            self._tables = [self._opened(stack, path) for path in self._paths]
            if self._resume:
                self._recall()
            self._stack = stack.pop_all()
        if self._stdout is not None:
            self._tables.append(StandardOutput(self._stdout, self._labels))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
            return
        if self._begun and isinstance(
            error, Exception
        ):  # between two pictures, of which all is kept
            with contextlib.suppress(FileError):
                for table in self._tables:
                    if isinstance(table, Csv | JsonLines):
                        table.finish()
        self._stack.__exit__(kind, error, trace)

    def begin(self) -> None:
        """Make the tables anew, or cut them to what is done."""
        for table in self._tables:
            table.begin()
        self._begun = True

    def write(self, readings: Readings) -> None:
        """Add the readings of one picture or frame, all or none."""
        for table in self._tables:
            table.write(readings)

    def close(self) -> None:
        """Finish the files."""
        with self._stack:
            for table in self._tables:
                table.finish()

    def _opened(self, stack: contextlib.ExitStack, path: Path) -> Csv | JsonLines | Parquet:
        if format_of(path) == ".csv":
            file = stack.enter_context(held(path))
            return Csv(file, path, self._labels, self._origin, bom=self._bom)
        if format_of(path) == ".jsonl":
            return JsonLines(stack.enter_context(held(path)), path, self._labels, self._origin)
        if self._resume:
            raise InputError(f"{path} cannot be continued: Parquet is written whole; use a .csv")
        return stack.enter_context(new_parquet(path, self._labels, self._origin))

    def _recall(self) -> None:
        """Find what is done in the .csv, which is the last one, and as many lines of JSON."""
        done = None
        for table in reversed(self._tables):
            if isinstance(table, Csv):
                self.done = done = table.recall()
            elif isinstance(table, JsonLines):
                table.recall(done)
            if isinstance(table, Csv | JsonLines):
                self.notes += table.check_origin()


def done_in(path: Path, labels: Sequence[str]) -> Readings:
    """The readings in a .csv, none if there is no such file; a row that was cut off is left out.

    InputError if its columns are not those of `labels`, or for a row that was not written here.
    """
    if not path.exists():
        return Readings(labels=labels)
    with file_errors(path), path.open("rb", buffering=0) as file:
        return Csv(file, path, tuple(labels)).read()
