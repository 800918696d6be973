"""Sources → the list of what is to be read, in the order of a run on one machine."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

from mien.cluster.plan import Entry
from mien.cluster.stores import Place, is_stored
from mien.errors import InputError
from mien.extras import need
from mien.sources import Pictures, open_source
from mien.sources.frames import VIDEO_SUFFIXES, Cut, is_live
from mien.sources.listing import left_out_line
from mien.sources.pictures import PICTURE_SUFFIXES

_SUFFIXES = PICTURE_SUFFIXES | VIDEO_SUFFIXES


def listed(sources: Sequence[str], cut: Cut | None, private: bool) -> tuple[list[Entry], list[str]]:
    """What the sources stand for, numbered, and what the user should know of them.

    A source is what `mien recognize` takes, a folder or file of a store, or a Parquet table with a
    column `path` of paths and addresses, or `bytes` (or Hugging Face's `image`) of pictures.
    InputError for one that is none of these.
    """
    if live := [*filter(is_live, sources)]:
        raise InputError(f"{live[0]} is live; --on reads files")
    if len(sources) == 1 and not _is_table(sources[0]) and not is_stored(sources[0]):
        opened = open_source(sources[0], private=private, cut=cut)
        if not isinstance(opened, Pictures) or opened.single:
            return [Entry(sources[0])], [*opened.warnings]
    notes: list[str] = []
    found = [entry for source in sources for entry in _of(source, private, notes)]
    if not found:
        raise InputError(f"{', '.join(sources)}: no pictures and no films are there")
    return [replace(entry, index=index) for index, entry in enumerate(found)], notes


def _is_table(source: str) -> bool:
    return source.partition("?")[0].lower().endswith(".parquet")


def _of(source: str, private: bool, notes: list[str]) -> Iterator[Entry]:
    if _is_table(source):
        yield from _of_table(Place(source))
    elif is_stored(source):
        yield from _of_store(Place(source), notes)
    else:
        opened = cast(Pictures, open_source([source], private=private))  # as of any list
        notes += opened.warnings
        for one in opened.pictures:
            yield Entry(str(one.source), error=None if one.error is None else str(one.error))


def _of_store(place: Place, notes: list[str]) -> Iterator[Entry]:
    """By their suffixes: to look into each of a million files of a bucket takes hours."""
    if not place.is_folder():
        yield Entry(place.address)
        return
    names = [n for n in place.files(deep=True) if not any(p[:1] in "._" for p in n.split("/"))]
    ours = [name for name in names if f".{name.rpartition('.')[2].lower()}" in _SUFFIXES]
    if others := sorted({*names} - {*ours}):
        notes.append(left_out_line(others))
    yield from (Entry((place / name).address) for name in ours)


def _of_table(place: Place) -> Iterator[Entry]:
    if place.is_folder():  # of the parts of a table, as Spark and mien write them
        for name in place.files():
            if _is_table(name) and not name.startswith(("_", ".")):
                yield from _of_table(place / name)
        return
    with place.table() as table:
        bytes_in, path_in = columns_of(table.schema_arrow)
        if bytes_in is None and path_in is None:
            raise InputError(
                f"{place.name} has no column path (text), bytes (binary) or image; it has "
                f"{', '.join(table.schema_arrow.names[:8])}"
            )
        paths = _column(table, path_in)
        if bytes_in is None:
            yield from (Entry(path) for path in paths or ())
            return
        for row in range(table.metadata.num_rows):
            yield Entry(paths[row] if paths else None, table=place.address, row=row)


def columns_of(schema: Any) -> tuple[str | None, str | None]:
    """Where a table has its pictures' bytes and their paths, as Parquet names columns."""
    types = need("pyarrow", extra="ray").types
    found: dict[str, str] = {}
    for field in schema:
        inner = field.type if types.is_struct(field.type) and field.name == "image" else [field]
        for one in inner:
            is_text = types.is_string(one.type) or types.is_large_string(one.type)
            is_bytes = types.is_binary(one.type) or types.is_large_binary(one.type)
            name = field.name if one is field else f"{field.name}.{one.name}"
            if one.name == "path" and is_text:
                found.setdefault("path", name)
            elif one.name in ("bytes", "image") and is_bytes:
                found.setdefault("bytes", name)
    return found.get("bytes"), found.get("path")


def _column(table: Any, name: str | None) -> list[str] | None:
    if name is None:
        return None
    return [_within(row, name) for row in table.read(columns=[name]).to_pylist()]


def _within(row: dict[str, Any], name: str) -> Any:
    first, _, inner = name.partition(".")
    return row[first][inner] if inner else row[first]


def pictures_in(table: str, first: int, count: int) -> list[bytes | None]:
    """The bytes of the pictures in `count` rows of a table from `first` on."""
    with Place(table).table() as opened:
        name, _ = columns_of(opened.schema_arrow)
        groups, begin, start = list[int](), 0, 0
        for group in range(opened.metadata.num_row_groups):
            rows = opened.metadata.row_group(group).num_rows
            if begin + rows > first and begin < first + count:
                start = begin if not groups else start
                groups.append(group)
            begin += rows
        rows = opened.read_row_groups(groups, columns=[name]).slice(first - start, count)
        return [_within(row, str(name)) for row in rows.to_pylist()]
