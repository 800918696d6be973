"""Readings from the tables that mien has written."""

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mien.errors import InputError
from mien.extras import need
from mien.files import existing, file_errors
from mien.output.lines import reading_of
from mien.output.tables import done_in, format_of
from mien.types import COLUMNS, Box, Face, Reading, Readings, Scores, columns


def read_table(path: Path) -> Readings:
    """The readings in a .csv, .jsonl or .parquet of `mien recognize`, or in the folder of Parquet
    of a run on a cluster; InputError for another."""
    form = ".parquet" if existing(path, "table").is_dir() else format_of(path)
    try:
        with file_errors(path):
            if form == ".csv":
                return done_in(path, _labels(path, _heading(path)))
            return _parquet(path) if form == ".parquet" else _lines(path)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise _foreign(path) from error


def _heading(path: Path) -> list[str]:
    with path.open("rb") as file:
        first = file.readline().decode("utf-8-sig", "replace")
    cells = [next(csv.reader([first.strip()], delimiter=mark), []) for mark in ",;\t"]
    return max(cells, key=len)


def _labels(path: Path, names: Sequence[str]) -> tuple[str, ...]:
    """The expressions of a table with these columns."""
    labels = tuple(names[len(COLUMNS) : (len(COLUMNS) + len(names) - 1) // 2])
    if tuple(names) != columns(labels):
        raise _foreign(path)
    return labels


def _foreign(path: Path) -> InputError:
    return InputError(
        f"{path} is no table of readings; expected a .csv, .jsonl or .parquet of mien recognize"
    )


def _parquet(path: Path) -> Readings:
    parquet = need("pyarrow.parquet", extra="report")
    table = parquet.read_table(path)
    labels = _labels(path, table.column_names)
    return Readings([reading_of(row, labels) for row in table.to_pylist()], labels=labels)


def _lines(path: Path) -> Readings:
    with path.open(encoding="utf-8") as file:
        found = [*_told(file)]
    return Readings(found, labels=next((r.scores.labels for r in found if r.scores), ()))


def _told(lines: Iterator[str]) -> Iterator[Reading]:
    """The readings of whole lines: what a kill left of the last one is left out."""
    for line in lines:
        if line.endswith("\n"):
            yield _reading(json.loads(line))


def _reading(told: dict[str, Any]) -> Reading:
    face = None
    if "box" in told:
        points = told.get("landmarks")
        landmarks = points and tuple((float(x), float(y)) for x, y in points)
        face = Face(Box(**told["box"]), told.get("score"), landmarks)
    names = ("path", "time_s", "frame", "face_id", "error", "index")
    return Reading(
        face,
        _scores(told.get("expressions")),
        told["status"],
        smoothed=_scores(told.get("smoothed")),
        **{name: told.get(name) for name in names},
    )


def _scores(told: dict[str, float] | None) -> Scores | None:
    return Scores(tuple(told), tuple(told.values())) if told else None
