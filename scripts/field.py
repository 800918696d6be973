"""Accuracy of bundles on faces that are framed as detectors frame them ("field accuracy").

    python scripts/field.py fer2013.zip mien-m-int8 bundles/mien-l-int8

PublicTest as it is, and four draws of +-10 % shift, +-15 % scale and +-10 degrees from stored
seeds: the draws and the pictures of `scripts/gpu_sprint.py`. Wald's 95 % interval over images.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from gpu_sprint import FIELD, Changes, change, draw

from mien.bundle import Classifier, open_bundle
from mien.data import open_dataset


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("bundles", nargs="+")
    given = parser.parse_args()

    public = open_dataset(given.data).split("public")
    faces = torch.from_numpy(np.array(public.images))
    drawn = [draw(len(faces), FIELD, torch.Generator().manual_seed(seed)) for seed in range(4)]
    framings = [draw(len(faces), Changes(), torch.Generator()), *drawn]
    print(f"n = {len(faces):,}", "| bundle | plain, % | field, % |", "|---|---|---|", sep="\n")
    for name in given.bundles:
        network = Classifier(open_bundle(name))
        right = []
        for p in framings:
            pictures = (change(faces, p, faces.shape[1])[:, 0] * 255).round().byte().numpy()
            said = network.probabilities(pictures).argmax(1)
            right.append(said == public.labels)
        plain, field = right[0], np.mean(right[1:], axis=0)
        cells = [
            f"{100 * r.mean():.2f} ± {196 * r.std() / len(r) ** 0.5:.2f}" for r in (plain, field)
        ]
        print(f"| {name} | {cells[0]} | {cells[1]} |", flush=True)


if __name__ == "__main__":
    main()
