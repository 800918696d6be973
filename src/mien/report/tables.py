"""Tables: numbers under names, written to CSV as numbers and shown to readers with their unit."""

import dataclasses
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mien.evaluate.intervals import Estimate, Spread
from mien.files import write_csv

Show: TypeAlias = Callable[[Any], str]
Row: TypeAlias = dict[str, Any]
"""Key of a column → a string, a number, an Estimate, a Spread or None."""
NOTHING = "–"


def percent(digits: int = 2) -> Show:
    """Shows a share, with its interval or deviation, in per cent."""
    return lambda v: v.percent(digits) if hasattr(v, "percent") else f"{100 * v:.{digits}f}"


def plain(digits: int = 4) -> Show:
    """Shows a number, with its interval or deviation, as it is."""
    return lambda v: v.plain(digits) if hasattr(v, "plain") else f"{v:.{digits}f}"


def scaled(unit: float, digits: int) -> Show:
    """Shows a number, with its deviation, in multiples of `unit`."""

    def show(v: Any) -> str:
        if isinstance(v, Spread):
            return Spread(v.mean / unit, v.sd / unit).plain(digits)
        return f"{v / unit:,.{digits}f}"

    return show


def general(digits: int) -> Show:
    """Shows a number as short as it is; one with its deviation to `digits` decimal places."""
    return lambda v: v.plain(digits) if isinstance(v, Spread) else f"{v:g}"


count = "{:,}".format


@dataclass(frozen=True, slots=True)
class Column:
    """A quantity: its name in files, its title for readers, and how they are shown its values."""

    key: str
    title: str
    show: Show = str
    falls: bool = False
    """Whether less is better: the least is the first that a reader wants to see."""

    @property
    def short(self) -> str:
        """The title without what stands in brackets."""
        return re.sub(r" \(.*?\)", "", self.title)


@dataclass(frozen=True, slots=True)
class Part:
    """A cell of a table in a page: what it shows, the interval or deviation beside it, and the
    number to sort by; None for words."""

    text: str
    interval: str
    value: float | None


@dataclass(frozen=True)
class Table:
    """Rows of values by the keys of `columns`; a row may lack some."""

    columns: tuple[Column, ...]
    rows: Sequence[Row]

    def __bool__(self) -> bool:
        return bool(self.rows)

    def only(self, *keys: str) -> "Table":
        """Of the columns with these keys those that have a value, in this order."""
        by_key = {column.key: column for column in self.columns}
        held = [k for k in keys if any(row.get(k) is not None for row in self.rows)]
        return Table(tuple(by_key[key] for key in held), self.rows)

    @property
    def header(self) -> list[str]:
        """Titles of the columns."""
        return [column.title for column in self.columns]

    @property
    def worded(self) -> list[bool]:
        """Which columns hold words."""
        return [any(isinstance(row.get(c.key), str) for row in self.rows) for c in self.columns]

    @property
    def cells(self) -> list[list[str]]:
        """What readers are shown, row by row."""
        return [[_shown(row.get(c.key), c.show) for c in self.columns] for row in self.rows]

    @property
    def parts(self) -> list[list[Part]]:
        """The same in parts."""
        return [[_part(row.get(c.key), c.show) for c in self.columns] for row in self.rows]

    def markdown(self) -> list[str]:
        """Lines of a Markdown table."""
        lines = [self.header, ["---"] * len(self.columns), *self.cells]
        escaped = [[cell.replace("|", "\\|") for cell in line] for line in lines]
        return [f"| {' | '.join(line)} |" for line in escaped]

    def as_columns(self) -> dict[str, list[Any]]:
        """Numbers by column; an estimate takes three: itself, `_low` and `_high`; a spread two:
        `_mean` and `_sd`. NaN where there is no value."""
        found: dict[str, list[Any]] = {}
        for column in self.columns:
            values = [row.get(column.key) for row in self.rows]
            kinds = {type(value) for value in values}
            if Estimate in kinds or Spread in kinds:
                kind = Estimate if Estimate in kinds else Spread
                for field in dataclasses.fields(kind):
                    name = f"{column.key}_{field.name}".removesuffix("_value")
                    found[name] = [getattr(value, field.name, np.nan) for value in values]
            else:
                found[column.key] = [np.nan if value is None else value for value in values]
        return found

    def write_csv(self, path: Path) -> None:
        """Write `as_columns`; nothing for a table without rows."""
        if self.rows:
            write_csv(path, self.as_columns())


def table_of(rows: Iterable[Row]) -> Table:
    """A table whose columns are those of its rows, titled by their keys."""
    rows = list(rows)
    return Table(tuple(Column(key, key) for key in dict.fromkeys(k for r in rows for k in r)), rows)


def confusion_shares(
    confusion: NDArray[np.int64], labels: Sequence[str]
) -> dict[str, dict[str, float | None]]:
    """True label → answered label → share of the true one; none where there is no image."""
    found: dict[str, dict[str, float | None]] = {}
    for label, row in zip(labels, confusion.tolist(), strict=True):
        total = sum(row)
        shares = [n / total if total else None for n in row]
        found[label] = dict(zip(labels, shares, strict=True))
    return found


def _shown(value: Any, show: Show) -> str:
    number = _number(value)
    nothing = value is None or (number is not None and np.isnan(number))
    return NOTHING if nothing else show(value)


def _part(value: Any, show: Show) -> Part:
    text = _shown(value, show)
    number = _number(value)
    if number is None or text == NOTHING:
        return Part(text, "", None)
    shown, mark, rest = next(
        (p for m in (" [", " ± ") if (p := text.partition(m))[1]), (text, "", "")
    )
    return Part(shown, f"{mark.strip()}{' ' * (mark == ' ± ')}{rest}", number)


def _number(value: Any) -> float | None:
    if isinstance(value, Estimate):
        return value.value
    if isinstance(value, Spread):
        return value.mean
    return float(value) if isinstance(value, int | float | np.number) else None
