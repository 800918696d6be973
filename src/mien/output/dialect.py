"""How a CSV is written, and its rows: as mien writes it, or as a spreadsheet has saved it."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from mien.errors import InputError
from mien.files import csv_text
from mien.types import DECIMALS, TEXTS

BOM = b"\xef\xbb\xbf"
"""What tells Excel that a file is UTF-8."""
_SEPARATORS = ",;\t"


@dataclass(frozen=True, slots=True)
class Dialect:
    """The form of a CSV; by default mien's own."""

    separator: str = ","
    end: str = "\n"
    decimal: str = "."
    bom: bool = False

    def line(self, cells: Sequence[Any]) -> str:
        """A row as text, numbers with six decimals."""
        shown = [self._shown(cell) for cell in cells]
        return csv_text([shown], separator=self.separator, end=self.end)

    def _shown(self, cell: Any) -> Any:
        if not isinstance(cell, float):
            return cell
        return str(round(cell, DECIMALS)).replace(".", self.decimal)

    def heading(self, names: Sequence[str]) -> bytes:
        """The first row, with the mark of UTF-8 if there is one."""
        return (BOM if self.bom else b"") + self.line(names).encode()

    def plain(self, row: dict[str, str]) -> dict[str, str]:
        """The cells of a row with points in their numbers."""
        if self.decimal == ".":
            return row
        return {n: c if n in TEXTS else c.replace(self.decimal, ".") for n, c in row.items()}


class Rows:
    """The rows of a CSV that has the columns `names`; one that was cut off at the end is left out.

    `dialect` is known after the first row; `begin` and `end` are the bytes of the last one that was
    given.
    Raises InputError for other columns or another encoding than UTF-8, ValueError or csv.Error for
    a row that is none.
    """

    def __init__(self, file: IO[bytes], names: Sequence[str], path: Path) -> None:
        self.dialect = Dialect()
        self.begin = self.end = 0
        self._file, self._names, self._path = file, list(names), path
        self._read = 0
        self._ended = False

    def __iter__(self) -> Iterator[dict[str, str]]:
        self._file.seek(0)
        with open(self._file.fileno(), "rb", closefd=False) as file:
            lines = self._lines(file)
            if (heading := next(lines, None)) is None:
                self._check_begun()
                return
            self._learn_columns(heading)
            self.end = self._read
            yield from self._rows(lines)

    def _rows(self, lines: Iterator[str]) -> Iterator[dict[str, str]]:
        reader = csv.reader(lines, delimiter=self.dialect.separator, strict=True)
        while (cells := self._next(reader)) is not None:
            if not cells:
                continue
            row = dict(zip(self._names, cells, strict=True))
            self._learn_decimal(row)
            self.begin, self.end = self.end, self._read
            yield self.dialect.plain(row)

    def _next(self, reader: Iterator[list[str]]) -> list[str] | None:
        try:
            return next(reader, None)
        except csv.Error:
            if not self._ended:
                raise
            return None  # cut off within quotes

    def _lines(self, file: IO[bytes]) -> Iterator[str]:
        """The lines that have an end."""
        for line in file:
            if not line.endswith(b"\n"):
                break
            self._read += len(line)
            try:
                yield line.decode("utf-8")
            except UnicodeDecodeError:
                raise InputError(
                    f"{self._path} is not in UTF-8; if Excel saved it, save it again as 'CSV "
                    "UTF-8', or choose another --csv"
                ) from None
        self._ended = True

    def _check_begun(self) -> None:
        """The file is empty or was cut off within its heading."""
        self._file.seek(0)
        begun, heading = self._file.read(), Dialect(bom=True).heading(self._names)
        if not heading.startswith(begun) and not heading[len(BOM) :].startswith(begun):
            raise self._other_columns()

    def _learn_columns(self, heading: str) -> None:
        text = heading.removeprefix("\ufeff")
        end = "\r\n" if text.endswith("\r\n") else "\n"
        for separator in _SEPARATORS:
            if next(csv.reader([text], delimiter=separator)) == self._names:
                self.dialect = Dialect(separator, end, bom=text != heading)
                return
        raise self._other_columns()

    def _other_columns(self) -> InputError:
        return InputError(
            f"{self._path} has other columns than this model and release of mien write; choose "
            "another --csv"
        )

    def _learn_decimal(self, row: dict[str, str]) -> None:
        numbers = (cell for name, cell in row.items() if name not in TEXTS)
        if self.dialect.separator != "," and any("," in cell for cell in numbers):
            self.dialect = replace(self.dialect, decimal=",")
