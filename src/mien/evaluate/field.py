"""Field accuracy: accuracy on faces that are framed as a detector frames them (`mien.framing`)."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mien.bundle import Classifier
from mien.data import Split
from mien.evaluate.answers import answers
from mien.framing import DRAWS, draw


def count_right(
    classifier: Classifier,
    split: Split,
    truth: NDArray[np.int64],
    progress: Callable[[int], None] | None = None,
) -> NDArray[np.int64]:
    """(N,) in how many of the `DRAWS` framings each image or clip of `split` is answered rightly.

    `progress` is told how many are done.
    """
    right = np.zeros(len(split), np.int64)
    for seed in range(DRAWS):
        framing = draw(len(split), seed)
        right += answers(classifier, split, progress, framing).argmax(1) == truth
    return right
