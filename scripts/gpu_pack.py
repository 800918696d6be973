"""Pack what a graphics card's machine needs for `scripts/gpu_sprint.py`: at most 64 MiB.

    python scripts/gpu_pack.py fer2013.zip ferplus_votes.csv .sprint

The training faces as one WebP mosaic (quality 95), PublicTest lossless, targets of labels and
votes, and the start weights of the face networks (FaceNet's in 8 bits). The folder is ignored by
git: no data-set image goes into the repository.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from mien.data import open_dataset
from mien.data.ferplus import join_votes
from mien.models import build
from mien.train.targets import one_hot, translate

COLUMNS = 170
VOTES = 0.4  # their share of the target, as in the recipes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("votes", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()

    given.out.mkdir(parents=True, exist_ok=True)
    data = open_dataset(given.data)
    training, public = data.split("train"), data.split("public")
    cv2.imwrite(
        str(given.out / "train.webp"), mosaic(training.images), [cv2.IMWRITE_WEBP_QUALITY, 95]
    )
    cv2.imwrite(
        str(given.out / "public.webp"), mosaic(public.images), [cv2.IMWRITE_WEBP_QUALITY, 101]
    )
    targets = one_hot(training.labels, len(data.labels))
    votes = translate(join_votes(training, given.votes), training.labels, targets)
    np.savez_compressed(
        given.out / "facts.npz",
        classes=np.array(data.labels),
        targets=((1 - VOTES) * targets + VOTES * votes).astype(np.float16),
        public=public.labels,
    )
    for name, in_8_bits in (("facenet", True), ("face-mobilenet", False)):
        model = build(name, classes=len(data.labels), channels=1, weights="faces")
        save_start(model, given.out / f"{name}.npz", in_8_bits=in_8_bits)
    total = sum(path.stat().st_size for path in given.out.iterdir())
    print(f"{given.out}: {total / 2**20:.1f} MiB")


def mosaic(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N, S, S) → one picture, 170 faces a row."""
    side = images.shape[1]
    rows = -(-len(images) // COLUMNS)
    full = np.zeros((rows * COLUMNS, side, side), np.uint8)
    full[: len(images)] = images
    sheet = full.reshape(rows, COLUMNS, side, side).swapaxes(1, 2)
    return np.ascontiguousarray(sheet.reshape(rows * side, COLUMNS * side))


def save_start(model: torch.nn.Module, path: Path, *, in_8_bits: bool) -> None:
    """Weights in 16 bits, or matrices in 8 with a scale for each output channel."""
    arrays: dict[str, NDArray[np.generic]] = {}
    for name, value in model.state_dict().items():
        array = value.numpy()
        if in_8_bits and array.ndim > 1:
            flat = np.abs(array.reshape(len(array), -1)).max(1)
            scale = np.maximum(flat, 1e-12) / 127
            turned = array / scale.reshape(-1, *[1] * (array.ndim - 1))
            arrays[name] = np.round(turned).astype(np.int8)
            arrays[f"{name}//scale"] = scale.astype(np.float32)
        else:
            arrays[name] = array.astype(np.float16 if array.dtype == np.float32 else array.dtype)
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
