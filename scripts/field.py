"""Accuracy and field accuracy of bundles without the images that have a copy in training.

    python scripts/field.py fer2013.zip findings.csv mien-m-int8 bundles/mien-l-int8

`findings.csv` is that of `mien data audit`. For all images, see `mien evaluate --jitter`. Wald's
95 % interval over images.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mien.bundle import open_bundle
from mien.data import open_dataset
from mien.evaluate import evaluate
from mien.evaluate.field import DRAWS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("findings", type=Path)
    parser.add_argument("bundles", nargs="+")
    given = parser.parse_args()

    data = open_dataset(given.data)
    fresh = without_copies(data.split("public").names, given.findings)
    print(f"n = {fresh.sum():,}\n| bundle | plain, % | field, % |\n|---|---|---|")
    for name in given.bundles:
        found = evaluate(open_bundle(name), data, "public", jitter=True)
        plain = found.probabilities.argmax(1) == found.truth
        cells = [cell(right[fresh]) for right in (plain, np.divide(found.field, DRAWS))]
        print(f"| {' | '.join([name, *cells])} |", flush=True)


def cell(right: NDArray[np.generic]) -> str:
    return f"{100 * right.mean():.2f} ± {196 * right.std() / len(right) ** 0.5:.2f}"


def without_copies(names: NDArray[np.str_], findings: Path) -> NDArray[np.bool_]:
    """Which images have no copy in training, altered ones included."""
    found = pd.read_csv(findings)
    copies = found[found["code"].isin(["MD301", "MD302"]) & (found["split"] == "public")]
    return ~np.isin(names, copies["name"].to_numpy())


if __name__ == "__main__":
    main()
