"""Parquet as Hugging Face keeps pictures: columns `image: {bytes, path}`, `label` or `emotion`."""

import io
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.formats.folder import SPLITS, check_classes, check_spelling
from mien.data.formats.format import Format, Records, beside, label_of, numbered
from mien.data.records import Record
from mien.data.tree import Tree
from mien.errors import DataError, PictureError
from mien.extras import need
from mien.labels import canonical
from mien.sources import decode

_BATCH = 256
_LABELS = ("label", "emotion")


def open_parquet(path: Path, content: bytes | None = None) -> Any:
    """The opened file, or its `content` from a zip; DataError if it is none, MissingExtra without
    pyarrow."""
    parquet = need("pyarrow.parquet", extra="report")
    try:
        return parquet.ParquetFile(path if content is None else io.BytesIO(content))
    except (ValueError, OSError) as error:  # pyarrow's errors are of both kinds
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{path} is not a whole Parquet file ({reason}); fetch it again") from error


def recognises(tree: Tree) -> bool:
    """Whether it is such a file, or holds such files, or any Parquet and no pictures beside."""
    found = _files(tree)
    return bool(found) and (not tree.pictures or not _missing(_open(tree, found[0])))


def _files(tree: Tree) -> list[str]:
    return [name for name in tree.names if name.lower().endswith(".parquet")]


def _open(tree: Tree, name: str) -> Any:
    return open_parquet(_place(tree, name), None if tree.root else tree.read(name))


def _place(tree: Tree, name: str) -> Path:
    return (tree.root or tree.path) / name


def _missing(table: Any) -> str:
    """What it lacks of an image and a label, in words; empty if nothing."""
    there = set(table.schema_arrow.names)
    if "image" not in there:
        return "image"
    return "" if there & set(_LABELS) else " or ".join(_LABELS)


def _records(tree: Tree) -> Records:
    for name in _files(tree):
        yield from _of_file(tree, name)
    yield from beside(tree, "Parquet")


def _of_file(tree: Tree, name: str) -> Iterator[Record]:
    table, path = _open(tree, name), _place(tree, name)
    if missing := _missing(table):
        raise DataError(
            f"{path} has no column {missing}; expected image and label, got: "
            f"{', '.join(table.schema_arrow.names)}"
        )
    column = next(label for label in _LABELS if label in table.schema_arrow.names)
    names, split = _class_names(table, column), _split(name)
    labels = table.read([column]).column(column).to_pylist()
    pictures, places = _Pictures(tree, name, len(labels)), dict[str, str]()
    for row, label in enumerate(labels):
        where = f"{path}, row {row}"
        word = label_of(names, str(label), where) if names else canonical(str(label))
        places[word] = where
        yield Record(split, word, f"{name}/{row}", partial(pictures.decoded, row))
    if names:
        check_spelling(places)
    else:
        check_classes(places, str(path))


def _class_names(table: Any, column: str) -> dict[str, str]:
    """The label of each number, as the file's own metadata tell; empty where labels are words."""
    try:
        told = json.loads((table.schema_arrow.metadata or {})[b"huggingface"])
        names = told["info"]["features"][column]["names"]
    except (KeyError, ValueError, TypeError):
        return {}
    return numbered([canonical(name) for name in names])


def _split(name: str) -> str:
    """Told by the folders or the file's first word, as in data/train-00000-of-00001.parquet."""
    *folders, file = name.lower().split("/")
    for word in (file.partition("-")[0].partition(".")[0], *folders):
        if word in SPLITS:
            return SPLITS[word]
    return "train"


class _Pictures:
    """The pictures of a file, read forwards in small batches."""

    def __init__(self, tree: Tree, name: str, rows: int) -> None:
        self.tree, self.name, self.rows = tree, name, rows
        self._batches: Iterator[Any] = iter(())
        self._start = 0
        self._batch: Any = ()

    def decoded(self, row: int, color: bool) -> NDArray[np.uint8]:
        """What `Record.decoded` gives of a row."""
        where = f"{_place(self.tree, self.name)}, row {row}"
        cell = self._cell(row)
        data = cell.get("bytes") if isinstance(cell, dict) else cell
        if not isinstance(data, bytes):
            raise DataError(f"{where} holds no bytes of a picture; embed the pictures in the file")
        try:
            return decode(data, name=where, grey=not color)
        except PictureError as error:
            raise DataError(f"{error}; leave the row out") from error

    def _cell(self, row: int) -> Any:
        if not len(self._batch) or row < self._start:
            self._batches = _open(self.tree, self.name).iter_batches(_BATCH, columns=["image"])
            self._start, self._batch = 0, next(self._batches)
        while row >= self._start + len(self._batch):
            self._start += len(self._batch)
            self._batch = next(self._batches)
        cell = self._batch.column(0)[row - self._start].as_py()
        if row == self.rows - 1:  # let go of it: out of a zip, the whole file is in memory
            self._batches, self._batch = iter(()), ()
        return cell


FORMATS = (
    Format(
        "parquet",
        "Parquet of Hugging Face: `image: {bytes, path}`, `label`",
        recognises,
        _records,
    ),
)
