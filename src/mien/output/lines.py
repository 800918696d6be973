"""Tables of text, of which every line is whole: .csv, JSON lines, standard output."""

import csv
import json
import os
import stat
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from mien.errors import FileError, InputError
from mien.files import file_errors
from mien.origin import Origin, recorded, save_origin
from mien.output.dialect import Dialect, Rows
from mien.types import TEXTS, WHOLES, Box, Face, Reading, Readings, Scores, columns


class Lines:
    """A file to which whole lines are added, each write handed to the system at once."""

    def __init__(
        self, file: IO[bytes], path: Path, labels: tuple[str, ...], origin: Origin | None = None
    ) -> None:
        self._file, self._path, self._labels, self._origin = file, path, labels, origin
        self._end = self._rows = 0
        """Bytes and lines that are kept."""

    def begin(self) -> None:
        """Cut the file to what is kept; begin with a heading if that is nothing."""
        self._cut(self._end)
        self._tell()
        if self._end == 0:
            self._add(self._heading())

    def write(self, readings: Readings) -> None:
        """Add a line for each, all or none."""
        self._add("".join(map(self._line, readings)).encode("utf-8", "backslashreplace"))
        self._rows += len(readings)

    def finish(self) -> None:
        """Tell that the last picture is whole."""
        self._tell()

    def check_origin(self) -> list[str]:
        """Raise InputError if something else made what is kept; say so if it is not known."""
        if self._end == 0 or self._origin is None:
            return []
        if (told := recorded(self._path)) is None:
            return [f"{self._path} does not tell what made it; it is continued all the same"]
        if differences := self._origin.differences(told):
            raise InputError(
                f"{self._path} was made with {'; '.join(differences)}; continue it with the same, "
                "or choose another name"
            )
        return []

    def _heading(self) -> bytes:
        return b""

    def _line(self, reading: Reading) -> str:
        raise NotImplementedError

    def _tell(self) -> None:
        if self._origin is not None and stat.S_ISREG(os.fstat(self._file.fileno()).st_mode):
            save_origin(self._path, self._origin, self._rows)

    def _cut(self, end: int) -> None:
        with file_errors(self._path):
            self._file.truncate(end)

    def _add(self, data: bytes) -> None:
        start, rest = self._file.seek(0, os.SEEK_END), memoryview(data)
        try:
            with file_errors(self._path):
                while rest:
                    rest = rest[self._file.write(rest) :]
        except FileError:  # a full disk: all or none
            self._cut(start)
            raise


class Csv(Lines):
    """A .csv, in mien's dialect or the one that a spreadsheet has saved it in."""

    def __init__(
        self,
        file: IO[bytes],
        path: Path,
        labels: tuple[str, ...],
        origin: Origin | None = None,
        *,
        bom: bool = False,
    ) -> None:
        super().__init__(file, path, labels, origin)
        self._dialect = Dialect(bom=bom)
        self._before_last = self._last_begins = 0
        """Rows and bytes before the last picture."""

    def recall(self) -> Readings:
        """What is kept: all rows, but for those of the last picture unless that is whole."""
        found = self.read()
        if len(found) != (recorded(self._path) or {}).get("rows"):
            self._end = self._last_begins
            found = Readings(found[: self._before_last], labels=self._labels)
        self._rows = len(found)
        return found

    def read(self) -> Readings:
        """All whole rows."""
        rows = Rows(self._file, columns(self._labels), self._path)
        found = Readings(labels=self._labels)
        try:
            for row in rows:
                reading = reading_of(row, self._labels)
                if not found or reading.place != found[-1].place:
                    self._before_last, self._last_begins = len(found), rows.begin
                found.append(reading)
        except (ValueError, LookupError, TypeError, csv.Error) as error:
            raise InputError(
                f"{self._path} has a row that cannot be read ({error}); choose another --csv"
            ) from error
        self._end = rows.end
        if self._end:
            self._dialect = rows.dialect
        return found

    def _heading(self) -> bytes:
        return self._dialect.heading(columns(self._labels))

    def _line(self, reading: Reading) -> str:
        return self._dialect.line([*reading.to_row(self._labels).values()])


class JsonLines(Lines):
    """A line of JSON for each reading."""

    def recall(self, done: Readings | None) -> None:
        """Keep the lines of what is `done`, the rows of the .csv of the same run; without one, all.

        InputError unless a model of these labels wrote them for that .csv.
        """
        rows, faces, last, more = None if done is None else len(done), False, None, set()
        for line in self._whole_lines():
            kept = self._rows != rows
            told = {} if kept and faces and self._rows + 1 != rows else self._parsed(line)
            faces = faces or self._check_labels(told)
            if kept:
                self._end, self._rows, last = self._end + len(line), self._rows + 1, told
            else:
                more.add((told.get("path"), told.get("index"), told.get("time_s")))
        if done is None:
            return
        is_same = not done or (last or {}).get("path") == done[-1].path
        if self._rows < len(done) or len(more) > 2 or not is_same:
            count = "fewer" if self._rows < len(done) else "more" if is_same else "others"
            raise InputError(
                f"{self._path} is not of the same run as the .csv: expected {rows:,} lines and the "
                f"next picture, got {count}; choose another name, or leave --resume out to begin "
                "both anew"
            )

    def _whole_lines(self) -> Iterator[bytes]:
        self._file.seek(0)
        with open(self._file.fileno(), "rb", closefd=False) as file:
            for line in file:
                if not line.startswith(b"{"):
                    raise InputError(f"{self._path} holds no JSON lines; choose another file")
                if line.endswith(b"\n"):
                    yield line

    def _parsed(self, line: bytes) -> dict[str, Any]:
        try:
            return dict(json.loads(line))
        except ValueError as error:
            raise InputError(
                f"{self._path} has a line that is no JSON ({error}); choose another file"
            ) from error

    def _check_labels(self, told: dict[str, Any]) -> bool:
        """Whether a line has a face; InputError if its expressions are others."""
        if "expressions" not in told:
            return False
        if tuple(told["expressions"]) != self._labels:
            raise InputError(
                f"{self._path} has other expressions than this model; choose another file"
            )
        return True

    def _line(self, reading: Reading) -> str:
        return f"{json.dumps(reading.to_dict())}\n"


class StandardOutput:
    """A table of text, `.csv` or `.jsonl`, for the next program."""

    def __init__(self, form: str, labels: tuple[str, ...]) -> None:
        self._form, self._labels = form, labels

    def begin(self) -> None:
        """Write the heading of a .csv."""
        if self._form == ".csv":
            self._add(Dialect().line(columns(self._labels)))

    def write(self, readings: Readings) -> None:
        """Write a line for each."""
        if self._form == ".csv":
            rows = ([*reading.to_row(self._labels).values()] for reading in readings)
            self._add("".join(map(Dialect().line, rows)))
        else:
            self._add("".join(f"{json.dumps(told)}\n" for told in readings.to_dict()))

    def finish(self) -> None:
        """All is written already."""

    def _add(self, text: str) -> None:
        sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
        sys.stdout.buffer.flush()


def reading_of(row: Mapping[str, Any], labels: tuple[str, ...]) -> Reading:
    """The reading of a row, without landmarks: they are not in the table."""
    known = {name: value for name, value in row.items() if value not in ("", None)}
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
