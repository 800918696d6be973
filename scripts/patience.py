"""Teachers asked about the very pictures that the student sees, or once about each clean image.

    python scripts/patience.py fer2013.zip --votes ferplus_votes.csv --out runs/patience

Trains both ways, seed by seed, for the same number of steps, and prints the figures of the last
epoch, so nothing is chosen on the validation images. "very picture" is what `mien train` does: ten
stored draws in turn, an answer for each. "clean image" is what release 0.1 did: each epoch draws
anew, the answer of an image stays that for the image as it is. A training that is there is not made
again.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from mien.recipes import load_recipe
from mien.recipes.schema import Augment
from mien.runs import RunFolder
from mien.train import inputs
from mien.train.augment import Augmentation
from mien.train.lessons import Lessons
from mien.train.run import run

WAYS = ("very picture", "clean image")
FIGURES = ("val_accuracy", "val_field_accuracy", "val_loss")


class Clean(Lessons):
    """Each epoch is drawn anew; teachers answer for the images as they are."""

    def of(self, epoch: int) -> tuple[Tensor, Tensor | None]:
        """(N, columns) changes, and (N, classes) targets."""
        assert self.teach is not None and self.targets is not None
        generator = torch.Generator().manual_seed(self.recipe.seed * 100_003 + epoch)
        drawn = self.augmentation(epoch).draw(self.images, generator)
        none = Augmentation(Augment())
        if (True, 0) not in self._taught:
            self._taught[True, 0] = self.teach(none, none.draw(self.images))
        share = self.recipe.training.distil.weight
        return drawn, self.targets.lerp(self._taught[True, 0], share)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path, help="FER-2013")
    parser.add_argument("--votes", type=Path, required=True, help="FER+'s votes")
    parser.add_argument("--out", type=Path, default=Path("runs/patience"))
    parser.add_argument("--recipe", default="mien-s-wide")
    parser.add_argument("--set", nargs="+", default=[], help="changes to all trainings")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--train", nargs=2, metavar=("WAY", "SEED"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.train:  # a process of its own: seeds and threads are set for the whole of one
        train(given, *given.train)
        return
    for seed in given.seeds:
        for way in WAYS:
            if not RunFolder(folder(given.out, way, seed)).is_done:
                command = [sys.executable, *sys.argv, "--train", way, str(seed)]
                subprocess.run(command, check=True, env=dict(os.environ))
    print(table(given).to_string(float_format="%.4f"))


def folder(out: Path, way: str, seed: int | str) -> Path:
    """Where a training is."""
    return out / f"{way.replace(' ', '-')}-{seed}"


def train(given: argparse.Namespace, way: str, seed: str) -> None:
    """One training; goes on where it was interrupted."""
    out = folder(given.out, way, seed)
    if way == "clean image":
        inputs.Lessons = Clean  # type: ignore[misc]
    changes = [f"data.votes={given.votes.resolve()}", f"seed={seed}", *given.set]
    run(load_recipe(given.recipe, changes), given.data, out, resume=(out / "recipe.yaml").exists())


def table(given: argparse.Namespace) -> pd.DataFrame:
    """The last epoch of each, and at the end the mean gain of the very picture."""
    rows = {
        (seed, way): pd.read_csv(folder(given.out, way, seed) / "history.csv").iloc[-1]
        for seed in given.seeds
        for way in WAYS
    }
    found = pd.DataFrame(rows).T[list(FIGURES)]
    by_way = found.groupby(level=1).mean()
    found.loc[("mean", "gain"), :] = by_way.loc[WAYS[0]] - by_way.loc[WAYS[1]]
    return found


if __name__ == "__main__":
    main()
