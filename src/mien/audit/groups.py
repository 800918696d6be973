"""From copies to findings: leaks, conflicts and repetitions."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mien.audit.checks import TRAIN, Check, Finding
from mien.audit.copies import Copies
from mien.audit.pool import Pool

Rows = NDArray[np.int64]


def check_copies(pool: Pool, copies: Copies) -> Iterator[Finding]:
    """What is wrong with each group of copies; one group may have several faults."""
    exact, every = grouped(pool.twins), grouped(copies.near)
    # A group of altered copies has more to show than equal pixels; MD302 and its like tell that.
    near = [rows for rows in every if len(np.unique(pool.twins[rows])) > 1]
    for check, groups, choose in (
        (Check.LEAK, exact, _leaked),
        (Check.NEAR_LEAK, near, _leaked),
        (Check.CONFLICT, exact, _conflicting),
        (Check.NEAR_CONFLICT, near, _conflicting),
        (Check.REPEATED, exact, _repeated),
        (Check.NEAR_REPEATED, near, _repeated),
        (Check.SHARED, every, _shared),
    ):
        chosen = (rows for group in groups if len(rows := choose(pool, group)))
        for number, rows in enumerate(chosen, 1):
            for row in rows:
                detail = _detail(pool, copies, row)
                yield pool.finding(check, row, detail, copies.score[row], number)


def grouped(numbers: NDArray[np.int64]) -> list[Rows]:
    """The rows of each number that is there more than once, by their first row."""
    order = np.argsort(numbers, kind="stable")
    edges = np.flatnonzero(np.diff(numbers[order])) + 1
    groups = (rows for rows in np.split(order, edges) if len(rows) > 1)
    return sorted(groups, key=lambda rows: int(rows[0]))


def _leaked(pool: Pool, rows: Rows) -> Rows:
    trained = pool.splits[rows] == TRAIN
    return rows if trained.any() and not trained.all() else rows[:0]


def _conflicting(pool: Pool, rows: Rows) -> Rows:
    return rows if len(np.unique(pool.labels[rows])) > 1 else rows[:0]


def _repeated(pool: Pool, rows: Rows) -> Rows:
    """Those that are not alone in their split."""
    _, place, counts = np.unique(pool.splits[rows], return_inverse=True, return_counts=True)
    return rows[counts[place] > 1]


def _shared(pool: Pool, rows: Rows) -> Rows:
    tests = rows[pool.splits[rows] != TRAIN]
    return tests if len(np.unique(pool.splits[tests])) > 1 else rows[:0]


def _detail(pool: Pool, copies: Copies, row: int) -> str:
    other = copies.partner[row]
    if pool.twins[row] == pool.twins[other]:
        return f"same pixels as {pool.names[other]}"
    return f"altered copy of {pool.names[other]}" + ", mirrored" * int(copies.mirrored[row])
