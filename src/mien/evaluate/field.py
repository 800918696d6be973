"""Field accuracy: accuracy on faces that are framed as a detector frames them (`mien.framing`)."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mien.bundle import Classifier
from mien.framing import DRAWS, Images, draw, reframe

_BATCH = 128


def count_right(
    classifier: Classifier,
    images: Images,
    truth: NDArray[np.int64],
    progress: Callable[[int], None] | None = None,
) -> NDArray[np.int64]:
    """(N,) in how many of the `DRAWS` framings each of (N, S, S) `images` is answered rightly.

    `progress` is told the pictures done.
    """
    right = np.zeros(len(images), np.int64)
    for seed in range(DRAWS):
        framing = draw(len(images), seed)
        for start in range(0, len(images), _BATCH):
            part = slice(start, start + _BATCH)
            faces = reframe(np.asarray(images[part]), framing[part])
            right[part] += classifier.probabilities(faces).argmax(1) == truth[part]
            if progress:
                progress(len(faces))
    return right
