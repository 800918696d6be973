"""All pictures of a data set in one row, and what cannot be among them."""

import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.audit.checks import Check, Finding
from mien.data import TABLES, Dataset, cache, open_dataset
from mien.data.dataset import equal_pixels
from mien.data.folder import list_files, record, wanted
from mien.data.records import Record
from mien.errors import DataError, InputError
from mien.preprocess import scale

SIDE_PX = 48

_DAMAGED = (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError)


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


def open_readable(path: Path) -> tuple[Dataset, list[Finding]]:
    """The data set of all files that can be read, and a finding for each other file.

    Files of a folder or a zip are judged one by one; a table is whole, or DataError tells its
    first bad line. Raises DataError, too, if nothing can be read.
    """
    try:
        return open_dataset(path), []
    except DataError:
        is_table = any((path / table).is_file() for table in TABLES)
        records, findings = ([], []) if is_table else _sorted_out(path)
        if not records:
            raise
    # Under a key of its own: opened for training, the same files must remain an error.
    return cache.store(f"audit-{cache.key_of(path)}", path.name, records), findings


def _sorted_out(path: Path) -> tuple[list[Record], list[Finding]]:
    records, findings = [], []
    for name, read in _files(path):
        try:
            records.append(record(name, read(), path.name))
        except InputError as error:
            findings.append(Finding(Check.UNREADABLE, name, str(error)))
        except _DAMAGED as error:
            reason = f"{name} cannot be unpacked: {error}"
            findings.append(Finding(Check.UNREADABLE, name, reason))
    return records, findings


def _files(path: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Name and reader of every file of a folder or a zip."""
    if path.is_dir():
        yield from ((name, (path / name).read_bytes) for name in list_files(path))
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = sorted(name for name in archive.namelist() if wanted(name))
            yield from ((name, partial(archive.read, name)) for name in names)
