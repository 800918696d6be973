"""exclude.csv: pictures to be left out of training, by split and name."""

import csv
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from mien.audit.checks import TRAIN, Finding
from mien.data import Dataset
from mien.errors import DataError
from mien.files import csv_text, existing, write_text

Excluded = frozenset[tuple[str, str]]
"""Split and name of each picture."""


def write_exclude(path: Path, findings: Iterable[Finding]) -> int:
    """Write the training pictures that have an error, with its codes; how many they are."""
    codes: dict[str, list[str]] = {}
    for finding in findings:
        if finding.check.severity == "error" and finding.split == TRAIN:
            codes.setdefault(finding.name, []).append(finding.check.code)
    rows = ((TRAIN, name, " ".join(found)) for name, found in sorted(codes.items()))
    write_text(path, csv_text([("split", "name", "codes"), *rows]))
    return len(codes)


def read_exclude(path: Path | str) -> Excluded:
    """The pictures in a table with columns split and name; InputError or DataError without one."""
    path = existing(path, "exclude table")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            if missing := {"split", "name"} - set(rows.fieldnames or ()):
                raise DataError(
                    f"{path} has no column {' and '.join(sorted(missing))}; expected the "
                    "exclude.csv of: mien data audit DATA --out DIR"
                )
            return frozenset((row["split"] or "", row["name"] or "") for row in rows)
    except (csv.Error, UnicodeDecodeError, IsADirectoryError) as error:
        raise DataError(f"{path} is not a readable table ({error})") from error


def without(data: Dataset, excluded: Excluded) -> Dataset:
    """`data` less the pictures `excluded`, before anything is held out of it.

    DataError if one of them is not there (the table is that of other data), or nothing is left.
    """
    splits = {}
    there = set()
    for split, part in data.splits.items():
        out = np.array([(split, str(name)) in excluded for name in part.names], bool)
        there |= {(split, str(name)) for name in part.names[out]}
        if out.all() and len(part):
            raise DataError(f"the exclude table leaves no picture in {split} of {data.name}")
        splits[split] = part.take(np.flatnonzero(~out)) if out.any() else part
    if strange := sorted(excluded - there):
        raise DataError(
            f"{len(strange)} of {len(excluded)} excluded pictures are not in {data.name} (such as "
            f"{' '.join(strange[0])}); audit this data set again"
        )
    return replace(data, splits=splits)
