"""How much of an accuracy is owed to copies: photos of the test split that training has, too.

    mien data audit fer2013.zip --out audit
    python scripts/results.py unpack evaluated mien-s mien-m
    python scripts/copies.py audit/findings.csv evaluated/*

A row per evaluation: accuracy on images with the very pixels of a training image, on those whose
photo is in training in another form (shifted, scaled, mirrored), and on all others, plain and in
the field (if it was evaluated with --jitter); at last, on all if copies were answered with the
label that most of their training images have, as the last row does, which asks no network.
"""

import argparse
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mien.errors import DataError
from mien.evaluate.evaluation import load
from mien.evaluate.intervals import mean_interval
from mien.framing import DRAWS

KINDS = {"MD301": "the same pixels", "MD302": "the same photo, altered"}
OTHERS = "no copy in training"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("findings", type=Path, help="findings.csv of mien data audit")
    parser.add_argument("evaluations", type=Path, nargs="+", help="of the same images")
    parser.add_argument("--mean", action="store_true", help="a row for the mean of all, too")
    given = parser.parse_args()

    loaded = [load(folder) for folder in given.evaluations]
    if len({evaluation.digest for evaluation in loaded}) > 1:
        raise DataError("these evaluations are of different images")
    first = loaded[0]
    answers = answers_of_copies(pd.read_csv(given.findings), first.split)
    kinds = np.array([answers[n][0] if n in answers else OTHERS for n in first.names])
    said = np.array([answers[n][1] if n in answers else "" for n in first.names])
    remembered = said == np.array(first.labels)[first.truth]
    columns = (*KINDS.values(), OTHERS)
    heads = [f"{kind} ({(kinds == kind).sum():,})" for kind in columns]
    print(f"n = {len(kinds):,}; accuracy, % [95 %]", end="\n\n")
    last = ("the same in the field", "all, copies remembered")
    _row("network", "views", f"all ({len(kinds):,})", *heads, *last)
    _row(*["---"] * (len(heads) + 5))
    if given.mean:
        mean = np.mean([of.probabilities for of in loaded], axis=0)
        loaded.append(replace(first, name="their mean", probabilities=mean, field=None))
    for of in loaded:
        right = of.probabilities.argmax(1) == first.truth
        both = np.where(kinds == OTHERS, right, remembered)
        parts = [right, *(right[kinds == kind] for kind in columns)]
        field = "" if of.field is None else _percent(of.field[kinds == OTHERS] / DRAWS)
        _row(of.name, of.views, *map(_percent, parts), field, _percent(both))
    told = (_percent(remembered[kinds == kind]) for kind in KINDS.values())
    _row("copies", "", "", *told, "", "", "")


def _row(*cells: str) -> None:
    print("|", " | ".join(cells), "|")


def _percent(right: NDArray[np.generic]) -> str:
    return mean_interval(right.astype(float)).percent(1)


def answers_of_copies(findings: pd.DataFrame, split: str) -> dict[str, tuple[str, str]]:
    """Image of `split` → kind of its copies in training, and the label that most of them have."""
    found: dict[str, tuple[str, str]] = {}
    for code, kind in KINDS.items():
        for _, group in findings[findings.code == code].groupby("group"):
            labels = Counter(group.label[group.split == "train"])
            if labels:
                for name in group.name[group.split == split]:
                    found.setdefault(name, (kind, labels.most_common(1)[0][0]))
    return found


if __name__ == "__main__":
    main()
