"""What every data-set reader yields: one image or clip with its split, label name and place."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Record:
    """One image of a data set; `pixels` (H, W) uint8 grey, `label` in mien's spelling."""

    split: str
    label: str
    name: str
    pixels: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Clip:
    """One film of a data set: its frame files in order, or the film's own file."""

    split: str
    label: str
    """In mien's spelling."""
    name: str
    """The path inside the data set."""
    frames: tuple[Path, ...] | Path
    person: str = ""
    """Whose face it is, where the data set tells: clips of one person belong to one split."""
    groups: dict[str, str] = field(default_factory=dict)
    """Attribute → value, where the data set tells: sex, age, ..."""
