"""A table as Parquet, which gets its name when it is whole."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from mien.extras import need
from mien.files import file_errors
from mien.locks import held
from mien.origin import Origin
from mien.types import TEXTS, WHOLES, Readings, columns


@contextlib.contextmanager
def new_parquet(path: Path, labels: tuple[str, ...], origin: Origin | None) -> "Iterator[Parquet]":
    """A new table at `path`; `origin` is told in its metadata, under `mien`. Needs mien[report].

    If the block fails, what was there before stays.
    """
    for module in ("pyarrow", "pyarrow.parquet"):
        need(module, extra="report")
    part = path.with_name(f".{path.name}.part")
    with held(part) as file:
        table = Parquet(file, part, path, labels, origin)
        try:
            yield table
        except BaseException:
            table.drop()
            raise


class RowGroups:
    """Readings as Parquet, group by group, into an open file; `extra` columns hold a truth each."""

    _ROWS = 10_000

    def __init__(
        self,
        file: IO[bytes],
        labels: tuple[str, ...],
        origin: Origin | None,
        extra: tuple[str, ...] = (),
    ) -> None:
        self._labels = labels
        self._arrow = need("pyarrow", extra="report")
        parquet = need("pyarrow.parquet", extra="report")
        kinds = {name: self._arrow.float64() for name in columns(labels)}
        kinds |= {name: self._arrow.string() for name in kinds if name in TEXTS}
        kinds |= {name: self._arrow.int64() for name in kinds if name in WHOLES}
        kinds |= dict.fromkeys(extra, self._arrow.bool_())
        self._schema = self._arrow.schema(list(kinds.items()))
        if origin is not None:
            self._schema = self._schema.with_metadata({"mien": json.dumps(asdict(origin))})
        self._rows: list[dict[str, Any]] = []
        self._writer = parquet.ParquetWriter(file, self._schema)

    def write(self, readings: Readings, **extra: bool) -> None:
        """Add a row for each."""
        self._rows += [r.to_row(self._labels) | extra for r in readings]
        if len(self._rows) >= self._ROWS:
            self._flush()

    def close(self) -> None:
        """Write what is left, and the end of the file."""
        self._flush()
        self._writer.close()

    def drop(self) -> None:
        """Write no more rows."""
        with contextlib.suppress(OSError):  # a full disk, where its end does not fit either
            self._writer.close()

    def _flush(self) -> None:
        self._writer.write_table(self._arrow.Table.from_pylist(self._rows, self._schema))
        self._rows = []


class Parquet:
    """A Parquet file that gets its name when it is whole."""

    def __init__(
        self,
        file: IO[bytes],
        part: Path,
        path: Path,
        labels: tuple[str, ...],
        origin: Origin | None,
    ) -> None:
        self._file, self._part, self._path, self._labels = file, part, path, labels
        self._origin = origin
        self._rows: RowGroups | None = None

    def begin(self) -> None:
        """Begin the file."""
        self._file.truncate(0)
        self._rows = RowGroups(self._file, self._labels, self._origin)

    def write(self, readings: Readings) -> None:
        """Add a row for each."""
        if self._rows is not None:
            with file_errors(self._path):
                self._rows.write(readings)

    def finish(self) -> None:
        """Give the file its name."""
        with file_errors(self._path):
            if self._rows is not None:
                self._rows.close()
            self._part.replace(self._path)

    def drop(self) -> None:
        """Leave nothing of the file."""
        if self._rows is not None:
            self._rows.drop()
        self._part.unlink(missing_ok=True)
