"""Is a map worth a look? Deleting what it names must hurt (Petsiuk, Das, Saenko: RISE, 2018,
arXiv:1806.07421)."""

import numpy as np
from numpy.typing import NDArray

from mien.bundle import Classifier

SHARES = np.linspace(0, 1, 21)
"""Of the pixels that are deleted."""
_BLUR = 1 / 16
"""Standard deviation of the blur, as a fraction of the side: 3 px of 48."""


def deletion(
    classifier: Classifier, image: NDArray[np.uint8], label: int, importance: NDArray[np.floating]
) -> NDArray[np.float64]:
    """(21,) probabilities of `label` after `SHARES` of the pixels, the most important first.

    `image` (S, S) uint8 is what the card's `preprocess.resize` gives, `importance` (S, S); pixels
    of equal importance go in a random order. A deleted pixel takes the blurred picture's grey: a
    plain one would add edges, and scattered pixels of it hurt more than any face part that is gone.
    """
    import cv2

    blurred = cv2.GaussianBlur(image, (0, 0), _BLUR * len(image), borderType=cv2.BORDER_REPLICATE)
    deleted = _rank(importance) < SHARES[:, None, None] * image.size
    return classifier.scores(np.where(deleted, blurred, image))[:, label]


def area(scores: NDArray[np.float64]) -> float:
    """Mean probability along a deletion curve (trapezoids): the lower, the better the map."""
    return float((scores[1:] + scores[:-1]).mean() / 2)


def _rank(importance: NDArray[np.floating]) -> NDArray[np.int64]:
    """(S, S) place of each pixel in the order of deletion."""
    shuffled = np.random.default_rng(0).permutation(importance.size)
    order = shuffled[np.argsort(-importance.ravel()[shuffled], kind="stable")]
    rank = np.empty(importance.size, np.int64)
    rank[order] = np.arange(importance.size)
    return rank.reshape(importance.shape)
