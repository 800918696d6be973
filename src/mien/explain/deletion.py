"""Is a map worth a look? Deleting what it names must hurt (Petsiuk, Das, Saenko: RISE, 2018,
arXiv:1806.07421)."""

import cv2
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
    blurred = cv2.GaussianBlur(image, (0, 0), _BLUR * len(image), borderType=cv2.BORDER_REPLICATE)
    at_random = np.random.default_rng(0).permutation(image.size).argsort()
    order = np.lexsort((at_random, -importance.ravel()))
    deleted = order.argsort().reshape(image.shape) < SHARES[:, None, None] * image.size
    return classifier.scores(np.where(deleted, blurred, image))[:, label]


def area(scores: NDArray[np.float64]) -> float:
    """Mean probability along a deletion curve (trapezoids): the lower, the better the map."""
    return float((scores[1:] + scores[:-1]).mean() / 2)
