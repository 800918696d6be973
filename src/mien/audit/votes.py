"""What FER+'s voters say of pictures and labels."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.audit.checks import NO_FACE, OUTVOTED, UNCLEAR, Finding
from mien.audit.pool import Pool
from mien.data.ferplus import join_votes
from mien.errors import DataError
from mien.labels import FERPLUS

CLEAR = 0.8
"""Share of the voters that makes a vote clear."""
_HALF = 0.5


def join(pool: Pool, path: Path) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """(N, 10) votes, and (N,) whether the table covers the split at all; DataError if it has none.

    Many tables lack the private split.
    """
    votes, covered, refused = [], [], []
    for split in pool.data.splits.values():
        try:
            votes.append(join_votes(split, path))
        except DataError as error:
            refused.append(error)
            votes.append(np.full((len(split), len(FERPLUS)), -1, np.int16))
        covered.append(np.full(len(split), (votes[-1] >= 0).any()))
    if len(refused) == len(votes):
        raise refused[0]
    return np.concatenate(votes), np.concatenate(covered)


def check_votes(
    pool: Pool, votes: NDArray[np.int16], covered: NDArray[np.bool_]
) -> Iterator[Finding]:
    """Pictures without a face, labels against a clear vote, and votes without a winner."""
    voted = (votes >= 0).all(1) & (votes.sum(1) > 0)
    shares = np.maximum(votes, 0) / np.maximum(votes.sum(1, keepdims=True), 1)
    winner, share = shares.argmax(1), shares.max(1)
    faceless = shares[:, FERPLUS.index("no_face")]
    names = np.array(FERPLUS)
    labels = np.array(pool.data.labels)[pool.labels]
    details = [f"{int(row.max())} of {int(row.sum())} say {names[row.argmax()]}" for row in votes]
    unknown = np.isin(names[winner], ("unknown", "no_face"))
    tied = (shares == share[:, None]).sum(1) > 1
    for row in np.flatnonzero(covered & ~voted).tolist():
        yield pool.finding(NO_FACE, row, "dropped by FER+", 1.0)
    for row in np.flatnonzero(voted & (faceless >= _HALF)).tolist():
        yield pool.finding(NO_FACE, row, details[row], faceless[row])
    against = voted & (share >= CLEAR) & (names[winner] != labels) & ~unknown
    clearest = np.argsort(-share[against], kind="stable")
    for row in np.flatnonzero(against)[clearest].tolist():
        yield pool.finding(OUTVOTED, row, details[row], share[row])
    unclear = voted & (tied | (names[winner] == "unknown"))
    for row in np.flatnonzero(unclear).tolist():
        yield pool.finding(UNCLEAR, row, details[row], share[row])
