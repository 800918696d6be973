"""FER+: ten people's votes on every picture of FER-2013 (Barsoum et al. 2016, arXiv:1608.01041)."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import Dataset, Split
from mien.errors import DataError, InputError
from mien.files import columns_of, existing, first_line, write_csv
from mien.labels import FER2013, FERPLUS, canonical

_USAGES = {
    "train": {"training"},
    "public": {"publictest"},
    "private": {"privatetest"},
    "test": {"publictest", "privatetest"},
}
_FORMS = "path,neutral,happiness,... or FER+'s own fer2013new.csv (Usage, Image name, neutral, ...)"

_HEADER = "neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"

Row = dict[str, str | None]


def join_votes(split: Split, path: Path) -> NDArray[np.int16]:
    """(N, 10) int16 votes of each picture in the order of FERPLUS; -1 where FER+ dropped it, and
    for pictures of another data set than the first of several.

    `path` is a table with a `path` column, joined by the last three parts of the path (split,
    class, file), or the official fer2013new.csv, joined by the row of fer2013.csv. Raises
    InputError without the file, DataError if its columns or values do not fit or nothing joins.
    """
    if split.own is not None and not split.own.all():
        all_votes = np.full((len(split), len(FERPLUS)), -1, np.int16)
        own = np.flatnonzero(split.own)
        all_votes[own] = join_votes(split.take(own), path)
        return all_votes
    try:
        columns, rows = _read(existing(path, "FER+ table"))
    except (csv.Error, IsADirectoryError) as error:
        raise DataError(f"{path} is not a readable table ({error}); expected {_FORMS}") from error
    if "path" in columns:
        votes = _by_path(split, rows, path)
    elif "image name" in columns:
        votes = _by_row(split, rows, path)
    else:
        raise DataError(f"{path} has no column path or Image name; expected {_FORMS}")
    if len(split) and (votes < 0).all():
        raise DataError(
            f"not one picture of {split.name} (such as {str(split.names[0])!r}) is in {path}; "
            "is it the table of these pictures?"
        )
    return votes


@dataclass(frozen=True, slots=True)
class Matched:
    """The votes on the pictures of a folder, found by their pixels."""

    votes: dict[str, NDArray[np.int16]]
    """(10,) in the order of FERPLUS, by the picture's path."""
    dropped: int
    """Pictures that FER+ gave no votes."""
    unknown: int
    """Pictures that fer2013.csv does not have."""

    def save(self, path: Path) -> None:
        """Write the table that `join_votes` reads."""
        columns = zip(*self.votes.values(), strict=True)
        write_csv(path, {"path": self.votes, **dict(zip(_HEADER.split(","), columns, strict=True))})


def match_votes(data: Dataset, pixels: Dataset, table: Path) -> Matched:
    """The votes on the pictures of `data`, whose names do not tell their rows in fer2013.csv.

    `pixels` is fer2013.csv and `table` FER+'s fer2013new.csv, row for row. Of several rows with the
    pixels of a picture it takes the first of its own split and label; no row is taken twice. Raises
    InputError if `data` is a table itself, DataError if the tables do not fit or nothing is found.
    """
    pictures = list(_pictures(data))
    if pictures[0].name.startswith("row "):
        raise InputError(f"{data.name} needs no other table: give {table} itself as its votes")
    given = np.concatenate([join_votes(split, table) for split in pixels.splits.values()])
    rows: dict[bytes, list[tuple[_Picture, NDArray[np.int16]]]] = {}
    for row in zip(_pictures(pixels), given, strict=True):
        rows.setdefault(row[0].pixels, []).append(row)
    found = {p.name: _take(rows[p.pixels], p) for p in pictures if rows.get(p.pixels)}
    if not found:
        raise DataError(
            f"not one picture of {data.name} is in {pixels.name}; expected the same pixels: PNG of "
            "48 px (JPEG changes them)"
        )
    kept = {name: votes for name, votes in found.items() if votes[0] >= 0}
    return Matched(kept, len(found) - len(kept), len(pictures) - len(found))


class _Picture(NamedTuple):
    name: str
    split: str
    label: str
    pixels: bytes


def _pictures(data: Dataset) -> Iterator[_Picture]:
    for split in data.splits.values():
        for name, label, image in zip(split.names, split.labels, split.images, strict=True):
            yield _Picture(str(name), split.name, data.labels[label], image.tobytes())


def _take(rows: list[tuple[_Picture, NDArray[np.int16]]], picture: _Picture) -> NDArray[np.int16]:
    """The votes of the row, now gone, that fits `picture` best."""
    fits = [(row.split == picture.split, row.label == picture.label) for row, _ in rows]
    return rows.pop(fits.index(max(fits)))[1]


def majority(votes: NDArray[np.integer], labels: Sequence[str] = FER2013) -> NDArray[np.int64]:
    """(N,) int64 index in `labels` of the class with most votes.

    -1 where the first place is tied, FER+ dropped the picture, or a class outside of `labels` won.
    """
    numbers = np.array([labels.index(n) if n in labels else -1 for n in FERPLUS], np.int64)
    top = votes.max(1, keepdims=True)
    tied = (votes == top).sum(1) > 1
    return np.where(tied, -1, numbers[votes.argmax(1)])


def _read(path: Path) -> tuple[list[str], list[Row]]:
    """Column names and rows; vote columns in mien's spelling, the others in lower case."""
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        separator, _ = columns_of(first_line(path), _HEADER.lower().split(","))
        table = csv.DictReader(file, delimiter=separator)
        columns = [canonical(name) for name in table.fieldnames or []]
        if missing := [name for name in FERPLUS if name not in columns]:
            raise DataError(
                f"{path} lacks the votes on {', '.join(missing)} "
                f"(it has: {', '.join(columns) or 'no columns'}); expected {_FORMS}"
            )
        table.fieldnames = columns
        return columns, list(table)


def _by_path(split: Split, rows: Iterable[Row], path: Path) -> NDArray[np.int16]:
    found = {
        _place(row["path"] or ""): _votes(row, f"{path}, line {line}")
        for line, row in enumerate(rows, 2)
    }
    none = (-1,) * len(FERPLUS)
    return _array(found.get(_place(str(name)), none) for name in split.names)


def _place(path: str) -> str:
    """`train/angry/x.png`, whatever folder the data set was unpacked to."""
    return "/".join(path.strip().replace("\\", "/").split("/")[-3:])


def _by_row(split: Split, rows: list[Row], path: Path) -> NDArray[np.int16]:
    """Votes by `row N`; the Usage column tells a table that is aligned to another file."""
    usages = _USAGES.get(split.name)
    found = []
    for number in _row_numbers(split, path):
        if number >= len(rows):
            raise DataError(f"{path} ends at row {len(rows) - 1}, before row {number} of the data")
        row = rows[number]
        usage = (row.get("usage") or "").strip()
        if usages and usage.lower() not in usages:
            raise DataError(
                f"{path} has {usage!r} where the data has row {number} of {split.name}; "
                "it fits fer2013.csv only, row by row"
            )
        dropped = not (row["image name"] or "").strip()
        where = f"{path}, line {number + 2}"
        found.append((-1,) * len(FERPLUS) if dropped else _votes(row, where))
    return _array(found)


def _row_numbers(split: Split, path: Path) -> Iterator[int]:
    for name in split.names:
        word, _, number = str(name).partition(" ")
        if word != "row" or not number.isdecimal():
            raise DataError(
                f"{path} joins by the row of fer2013.csv, but the data has pictures such as "
                f"{str(name)!r}; open fer2013.csv, or give a table with a path column"
            )
        yield int(number)


def _votes(row: Row, where: str) -> tuple[int, ...]:
    try:
        return tuple(int(row[name] or "") for name in FERPLUS)
    except ValueError:
        raise DataError(f"{where}: expected ten whole numbers of votes") from None


def _array(rows: Iterable[tuple[int, ...]]) -> NDArray[np.int16]:
    return np.array(list(rows), np.int16).reshape(-1, len(FERPLUS))
