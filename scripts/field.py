"""Accuracy of bundles on faces that are framed as detectors frame them ("field accuracy").

    python scripts/field.py fer2013.zip mien-m-int8 bundles/mien-l-int8

PublicTest as it is, and four draws of +-10 % shift, +-15 % scale and +-10 degrees from stored
seeds: the draws and the pictures of `scripts/gpu_sprint.py`. Wald's 95 % interval over images.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from gpu_sprint import FIELD, Changes, change, draw
from numpy.typing import NDArray

from mien.bundle import Classifier, open_bundle
from mien.data import open_dataset


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("bundles", nargs="+")
    parser.add_argument(
        "--audit", type=Path, help="findings.csv of mien data audit: the same without copies, too"
    )
    given = parser.parse_args()

    public = open_dataset(given.data).split("public")
    faces = torch.from_numpy(np.array(public.images))
    drawn = [draw(len(faces), FIELD, torch.Generator().manual_seed(seed)) for seed in range(4)]
    framings = [draw(len(faces), Changes(), torch.Generator()), *drawn]
    fresh = without_copies(public.names, given.audit) if given.audit else None
    print(f"n = {len(faces):,}", end="")
    print("" if fresh is None else f", without a copy in training {fresh.sum():,}")
    print(
        "| bundle | plain, % | field, % | no copy: plain, % | field, % |",
        "|---" * 5 + "|",
        sep="\n",
    )
    for name in given.bundles:
        network = Classifier(open_bundle(name))
        right = []
        for p in framings:
            pictures = (change(faces, p, faces.shape[1])[:, 0] * 255).round().byte().numpy()
            parts = np.array_split(pictures, -(-len(pictures) // 128))
            said = np.concatenate([network.probabilities(part).argmax(1) for part in parts])
            right.append(said == public.labels)
        plain, field = right[0], np.mean(right[1:], axis=0)
        shown = [plain, field] + ([] if fresh is None else [plain[fresh], field[fresh]])
        cells = [f"{100 * r.mean():.2f} ± {196 * r.std() / len(r) ** 0.5:.2f}" for r in shown]
        print(f"| {' | '.join([name, *cells])} |", flush=True)


def without_copies(names: NDArray[np.str_], findings: Path) -> NDArray[np.bool_]:
    """Which images have no copy in training, altered ones included."""
    found = pd.read_csv(findings)
    copies = found[found["code"].isin(["MD301", "MD302"]) & (found["split"] == "public")]
    return ~np.isin(names, copies["name"].to_numpy())


if __name__ == "__main__":
    main()
