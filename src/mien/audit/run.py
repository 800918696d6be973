"""An audit as a story: open what can be opened, look, compare, doubt."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.audit import labels
from mien.audit.checks import Check, Finding
from mien.audit.copies import Track, check_copies, find_copies, plain
from mien.audit.pictures import blank, check_pictures
from mien.audit.pool import Pool, open_readable, pool
from mien.audit.votes import check_votes, join
from mien.data.cache import PLAIN, Asked
from mien.errors import InputError
from mien.files import existing


@dataclass(frozen=True, slots=True)
class Evidence:
    """What beyond the pictures is asked about the labels."""

    votes: Path | None = None
    """FER+'s votes."""
    model: str | Path | None = None
    """A bundle, for suspected label errors out of `folds`."""
    folds: int = 5
    predictions: Path | None = None
    """Instead of a model: an evaluation, as `mien evaluate` saves it."""


@dataclass(frozen=True)
class Audit:
    """A data set and what was found, in the order of the checks."""

    pool: Pool
    findings: tuple[Finding, ...]
    checks: tuple[Check, ...]
    """Those that were made."""
    joint: NDArray[np.float64] | None = None
    """(K, K) confident joint, where labels were checked with a model."""
    predictor: str = ""
    """Where the probabilities for that came from."""

    @property
    def counts(self) -> dict[str, int]:
        """Pictures by code."""
        found = Counter(finding.check for finding in self.findings)
        return {check.code: found[check] for check in self.checks}

    def found(self, check: Check) -> list[Finding]:
        """The findings of one check."""
        return [finding for finding in self.findings if finding.check is check]


def audit(
    source: Path, evidence: Evidence | None = None, track: Track = plain, how: Asked = PLAIN
) -> Audit:
    """Look for faults in the data set at `source`, read as `how` says.

    Raises InputError and DataError for what cannot be read, NotComparable for predictions of other
    pictures.
    """
    asked = evidence or Evidence()
    if asked.model is not None and asked.predictions is not None:
        raise InputError("expected a model or predictions, not both")
    data, findings = open_readable(existing(source, "data set"), how)
    seen = pool(data)
    findings += check_pictures(seen)
    copies = find_copies(seen.small, seen.twins, blank(seen), track)
    findings += check_copies(seen, copies)
    skipped = {Check.NO_FACE, Check.OUTVOTED, Check.UNCLEAR, Check.SUSPECT}
    joint, predictor = None, ""
    if asked.votes is not None:
        skipped = {Check.SUSPECT}
        findings += check_votes(seen, join(seen, asked.votes))
    if asked.model is not None or asked.predictions is not None:
        skipped.remove(Check.SUSPECT)
        rows, probabilities, predictor = _predicted(seen, copies.near, asked, track)
        suspects = labels.confident_learning(probabilities, seen.labels[rows])
        joint = suspects.joint
        findings += labels.check_labels(seen, rows, suspects)
    findings.sort(key=lambda finding: finding.check.code)
    made = tuple(check for check in Check if check not in skipped)
    return Audit(seen, tuple(findings), made, joint, predictor)


def _predicted(
    seen: Pool, groups: NDArray[np.int64], asked: Evidence, track: Track
) -> tuple[NDArray[np.int64], NDArray[np.float64], str]:
    """Rows, their probabilities by a model, and where those come from."""
    if asked.predictions is not None:
        return *labels.evaluated(
            seen, asked.predictions
        ), f"the evaluation {asked.predictions.name}"
    assert asked.model is not None
    features = labels.log_probabilities(seen, asked.model, track)
    classes = len(seen.data.labels)
    probabilities = labels.out_of_fold(features, seen.labels, groups, asked.folds, classes)
    source = f"{asked.folds} folds of a logistic regression on what {asked.model} says"
    return np.arange(len(seen)), probabilities, source
