"""What every data-set reader yields: one image with its split, label name and place."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Record:
    """One image of a data set; `pixels` (H, W) uint8 grey, `label` in mien's spelling."""

    split: str
    label: str
    name: str
    pixels: NDArray[np.uint8]
