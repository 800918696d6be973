"""Does a model serve some groups worse? Figures by the columns of a table, and the gaps between."""

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data import attributes
from mien.errors import DataError, InputError
from mien.evaluate.evaluation import Evaluation
from mien.evaluate.intervals import LEVEL, RESAMPLES, Estimate, confusion_intervals
from mien.evaluate.metrics import macro_recall
from mien.evaluate.paired import SIGNIFICANT, holm
from mien.extras import need
from mien.files import columns_of, existing, first_line

MINIMUM = 30
"""A group of fewer images says nothing: the interval of its accuracy is up to 36 points wide."""
_KEYS = ("name", "path")

Values = dict[str, str]
"""Column → value of one image."""


@dataclass(frozen=True, slots=True)
class Group:
    """Some of the images; without figures where they are too few to say anything."""

    name: str
    images: int
    right: int
    classes: int
    """Labels that occur: macro-recall is a mean over these."""
    accuracy: Estimate | None
    macro_recall: Estimate | None


@dataclass(frozen=True, slots=True)
class Gap:
    """How much more accurate the model is on the group `better` than on `worse`.

    `accuracy` is the difference with its bootstrap interval, `p` Fisher's exact two-sided
    probability of so uneven a split by chance, `adjusted` the same after Holm's (1979) correction
    for all pairs of the column.
    """

    better: str
    worse: str
    accuracy: Estimate
    p: float
    adjusted: float

    @property
    def real(self) -> bool:
        """Whether chance alone is an unlikely reason."""
        return self.adjusted < SIGNIFICANT


@dataclass(frozen=True, slots=True)
class Grouping:
    """One column: its groups, the largest first, and the gaps of all pairs, the widest first."""

    column: str
    groups: tuple[Group, ...]
    gaps: tuple[Gap, ...]
    empty: int
    """Images without a value."""


@dataclass(frozen=True, slots=True)
class Groups:
    """The groupings of the `images` of an evaluation that a table names."""

    groupings: tuple[Grouping, ...]
    images: int
    missing: int
    """Images that the table does not name."""
    minimum: int


def by_groups(
    evaluation: Evaluation,
    table: Path,
    columns: Sequence[str] | None = None,
    *,
    minimum: int = MINIMUM,
) -> Groups:
    """Figures by each of `columns` (default: all) of a CSV that has a column `name` or `path`,
    joined by the last three parts of the path; or by what a data set's folder or zip tells.

    Groups of fewer than `minimum` images get none. Raises InputError for a file or column that is
    not there, DataError for a table that cannot be read, contradicts itself or names no image.
    """
    if minimum < 2:
        raise InputError(f"expected a minimum of at least 2 images, got {minimum}")
    chosen, rows = _read(existing(table, "table of groups"), columns)
    found = [rows.get(_place(str(name))) for name in evaluation.names]
    named = sum(values is not None for values in found)
    if not named:
        raise DataError(
            f"{table} names no image of the evaluation (such as {str(evaluation.names[0])!r}); "
            "is it the table of these images?"
        )
    groupings = []
    for column in chosen:
        values = np.array([row[column] if row else "" for row in found])
        groups, gaps = _figures(evaluation, values, minimum)
        groupings.append(Grouping(column, groups, gaps, named - sum(g.images for g in groups)))
    return Groups(tuple(groupings), named, len(found) - named, minimum)


def _read(path: Path, columns: Sequence[str] | None) -> tuple[list[str], dict[str, Values]]:
    """The columns to look at, and the values of each image by its place."""
    table = _table(path)
    there = [c for c in table if not c.startswith("Unnamed: ")]
    key = next((k for k in _KEYS if k in there), None)
    others = [c for c in there if c != key]
    if key is None or not others:
        raise DataError(
            f"{path} has the columns {', '.join(there) or '(none)'}; expected name or path, as in "
            "predictions.parquet, and one or more of groups"
        )
    if unknown := [c for c in columns or () if c not in others]:
        raise InputError(f"{path} has no column {unknown[0]!r}; has: {', '.join(others)}")
    chosen = list(columns or others)
    rows: dict[str, Values] = {}
    table = table.fillna("")
    for number, (name, *cells) in enumerate(table[[key, *chosen]].itertuples(index=False), 2):
        values = {column: cell.strip() for column, cell in zip(chosen, cells, strict=True)}
        if rows.setdefault(_place(name), values) != values:
            raise DataError(f"{path}, line {number}: {name} has other values above; keep one row")
    return chosen, rows


def _table(path: Path) -> Any:
    """A row per image: of a CSV, or of a data set that tells of its people."""
    pandas = need("pandas", extra="report")
    if path.is_dir() or path.suffix.lower() == ".zip":
        told = attributes(path).items()
        return pandas.DataFrame([{"name": name, **groups} for name, groups in told])
    try:
        separator, _ = columns_of(first_line(path), _KEYS)
        how = {"sep": separator, "dtype": str, "keep_default_na": False, "index_col": False}
        return pandas.read_csv(path, encoding="utf-8-sig", encoding_errors="replace", **how)
    except ValueError as error:
        raise DataError(f"{path} is not a readable table ({error})") from error


def _place(path: str) -> str:
    """`train/angry/x.png`, whatever folder the data set was unpacked to."""
    return "/".join(path.strip().replace("\\", "/").split("/")[-3:])


def _figures(
    evaluation: Evaluation, values: NDArray[np.str_], minimum: int
) -> tuple[tuple[Group, ...], tuple[Gap, ...]]:
    sizes = Counter(values[values != ""].tolist())
    groups = tuple(
        _group(evaluation, name, values == name, minimum) for name, _ in sizes.most_common()
    )
    return groups, _gaps([group for group in groups if group.accuracy])


def _group(evaluation: Evaluation, name: str, rows: NDArray[np.bool_], minimum: int) -> Group:
    classes = len(evaluation.labels)
    answers = evaluation.probabilities[rows].argmax(1)
    cells = np.bincount(classes * evaluation.truth[rows] + answers, minlength=classes**2)
    confusion = cells.reshape(classes, classes)
    images, present = int(rows.sum()), int((confusion.sum(1) > 0).sum())
    figures: tuple[Estimate | None, ...] = (None, None)
    if images >= minimum:
        figures = confusion_intervals(confusion, _accuracy_and_recall)
    return Group(name, images, int(np.trace(confusion)), present, *figures)


def _accuracy_and_recall(confusions: NDArray[np.float64]) -> NDArray[np.float64]:
    """(R, C, C) → (R, 2)."""
    accuracy = np.trace(confusions, axis1=1, axis2=2) / confusions.sum((1, 2))
    return np.stack([accuracy, macro_recall(confusions)], 1)


def _gaps(groups: list[Group]) -> tuple[Gap, ...]:
    """All pairs, the widest gap first."""
    pairs = [
        sorted(pair, key=lambda group: -group.right / group.images)
        for pair in itertools.combinations(groups, 2)
    ]
    chances = [_fisher(*pair) for pair in pairs]
    gaps = [
        Gap(better.name, worse.name, _difference(better, worse), p, adjusted)
        for (better, worse), p, adjusted in zip(pairs, chances, holm(chances), strict=True)
    ]
    return tuple(sorted(gaps, key=lambda gap: -gap.accuracy.value))


def _fisher(one: Group, other: Group) -> float:
    """Exact two-sided p-value that both groups are answered equally well."""
    stats = need("scipy.stats", extra="report")
    table = [[group.right, group.images - group.right] for group in (one, other)]
    return float(stats.fisher_exact(table).pvalue)


def _difference(better: Group, worse: Group) -> Estimate:
    """Percentile interval: each group's images are resampled on their own."""
    rng = np.random.default_rng(0)
    shares = [group.right / group.images for group in (better, worse)]
    drawn = [
        rng.binomial(group.images, share, RESAMPLES) / group.images
        for group, share in zip((better, worse), shares, strict=True)
    ]
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(drawn[0] - drawn[1], [tail, 1 - tail])
    return Estimate(shares[0] - shares[1], float(low), float(high))
