"""The table of docs/accuracy.md of what `scripts/gpu_sprint.py` trained, from saved predictions.

python scripts/gpu_table.py [results/gpu-sprint/predictions.npz]
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SAVED = Path(__file__).parents[1] / "results" / "gpu-sprint" / "predictions.npz"
MEANS = {
    "mean of the five teachers": (
        "mien-l-0", "mien-l-1", "attention-0", "facenet-0", "face-mobilenet-0",
    ),
    "mean of mien-l-0 and facenet-0": ("mien-l-0", "facenet-0"),
    "mean of three mien-m": ("mien-m-0", "mien-m-1", "mien-m-2"),
}  # fmt: skip


def rows(saved: Path = SAVED) -> Iterator[list[str]]:
    """Name, plain, mirrored and field accuracy in %, with Wald's 95 % interval, and the loss
    (mirrored) of each network, and of means of some."""
    found = np.load(saved)
    truth = found["truth"].astype(int)
    names = dict.fromkeys(key.split("/")[0] for key in found.files if "/" in key)
    groups = {name: (name,) for name in names} | MEANS
    for title, members in groups.items():

        def mean(*views: str, members: tuple[str, ...] = members) -> NDArray[np.float32]:
            saved = [found[f"{m}/{view}"].astype(np.float32) for m in members for view in views]
            return np.mean(saved, axis=0)

        plain, mirrored = mean("plain"), mean("plain", "mirror")
        field = [mean(f"field-{seed}").argmax(1) == truth for seed in range(4)]
        loss = -np.log(np.maximum(mirrored[np.arange(len(truth)), truth], 1e-6)).mean()
        yield [
            title,
            cell(plain.argmax(1) == truth),
            cell(mirrored.argmax(1) == truth),
            cell(np.mean(field, axis=0)),
            f"{loss:.3f}",
        ]


def cell(right: NDArray[np.generic]) -> str:
    """Mean and half the interval, in %."""
    return f"{100 * right.mean():.2f} ± {196 * right.std() / len(right) ** 0.5:.2f}"


def main() -> None:
    print(
        "| network | plain, % | with mirror image, % | field, % | loss |",
        "|---" * 5 + "|",
        sep="\n",
    )
    for row in rows(*map(Path, sys.argv[1:])):
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
