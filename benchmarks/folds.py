"""What networks know of the fold that each has left out, and of the images it has learnt.

    python benchmarks/folds.py fer2013.zip runs/face-mobilenet-fold-* > face-mobilenet.csv

A row per run (`data.fold`): how many images it has seen, left out and found in PublicTest, and how
many of each it answers rightly; at last, the mean of all on PublicTest. Answers are those to an
image and its mirror image, averaged: what a student is taught.
"""

import argparse
import csv
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data import open_dataset
from mien.data.dataset import Split
from mien.train.targets import Trained, folds

COLUMNS = "network,seen,seen_right,left_out,left_out_right,public,public_right_mirrored"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path, nargs="+", help="trained with data.fold")
    given = parser.parse_args()

    data = open_dataset(given.data)
    training, public = data.split("train"), data.split("public")
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(COLUMNS.split(","))
    means = np.zeros((len(public), len(data.labels)))
    for run in given.runs:
        teacher = Trained(run)
        left_out, number = teacher.card.training["fold"]
        seen = folds(training, number) != left_out
        right = answers(teacher, training).argmax(1) == training.labels
        found = answers(teacher, public)
        means += found / len(given.runs)
        counts = [seen.sum(), right[seen].sum(), (~seen).sum(), right[~seen].sum()]
        table.writerow([teacher.card.name, *counts, *_public(found, public)])
        sys.stdout.flush()
    table.writerow(["their mean", "", "", "", "", *_public(means, public)])


def answers(teacher: Trained, split: Split, batch: int = 128) -> NDArray[np.float64]:
    """(N, classes) of all images of `split`."""
    starts = range(0, len(split), batch)
    return np.concatenate([teacher.probabilities(split.images[i : i + batch]) for i in starts])


def _public(probabilities: NDArray[np.float64], public: Split) -> list[int]:
    return [len(public), int((probabilities.argmax(1) == public.labels).sum())]


if __name__ == "__main__":
    main()
