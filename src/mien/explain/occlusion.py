"""Occlusion: what is lost when a place of the face is covered (Zeiler & Fergus 2014,
arXiv:1311.2901). NumPy and ONNX Runtime only: for any bundle."""

import numpy as np
from numpy.typing import NDArray

from mien.bundle import Classifier

PATCH = 1 / 6
"""Side of the patch, as a fraction of the picture's: 8 px of 48, about an eye."""
STRIDE = 1 / 12
"""Step of the patch."""
_BATCH = 128


def occlusion(classifier: Classifier, image: NDArray[np.uint8], label: int) -> NDArray[np.float32]:
    """(S, S) float32 in 0-1: the probability of `label` that is lost where a patch covers a pixel,
    as the mean over its patches, and 0 where it grows.

    `image` (S, S) or (S, S, 3) uint8 is what the card's `preprocess.resize` gives; the patch is the
    grey that the network takes for nothing, the mean of its training data.
    """
    patches = _patches(len(image))
    grey = round(255 * float(np.mean(classifier.card.preprocess.mean)))
    covered = np.where(patches if image.ndim == 2 else patches[..., None], np.uint8(grey), image)
    scores = [
        classifier.scores(covered[start : start + _BATCH])[:, label]
        for start in range(0, len(covered), _BATCH)
    ]
    lost = classifier.scores(image[None])[0, label] - np.concatenate(scores)
    mean = np.tensordot(lost, patches, 1) / patches.sum(0)
    return np.asarray(np.clip(mean, 0, 1), np.float32)


def _patches(side: int) -> NDArray[np.bool_]:
    """(P, S, S) what each patch covers; together they cover all."""
    patch, stride = max(1, round(PATCH * side)), max(1, round(STRIDE * side))
    starts = np.unique([*range(0, side - patch, stride), side - patch])
    place = np.arange(side) - starts[:, None]
    strip = (place >= 0) & (place < patch)
    both = strip[:, None, :, None] & strip[None, :, None, :]
    return np.asarray(both.reshape(-1, side, side))
