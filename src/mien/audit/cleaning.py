"""exclude.csv, relabel.csv and weights.csv: what an audit would leave out of training, label
otherwise or believe less."""

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mien.audit.checks import TRAIN, Check, Finding
from mien.data import Dataset
from mien.errors import DataError
from mien.files import columns_of, csv_text, existing, first_line, write_text
from mien.labels import canonical

Place = tuple[str, str]
"""Split and name of a picture."""


def cleaned(
    data: Dataset, exclude: str | None, relabel: str | None, weights: str | None
) -> Dataset:
    """`data` with the labels and weights of these tables, less the pictures of the table `exclude`,
    before anything is held out of it.

    InputError or DataError for a table that is none, or that of other data.
    """
    if relabel is not None:
        data = relabelled(data, read_relabel(relabel))
    if weights is not None:
        data = weighted(data, read_weights(weights))
    return data if exclude is None else without(data, read_exclude(exclude))


def write_exclude(path: Path, findings: Iterable[Finding]) -> int:
    """Write the training pictures that have an error, with its codes; how many they are."""
    codes: dict[str, list[str]] = {}
    for finding in findings:
        if finding.check.severity == "error" and finding.split == TRAIN:
            codes.setdefault(finding.name, []).append(finding.check.code)
    rows = ((TRAIN, name, " ".join(found)) for name, found in sorted(codes.items()))
    write_text(path, csv_text([("split", "name", "codes"), *rows]))
    return len(codes)


def write_relabel(path: Path, findings: Iterable[Finding]) -> int:
    """Write the training pictures for which all that doubt their label propose the same other one;
    how many they are. Columns: split, name, label, the old one, codes."""
    doubts: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        if finding.proposed and finding.split == TRAIN:
            doubts.setdefault((finding.name, finding.label), []).append(finding)
    rows = [
        (TRAIN, name, found[0].proposed, old, " ".join(one.check.code for one in found))
        for (name, old), found in sorted(doubts.items())
        if len({one.proposed for one in found}) == 1
    ]
    write_text(path, csv_text([("split", "name", "label", "was", "codes"), *rows]))
    return len(rows)


def write_weights(path: Path, findings: Iterable[Finding]) -> int:
    """Write how likely a model takes the label of each training picture to be whose label it
    doubts, 0-0.5; how many they are. Columns: split, name, weight."""
    doubted = {
        finding.name: (1 + finding.score) / 2
        for finding in findings
        if finding.check is Check.SUSPECT and finding.split == TRAIN and finding.score is not None
    }
    rows = ((TRAIN, name, f"{weight:.4f}") for name, weight in sorted(doubted.items()))
    write_text(path, csv_text([("split", "name", "weight"), *rows]))
    return len(doubted)


def read_exclude(path: Path | str) -> frozenset[Place]:
    """The pictures in a table with columns split and name; InputError or DataError without one."""
    return frozenset((split, name) for split, name in _read(path, "exclude", ("split", "name")))


def read_relabel(path: Path | str) -> dict[Place, str]:
    """The new label of each picture in a table with columns split, name and label; InputError or
    DataError without one."""
    rows = _read(path, "relabel", ("split", "name", "label"))
    return {(split, name): canonical(label) for split, name, label in rows}


def read_weights(path: Path | str) -> dict[Place, float]:
    """The weight of each picture in a table with columns split, name and weight; InputError or
    DataError without one, or for a weight that is none."""
    found: dict[Place, float] = {}
    for split, name, text in _read(path, "weights", ("split", "name", "weight")):
        try:
            found[split, name] = weight = float(text.replace(",", "."))
        except ValueError:
            weight = math.nan
        if not 0 <= weight < math.inf:
            raise DataError(f"{path}: {name} has the weight {text!r}; expected 0 or more")
    return found


def without(data: Dataset, excluded: frozenset[Place]) -> Dataset:
    """`data` less the pictures `excluded`.

    DataError if one of them is not there (the table is that of other data), or nothing is left.
    """
    _refuse_strange(data, excluded, "excluded")
    splits = {}
    for split, part in data.splits.items():
        out = np.array([(split, str(name)) in excluded for name in part.names], bool)
        if out.all() and len(part):
            raise DataError(f"the exclude table leaves no picture in {split} of {data.name}")
        splits[split] = part.take(np.flatnonzero(~out)) if out.any() else part
    return replace(data, splits=splits)


def relabelled(data: Dataset, labels: dict[Place, str]) -> Dataset:
    """`data` with other `labels` for some of its pictures.

    DataError if one of them is not there, or has a label that the data has not.
    """
    _refuse_strange(data, labels, "relabelled")
    if unknown := sorted(set(labels.values()) - set(data.labels)):
        raise DataError(
            f"the relabel table says {unknown[0]!r}; {data.name} has: {', '.join(data.labels)}"
        )
    splits = {}
    for split, part in data.splits.items():
        old = (data.labels[label] for label in part.labels)
        new = [labels.get((split, str(n)), o) for n, o in zip(part.names, old, strict=True)]
        numbers = np.array([data.labels.index(label) for label in new], np.int64)
        splits[split] = replace(part, labels=numbers)
    return replace(data, splits=splits)


def weighted(data: Dataset, weights: dict[Place, float]) -> Dataset:
    """`data` with these `weights` of its labels, 1 of others. DataError if one is not there."""
    _refuse_strange(data, weights, "weighted")
    splits = {
        split: replace(
            part, weights=np.array([weights.get((split, str(name)), 1.0) for name in part.names])
        )
        for split, part in data.splits.items()
    }
    return replace(data, splits=splits)


def _refuse_strange(data: Dataset, places: Iterable[Place], what: str) -> None:
    there = {(split, str(name)) for split, part in data.splits.items() for name in part.names}
    asked = set(places)
    if strange := sorted(asked - there):
        raise DataError(
            f"{len(strange)} of {len(asked)} {what} pictures are not in {data.name} (such as "
            f"{' '.join(strange[0])}); audit this data set again"
        )


def _read(path: Path | str, what: str, columns: Sequence[str]) -> list[tuple[str, ...]]:
    """The cells of these columns, row by row."""
    path = existing(path, f"{what} table")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            separator, _ = columns_of(first_line(path), columns)
            rows = csv.DictReader(file, delimiter=separator)
            if missing := set(columns) - set(rows.fieldnames or ()):
                raise DataError(
                    f"{path} has no column {' and '.join(sorted(missing))}; expected the "
                    f"{what}.csv of: mien data audit DATA --out DIR"
                )
            return [tuple(row[name] or "" for name in columns) for row in rows]
    except (csv.Error, UnicodeDecodeError, IsADirectoryError) as error:
        raise DataError(f"{path} is not a readable table ({error})") from error
