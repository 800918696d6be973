"""What a reader of a data set is, and what readers share."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from mien.data.records import Clip, LeftOut, Record
from mien.data.tree import Tree
from mien.errors import DataError
from mien.labels import canonical
from mien.types import Box

Records: TypeAlias = Iterator[Record | LeftOut]


@dataclass(frozen=True, slots=True)
class Format:
    """A data set that mien reads: its name for `--format`, how it is known, what it holds.

    Pictures come from `records`; films from `clips`, of one of the data set's folds.
    """

    name: str
    about: str
    """What lies where."""
    recognises: Callable[[Tree], bool]
    records: Callable[[Tree], Records] | None = None
    clips: Callable[[Tree, int], Iterator[Clip]] | None = None


def by_names(
    tree: Tree, pattern: str, data_set: str, record: Callable[[Tree, re.Match[str]], Record]
) -> Records:
    """The `record` of each picture whose path matches; the others are left out."""
    named = {match[0]: match for match in tree.match(pattern)}
    for name in tree.pictures:
        if (found := named.get(name)) is not None:
            yield record(tree, found)
        else:
            yield LeftOut(name, f"not named as {data_set} names its pictures")


def beside(tree: Tree, tables: str) -> Records:
    """The pictures that lie beside the `tables` that are read instead: all are left out."""
    return (LeftOut(name, f"beside {tables}") for name in tree.pictures)


def label_of(codes: Mapping[str, str], code: str, where: str) -> str:
    """The label of a data set's own code; DataError names the place of an unknown one."""
    if (label := codes.get(code)) is None:
        known = ", ".join(f"{code} {label}" for code, label in codes.items())
        raise DataError(f"{where}: unknown label {code!r}; expected {known}")
    return label


def named(words: Sequence[str], word: str, where: str) -> str:
    """One of these labels in mien's spelling; DataError names the place of an unknown one."""
    if (label := canonical(word)) not in words:
        raise DataError(f"{where}: unknown label {word!r}; expected {', '.join(words)}")
    return label


def numbered(labels: Sequence[str], first: int = 0) -> dict[str, str]:
    """The codes of labels that are counted from `first`."""
    return {str(number): label for number, label in enumerate(labels, first)}


def box_of(left: str, top: str, right: str, bottom: str, where: str) -> Box:
    """The box of a face between these edges; DataError if they enclose nothing."""
    try:
        x, y, x2, y2 = (round(float(edge)) for edge in (left, top, right, bottom))
    except (ValueError, TypeError, OverflowError):
        x = y = x2 = y2 = 0
    if x2 <= x or y2 <= y:
        got = f"{left} {top} {right} {bottom}"
        raise DataError(f"{where}: expected a face's left, top, right and bottom edge, got {got}")
    return Box(x, y, x2 - x, y2 - y)


def words_of(words: Sequence[str], number: int, where: str) -> Sequence[str]:
    """The words of a list's line, if they are so many; DataError otherwise."""
    if len(words) < number:
        raise DataError(f"{where}: expected {number} words, got {' '.join(words)!r}")
    return words
