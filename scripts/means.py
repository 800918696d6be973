"""Which means of saved predictions are best: a look before `mien ensemble` combines the networks.

    python scripts/results.py unpack evaluated mien-s mien-m efficientnet-lite0
    python scripts/means.py evaluated/*-flip

Every mean of two or more of the evaluations, the smallest loss first. What is best here was chosen
on these very images, so its figures are hopeful.
"""

import argparse
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.evaluate.evaluation import Evaluation, load


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("evaluations", type=Path, nargs="+", help="of the same images")
    parser.add_argument("--most", type=int, default=4, help="networks in a mean")
    parser.add_argument("--rows", type=int, default=10)
    given = parser.parse_args()

    loaded = [load(folder) for folder in given.evaluations]
    if len({evaluation.digest for evaluation in loaded}) > 1:
        raise DataError("these evaluations are of different images")
    truth = loaded[0].truth
    alone: list[tuple[Evaluation, ...]] = [(e,) for e in loaded]
    means: list[tuple[Evaluation, ...]] = [
        c for k in range(2, given.most + 1) for c in combinations(loaded, k)
    ]
    print(f"n = {len(truth):,}; {len(means):,} means of up to {given.most} networks", end="\n\n")
    print("| loss | accuracy, % | networks |", "| --- | --- | --- |", sep="\n")
    for kind in (alone, means):
        for loss, accuracy, names in sorted(_scores(kind, truth))[: given.rows]:
            print(f"| {loss:.4f} | {accuracy:.2f} | {names} |")
    accuracy, names = max((accuracy, names) for _, accuracy, names in _scores(means, truth))
    print(f"\nmost right: {accuracy:.2f} %, {names}")


def _scores(
    chosen: list[tuple[Evaluation, ...]], truth: NDArray[np.int64]
) -> Iterator[tuple[float, float, str]]:
    rows = np.arange(len(truth))
    for members in chosen:
        mean = np.mean([member.probabilities for member in members], axis=0)
        loss = -np.log(np.maximum(mean[rows, truth], 1e-9)).mean()
        accuracy = 100 * (mean.argmax(1) == truth).mean()
        yield float(loss), float(accuracy), ", ".join(member.name for member in members)


if __name__ == "__main__":
    main()
