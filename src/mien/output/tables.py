"""Tables that are written row by row, valid after any interruption, and can be continued."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from mien.errors import FileError, InputError
from mien.files import csv_text, file_errors, replacing
from mien.types import DECIMALS, TEXTS, WHOLES, Box, Face, Reading, Readings, Scores, columns


class Table(Protocol):
    """Takes the readings of one picture or frame after the other."""

    def write(self, readings: Readings) -> None:
        """Add the readings of one picture or frame, all or none."""
        ...

    def close(self) -> None:
        """Finish the file."""
        ...


def open_table(path: Path, labels: Sequence[str], *, resume: bool = False) -> Table:
    """A table in the format of its suffix: .csv, .jsonl or .parquet.

    With `resume`, rows are added to those that are there. Raises InputError for another suffix, for
    a table of other columns, and for a Parquet file to be continued.
    """
    check_suffix(path)
    if path.suffix == ".csv":
        if resume:
            done_in(path, labels)
        heading = csv_text([columns(labels)])
        return _Lines(path, resume, lambda r: csv_text([_cells(r, labels)]), heading)
    if path.suffix in (".jsonl", ".ndjson"):
        if resume:
            _cut_lines(path, labels)
        return _Lines(path, resume, lambda r: f"{json.dumps(r.to_dict())}\n")
    if resume:
        raise InputError(f"{path} cannot be continued: Parquet is written whole; use a .csv")
    return _Parquet(path, labels)


def check_suffix(path: Path) -> None:
    """Raise InputError unless the suffix of `path` is that of a table."""
    if path.suffix not in (".csv", ".jsonl", ".ndjson", ".parquet"):
        raise InputError(f"{path}: cannot write {path.suffix!r}; use .csv, .jsonl or .parquet")


def done_in(path: Path, labels: Sequence[str]) -> Readings:
    """The readings in an interrupted .csv, none if there is no such file.

    A last line that was cut off is dropped from the file. Raises InputError, and leaves the file as
    it is, if its columns are not those of `labels` or a row is none that was written here.
    """
    if not path.exists():
        return Readings()
    with file_errors(path):
        data = path.read_bytes()
    header = csv_text([columns(labels)]).encode()
    if not data.startswith(header) and not header.startswith(data):
        raise InputError(f"{path} has other columns than this model writes; choose another --csv")
    whole = _whole_rows(data)
    rows = csv.DictReader(io.StringIO(whole.decode("utf-8", "replace"), newline=""))
    try:
        done = Readings(_reading(row, tuple(labels)) for row in rows)
    except (ValueError, LookupError, TypeError) as error:
        raise InputError(
            f"{path} has a row that cannot be read ({error}); choose another --csv"
        ) from error
    if len(whole) < len(data):
        with path.open("r+b") as file:
            file.truncate(len(whole))
    return done


def _whole_rows(data: bytes) -> bytes:
    """`data` up to the end of its last whole row; a line end in quotes ends no row."""
    end = data.rfind(b"\n") + 1
    quoted = data.count(b'"', 0, end) % 2
    while quoted:
        begin = data.rfind(b"\n", 0, end - 1) + 1
        quoted ^= data.count(b'"', begin, end) % 2
        end = begin
    return data[:end]


def _reading(row: dict[str, Any], labels: tuple[str, ...]) -> Reading:
    """The reading of a row, without landmarks: they are not in the table."""
    known = {name: value for name, value in row.items() if value != ""}
    whole = {name: int(value) for name, value in known.items() if name in WHOLES}
    real = {n: float(value) for n, value in known.items() if n not in WHOLES and n not in TEXTS}
    face = scores = smoothed = None
    if "width" in whole:
        box = Box(whole["x"], whole["y"], whole["width"], whole["height"])
        face = Face(box, real.get("score"))
        scores = Scores(labels, tuple(real[label] for label in labels))
    if any(f"smoothed_{label}" in real for label in labels):
        smoothed = Scores(labels, tuple(real[f"smoothed_{label}"] for label in labels))
    place = (known.get("path"), real.get("time_s"), whole.get("frame"), whole.get("face_id"))
    told = (known["status"], *place, smoothed, known.get("error"), whole.get("index"))
    return Reading(face, scores, *told)


def _cells(reading: Reading, labels: Sequence[str]) -> list[Any]:
    row = reading.to_row(labels).values()
    return [round(value, DECIMALS) if isinstance(value, float) else value for value in row]


class _Lines:
    """A file to which whole lines are added, each write handed to the system at once."""

    def __init__(
        self, path: Path, resume: bool, line: Callable[[Reading], str], heading: str = ""
    ) -> None:
        with file_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab" if resume else "wb", buffering=0)
        self._path, self._line = path, line
        if self._file.tell() == 0:
            self._add(heading)

    def write(self, readings: Readings) -> None:
        self._add("".join(map(self._line, readings)))

    def close(self) -> None:
        self._file.close()

    def _add(self, text: str) -> None:
        start, data = self._file.tell(), memoryview(text.encode("utf-8", "backslashreplace"))
        try:
            with file_errors(self._path):
                while data:
                    data = data[self._file.write(data) :]
        except FileError:  # a full disk: all or none
            self._file.truncate(start)
            self._file.seek(start)
            raise


def _cut_lines(path: Path, labels: Sequence[str]) -> None:
    """Drop a last line that was cut off; InputError unless a model of `labels` wrote the others."""
    if not path.exists():
        return
    with file_errors(path):
        data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if data and not data.startswith(b"{"):
        raise InputError(f"{path} holds no JSON lines; choose another file")
    face = next((line for line in io.BytesIO(whole) if b'"expressions": {' in line), None)
    if face is not None and _expressions(face) != tuple(labels):
        raise InputError(f"{path} has other expressions than this model; choose another file")
    with path.open("r+b") as file:
        file.truncate(len(whole))


def _expressions(line: bytes) -> tuple[str, ...] | None:
    try:
        return tuple(json.loads(line)["expressions"])
    except (ValueError, TypeError, KeyError):
        return None


class _Parquet:
    """A Parquet file, written in row groups; it gets its name when it is closed."""

    _ROWS = 10_000

    def __init__(self, path: Path, labels: Sequence[str]) -> None:
        from mien.extras import need

        self._arrow = need("pyarrow", extra="report")
        parquet = need("pyarrow.parquet", extra="report")
        self._labels = tuple(labels)
        kinds = {name: self._arrow.float64() for name in columns(labels)}
        kinds |= {name: self._arrow.string() for name in kinds if name in TEXTS}
        kinds |= {name: self._arrow.int64() for name in kinds if name in WHOLES}
        self._schema = self._arrow.schema(list(kinds.items()))
        self._place = replacing(path)
        self._writer = parquet.ParquetWriter(self._place.__enter__(), self._schema)
        self._rows: list[dict[str, Any]] = []

    def write(self, readings: Readings) -> None:
        self._rows += [r.to_row(self._labels) for r in readings]
        if len(self._rows) >= self._ROWS:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()
        self._place.__exit__(None, None, None)

    def _flush(self) -> None:
        self._writer.write_table(self._arrow.Table.from_pylist(self._rows, self._schema))
        self._rows = []
