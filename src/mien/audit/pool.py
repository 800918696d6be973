"""All pictures of a data set in one row, and what cannot be among them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.audit.checks import Check, Finding
from mien.data import Asked, Dataset, cache, open_dataset
from mien.data.cache import PLAIN
from mien.data.dataset import equal_pixels
from mien.data.formats import find, folder
from mien.data.formats.format import Format
from mien.data.records import Record
from mien.data.tree import Tree
from mien.errors import DataError, InputError
from mien.preprocess import scale

SIDE_PX = 48


@dataclass(frozen=True)
class Pool:
    """The pictures of all splits, one split after the other; N in all."""

    data: Dataset
    splits: NDArray[np.str_]
    names: NDArray[np.str_]
    labels: NDArray[np.int64]
    """(N,) index in `data.labels`."""
    small: NDArray[np.uint8]
    """(N, 48, 48): what is looked at, whatever the size of the pictures."""
    twins: NDArray[np.int64]
    """(N,) a number that is equal exactly for equal pixels."""

    def __len__(self) -> int:
        return len(self.names)

    def finding(
        self, check: Check, row: int, detail: str, score: float, group: int | None = None
    ) -> Finding:
        """The picture at `row`, found by `check`."""
        label = self.data.labels[self.labels[row]]
        place = (str(self.names[row]), detail, str(self.splits[row]), label)
        return Finding(check, *place, float(score), group, row)


def pool(data: Dataset) -> Pool:
    """All splits of `data`, joined."""
    parts = data.splits.values()
    return Pool(
        data,
        np.concatenate([np.full(len(part), part.name) for part in parts]),
        np.concatenate([part.names for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([np.stack([scale(i, SIDE_PX) for i in part.images]) for part in parts]),
        equal_pixels(data),
    )


def open_readable(path: Path, asked: Asked = PLAIN) -> tuple[Dataset, list[Finding]]:
    """The data set of all files that can be read, and a finding for each other file.

    Pictures are judged one by one; a table of pixels is whole, or DataError tells its first bad
    line. Raises DataError, too, if nothing can be read.
    """
    try:
        return open_dataset(path, asked), []
    except DataError:
        records, findings = _sorted_out(Tree.open(path), asked)
        if not records:
            raise
    # Under a key of its own: opened for training, the same files must remain an error.
    return cache.store(f"audit-{cache.key_of(path)}", path.name, records, asked), findings


def _sorted_out(tree: Tree, asked: Asked) -> tuple[list[Record], list[Finding]]:
    records, findings = [], []
    for name, found in _found(tree, find(tree, asked.format)):
        try:
            record = found()
            record.decoded(color=False)
            records.append(record)
        except InputError as error:
            findings.append(Finding(Check.UNREADABLE, name, str(error)))
    return records, findings


def _found(tree: Tree, chosen: Format) -> Iterator[tuple[str, Callable[[], Record]]]:
    """Name and maker of every record; of a folder per class, of every file."""
    if chosen.name == "folder":
        yield from ((name, partial(folder.record, name, tree)) for name in tree.names)
    elif chosen.records and chosen.name != "fer2013":
        pictures = (r for r in chosen.records(tree) if isinstance(r, Record))
        yield from ((record.name, partial(replace, record)) for record in pictures)
