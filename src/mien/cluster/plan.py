"""What is to be read, in parts: the list that lies beside the tables and that a second start takes.

A part is some photos that lie next to each other in the list, or one film.
"""

import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from mien.cluster.stores import Place
from mien.errors import InputError
from mien.extras import need
from mien.origin import Origin
from mien.sources.frames import VIDEO_SUFFIXES, Cut

FILE = "_plan.parquet"
"""Its name in the folder of the tables; readers of Parquet pass over what begins so."""
WORK = "_work"
"""Folder beside it for what is not whole yet."""
PHOTOS = 500
"""Of a part: some seconds of work, which is what a crash can cost."""
PIECE_S = 300.0
"""A film of twice that length and more is read in pieces."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A photo or film: a file, an address, or a row of a table that holds its bytes."""

    path: str | None
    index: int | None = None
    """Its place among several, from 0."""
    table: str | None = None
    row: int | None = None
    error: str | None = None
    """Why it cannot be read, where that is known already."""

    @property
    def is_film(self) -> bool:
        """By its name; what it is in truth is known when it is read."""
        return Path((self.path or "").partition("?")[0]).suffix.lower() in VIDEO_SUFFIXES


@dataclass(frozen=True, slots=True)
class Part:
    """What becomes one file."""

    number: int
    entries: tuple[Entry, ...]

    @property
    def name(self) -> str:
        """Of its file, without the suffix."""
        return f"part-{self.number:05d}"

    @property
    def is_film(self) -> bool:
        """Whether it is one film, which may be read in pieces."""
        return len(self.entries) == 1 and self.entries[0].is_film


@dataclass(frozen=True, slots=True)
class Job:
    """All that the workers have to know; pickled."""

    out: str
    """The folder of the tables."""
    model: str
    detector: str = "yunet"
    min_face: int | None = None
    recognizer: Mapping[str, Any] | None = None
    """Further arguments of `Recognizer`."""
    cut: Cut = field(default_factory=Cut)
    private: bool = False
    base: str = "."
    """The folder that paths start from."""
    shared: tuple[str, ...] = ()
    """Files that every worker has to see."""
    stores: tuple[str, ...] = ()
    """Sources in stores, which have answered."""
    photos: int = PHOTOS
    piece_s: float = PIECE_S


def parts_of(entries: Sequence[Entry], photos: int = PHOTOS) -> list[Part]:
    """The parts, numbered in the order of the list."""
    return [Part(number, group) for number, group in enumerate(_groups(entries, photos))]


def _groups(entries: Sequence[Entry], photos: int) -> Iterator[tuple[Entry, ...]]:
    for (is_film, _), group in groupby(entries, lambda e: (e.is_film, e.table)):
        found = [*group]
        size = 1 if is_film else photos
        yield from (tuple(found[i : i + size]) for i in range(0, len(found), size))


def shared(parts: Sequence[Part]) -> tuple[str, ...]:
    """The first and the last file that is no address: every machine has to see them."""
    entries = (entry for part in parts for entry in part.entries if entry.table is None)
    local = [e.path for e in entries if e.path and not e.error and "://" not in e.path]
    return tuple(path for path in (*local[:1], *local[-1:]) if Path(path).exists())


def save_plan(parts: Sequence[Part], job: Job, sources: Sequence[str], origin: Origin) -> None:
    """Write the list into the folder of the tables."""
    arrow, parquet = need("pyarrow", extra="ray"), need("pyarrow.parquet", extra="ray")
    rows = [
        {"part": part.number, **asdict(entry), "path": _encoded(entry.path)}
        for part in parts
        for entry in part.entries
    ]
    kinds = {"part": arrow.int32(), "path": arrow.binary(), "index": arrow.int64()}
    kinds |= {"table": arrow.string(), "row": arrow.int64(), "error": arrow.string()}
    told = {"sources": [*sources], "base": job.base, "origin": asdict(origin)}
    schema = arrow.schema([*kinds.items()], {"mien": json.dumps(told)})
    out = io.BytesIO()
    parquet.write_table(arrow.Table.from_pylist(rows, schema), out)
    folder = Place(job.out)
    (folder / FILE).write(out.getvalue(), folder / WORK)


def saved_plan(job: Job, sources: Sequence[str], origin: Origin) -> list[Part] | None:
    """The parts of a run that was begun; None for a new folder.

    InputError for one that was begun otherwise, or that holds something else.
    """
    folder = Place(job.out)
    names = folder.files()
    if FILE not in names:
        if any(name.endswith(".parquet") for name in names):
            raise InputError(
                f"{folder.name} has Parquet files of something else; choose another folder"
            )
        return None
    parquet = need("pyarrow.parquet", extra="ray")
    table = parquet.read_table(io.BytesIO((folder / FILE).read()))
    told = json.loads(table.schema.metadata[b"mien"])
    differences = origin.differences(told["origin"])
    if told["sources"] != [*sources] or told["base"] != job.base:
        differences.insert(0, f"other sources ({', '.join(told['sources'])[:80]})")
    if differences:
        raise InputError(
            f"{folder.name} was begun with {'; '.join(differences)}; repeat the command as it was, "
            "or choose another folder"
        )
    rows = table.to_pylist()
    return [
        Part(number, tuple(_entry(row) for row in group))
        for number, group in groupby(rows, lambda row: row["part"])
    ]


def unreadable_in(out: str, parts: Sequence[Part]) -> int:
    """Pictures and films of parts that a run before could not read."""
    if not parts:
        return 0
    tables = Place(out).tables([f"{part.name}.parquet" for part in parts])
    return int(tables.count_rows(filter=_unreadable()))


def first_errors(out: str, parts: Sequence[Part], most: int) -> list[str]:
    """Why up to `most` pictures and films could not be read, of the parts that are there."""
    there = {*Place(out).files()}
    tables = Place(out).tables([f for p in parts if (f := f"{p.name}.parquet") in there])
    found = tables.head(most, columns=["error"], filter=_unreadable())
    return [str(error) for error in found["error"].to_pylist()]


def _unreadable() -> Any:
    return need("pyarrow.dataset", extra="ray").field("status") == "unreadable"


def _entry(row: dict[str, Any]) -> Entry:
    path = None if row["path"] is None else os.fsdecode(row["path"])
    return Entry(path, row["index"], row["table"], row["row"], row["error"])


def _encoded(path: str | None) -> bytes | None:
    return None if path is None else os.fsencode(path)  # names need not be UTF-8
