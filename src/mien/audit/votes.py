"""What FER+'s voters say of pictures and labels."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.audit.checks import Check, Finding
from mien.audit.pool import Pool
from mien.data.ferplus import join_votes
from mien.errors import DataError
from mien.labels import FERPLUS

CLEAR = 0.8
"""Share of the voters that makes a vote clear."""


def join(pool: Pool, path: Path) -> NDArray[np.int16]:
    """(N, 10) votes, -1 where there are none; DataError if no split has any.

    Many tables lack the private split.
    """
    votes, refused = [], []
    for split in pool.data.splits.values():
        try:
            votes.append(join_votes(split, path))
        except DataError as error:
            refused.append(error)
            votes.append(np.full((len(split), len(FERPLUS)), -1, np.int16))
    if len(refused) == len(votes):
        raise refused[0]
    return np.concatenate(votes)


def check_votes(pool: Pool, votes: NDArray[np.int16]) -> Iterator[Finding]:
    """Pictures without a face, labels against a clear vote, and votes without a winner."""
    covered = np.isin(pool.splits, pool.splits[votes[:, 0] >= 0])
    voted = (votes >= 0).all(1) & (votes.sum(1) > 0)
    shares = np.maximum(votes, 0) / np.maximum(votes.sum(1, keepdims=True), 1)
    share, winner = shares.max(1), np.array(FERPLUS)[shares.argmax(1)]
    faceless = shares[:, FERPLUS.index("no_face")]
    other = winner != np.array(pool.data.labels)[pool.labels]
    against = voted & (share >= CLEAR) & other & ~np.isin(winner, ("unknown", "no_face"))
    tied = (shares == share[:, None]).sum(1) > 1
    clearest = np.argsort(-share, kind="stable")
    for row in np.flatnonzero(covered & ~voted).tolist():
        yield pool.finding(Check.NO_FACE, row, "dropped by FER+", 1.0)
    for check, rows, score in (
        (Check.NO_FACE, np.flatnonzero(voted & (faceless >= 0.5)), faceless),
        (Check.OUTVOTED, clearest[against[clearest]], share),
        (Check.UNCLEAR, np.flatnonzero(voted & (tied | (winner == "unknown"))), share),
    ):
        for row in rows.tolist():
            detail = f"{votes[row].max()} of {votes[row].sum()} say {winner[row]}"
            clear = check is Check.OUTVOTED and winner[row] in pool.data.labels
            found = pool.finding(check, row, detail, score[row])
            yield replace(found, proposed=str(winner[row])) if clear else found
