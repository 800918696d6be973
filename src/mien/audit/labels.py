"""Suspected label errors: confident learning (Northcutt et al. 2021, arXiv:1911.00068).

It asks for probabilities by a model that has not seen the picture's label. Either they come from
an evaluation of other data than was trained on, or they are made here out of fold: a logistic
regression on a bundle's log-probabilities, fitted on the other folds, copies kept in one fold.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.audit.checks import Check, Finding
from mien.audit.copies import Track
from mien.audit.pool import Pool
from mien.bundle import Classifier, open_bundle
from mien.errors import InputError, NotComparable
from mien.extras import installed

Probabilities = NDArray[np.float64]

_BATCH = 256


@dataclass(frozen=True)
class Suspects:
    """What confident learning says of N labels out of K."""

    rows: NDArray[np.int64]
    """(S,) the suspected ones, worst first."""
    likely: NDArray[np.int64]
    """(S,) the class the model says."""
    margin: NDArray[np.float64]
    """(S,) probability of the label less that of the best other class."""
    joint: NDArray[np.float64]
    """(K, K) pictures with the label of the row that belong to the class of the column."""


def confident_learning(probabilities: Probabilities, labels: NDArray[np.int64]) -> Suspects:
    """Suspects from (N, K) probabilities and (N,) labels, pruned by noise rate.

    For each pair of classes, as many as the joint says are wrong: those whose other class lies
    furthest above their label; never one whose label the model finds most probable.
    """
    joint = confident_joint(probabilities, labels)
    rows = np.arange(len(labels))
    own = probabilities[rows, labels]
    pruned = np.zeros(len(labels), bool)
    for label, other in zip(*np.nonzero(np.round(joint)), strict=True):
        if label != other:
            members = np.flatnonzero(labels == label)
            above = probabilities[members, other] - own[members]
            pruned[members[np.argsort(-above, kind="stable")[: round(joint[label, other])]]] = True
    others = probabilities.copy()
    others[rows, labels] = -1
    margin = own - others.max(1)
    chosen = np.flatnonzero(pruned & (margin < 0))
    chosen = chosen[np.argsort(margin[chosen], kind="stable")]
    return Suspects(chosen, others[chosen].argmax(1), margin[chosen], joint)


def confident_joint(probabilities: Probabilities, labels: NDArray[np.int64]) -> Probabilities:
    """(K, K) pictures by label (row) and class the model is confident of (column).

    Confident: at least as probable as the class is on average where it is the label. Rows are
    scaled to the labels' counts.
    """
    classes = probabilities.shape[1]
    counts = np.bincount(labels, minlength=classes)
    present = np.flatnonzero(counts)
    usual = np.full(classes, np.inf)
    usual[present] = [probabilities[labels == label, label].mean() for label in present]
    confident = np.where(probabilities >= usual - 1e-9, probabilities, -1)
    sure = confident.max(1) >= 0
    joint = np.zeros((classes, classes))
    np.add.at(joint, (labels[sure], confident[sure].argmax(1)), 1)
    joint[present, present] = np.maximum(joint[present, present], 1)
    return np.asarray(joint * (counts / np.maximum(joint.sum(1), 1))[:, None], np.float64)


def out_of_fold(
    features: NDArray[np.float64],
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    folds: int,
    classes: int,
) -> Probabilities:
    """(N, classes) probabilities by logistic regressions that were fitted on the other folds.

    Rows of one group share a fold. InputError where a class is too small for so many folds.
    """
    counts = np.bincount(labels, minlength=classes)
    present = np.flatnonzero(counts)
    if folds < 2 or len(present) < 2 or counts[present].min() < folds:
        raise InputError(
            f"expected 2 folds or more, two classes or more, and a picture of each class for each "
            f"fold; got {folds} folds, {len(present)} classes, the smallest of "
            f"{min(counts[present], default=0)} pictures"
        )
    installed("sklearn", extra="report")
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    parts = StratifiedGroupKFold(folds, shuffle=True, random_state=0)
    out = np.zeros((len(labels), classes))
    out[:, present] = cross_val_predict(
        model, features, labels, groups=groups, cv=parts, method="predict_proba"
    )
    return out


def log_probabilities(pool: Pool, bundle: str | Path, track: Track) -> NDArray[np.float64]:
    """(N, labels of the bundle) natural logarithms, at least -23."""
    classifier = Classifier(open_bundle(bundle))
    batches = [
        split.images[start : start + _BATCH]
        for split in pool.data.splits.values()
        for start in range(0, len(split), _BATCH)
    ]
    done = [classifier.probabilities(batch) for batch in track(batches, "batches read")]
    return np.asarray(np.log(np.maximum(np.concatenate(done), 1e-10)), np.float64)


def evaluated(pool: Pool, folder: Path) -> tuple[NDArray[np.int64], Probabilities]:
    """Rows of the split that the evaluation in `folder` scored, and their probabilities.

    InputError without an evaluation; NotComparable if it scored other pictures or labels.
    """
    from mien.evaluate.evaluation import load

    evaluation = load(folder)
    split = pool.data.split(evaluation.split)
    known, labels = evaluation.labels, pool.data.labels
    order = [known.index(label) for label in labels] if set(known) == set(labels) else []
    read = split.digest, split.images.shape[1:], split.names
    if not order or not evaluation.is_of(*read, np.array(order)[split.labels]):
        raise NotComparable(
            f"{folder} was made of other pictures or labels than {evaluation.split} of "
            f"{pool.data.name}; evaluate again on this data set"
        )
    inside = [evaluation.split] if evaluation.split in pool.data.splits else ["public", "private"]
    return np.flatnonzero(np.isin(pool.splits, inside)), evaluation.probabilities[:, order]


def check_labels(pool: Pool, rows: NDArray[np.int64], suspects: Suspects) -> Iterator[Finding]:
    """One finding per suspect; `rows` are the places in the pool of what was judged."""
    for place, likely, margin in zip(suspects.rows, suspects.likely, suspects.margin, strict=True):
        other = pool.data.labels[likely]
        found = pool.finding(Check.SUSPECT, int(rows[place]), f"the model says {other}", margin)
        yield replace(found, proposed=other)
