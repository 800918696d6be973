"""FER-2013 as tables: fer2013.csv, icml_face_data.csv, and Kaggle's train.csv + test.csv."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.formats.format import Format, Records, beside
from mien.data.records import Record
from mien.data.tree import Tree
from mien.errors import DataError
from mien.files import columns_of, first_line
from mien.labels import FER2013_CSV, label_index

TABLES = ("fer2013.csv", "icml_face_data.csv", "train.csv")
"""A folder with one of these is read from it, and its other files are not."""
SIDE_PX = 48
_COLUMNS = ("emotion", "pixels", "usage")
_USAGES = {"training": "train", "publictest": "public", "privatetest": "private"}


def read_table(path: Path, default_split: str = "train") -> Iterator[Record]:
    """Records of a CSV with `emotion`, `pixels` and, if there, `Usage` columns.

    `emotion` is 0-6 in FER-2013's own order or a label; rows without one are passed over, as in
    Kaggle's unlabelled test.csv. Column names may have spaces around them (icml_face_data.csv).
    """
    csv.field_size_limit(2**24)
    try:
        yield from _records(path, default_split)
    except csv.Error as error:
        raise DataError(f"{path} is not a readable table ({error}); is it fer2013.csv?") from error


def _records(path: Path, default_split: str) -> Iterator[Record]:
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        separator, _ = columns_of(first_line(path), _COLUMNS)
        rows = csv.DictReader(file, delimiter=separator)
        rows.fieldnames = [name.strip().lower() for name in rows.fieldnames or []]
        if "pixels" not in rows.fieldnames:
            found = ", ".join(rows.fieldnames) or "none"
            raise DataError(f"{path} has no column pixels (it has: {found}); is it fer2013.csv?")
        for number, row in enumerate(rows):
            where = f"{path}, line {number + 2}"
            if emotion := (row.get("emotion") or "").strip():
                yield Record(
                    split=_split(row.get("usage"), default_split, where),
                    label=_label(emotion, where),
                    name=f"row {number}",
                    picture=_pixels(row["pixels"], where),
                )


def has_pixels(path: Path) -> bool:
    """Whether a CSV has the columns of FER-2013."""
    return "pixels" in columns_of(first_line(path), _COLUMNS)[1]


def read_pair(folder: Path) -> Iterator[Record]:
    """Records of `train.csv` and, where it is there and labelled, `test.csv`."""
    yield from read_table(folder / "train.csv", "train")
    if (folder / "test.csv").exists():
        yield from read_table(folder / "test.csv", "test")


def _split(usage: str | None, default: str, where: str) -> str:
    if not usage or not usage.strip():
        return default
    try:
        return _USAGES[usage.strip().lower()]
    except KeyError:
        raise DataError(
            f"{where}: unknown Usage {usage!r}; expected {', '.join(_USAGES)}"
        ) from None


def _label(emotion: str, where: str) -> str:
    if emotion.isdecimal() and int(emotion) < len(FER2013_CSV):
        return FER2013_CSV[int(emotion)]
    return FER2013_CSV[label_index(FER2013_CSV, emotion, where=where)]


def _pixels(text: str | None, where: str) -> NDArray[np.uint8]:
    try:
        values = np.array((text or "").split(), np.int64)
    except (ValueError, OverflowError):
        raise DataError(f"{where}: pixels are not all whole numbers") from None
    if values.size != SIDE_PX**2:
        raise DataError(f"{where}: expected {SIDE_PX**2} pixels (48x48), got {values.size}")
    if values.min() < 0 or values.max() > 255:
        raise DataError(f"{where}: expected pixels from 0 to 255")
    return values.astype(np.uint8).reshape(SIDE_PX, SIDE_PX)


def _recognises(tree: Tree) -> bool:
    if tree.path.is_dir():
        return _table(tree) is not None
    return tree.path.suffix.lower() == ".csv" and has_pixels(tree.path)


def _table(tree: Tree) -> str | None:
    there = (name for name in TABLES if name in tree.names)
    return next((name for name in there if has_pixels(tree.file(name))), None)


def _read(tree: Tree) -> Records:
    if tree.path.is_file():
        yield from read_table(tree.path)
        return
    table = _table(tree) or TABLES[0]
    yield from read_pair(tree.path) if table == "train.csv" else read_table(tree.file(table))
    yield from beside(tree, table)


FORMATS = (
    Format(
        "fer2013",
        "`fer2013.csv`, `icml_face_data.csv`, or `train.csv` with `test.csv`",
        _recognises,
        _read,
    ),
)
