"""What every data-set reader yields: images or clips with their split, label name and place."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Record:
    """One image of a data set, read when it is asked for; `label` in mien's spelling."""

    split: str
    label: str
    name: str
    picture: NDArray[np.uint8] | Callable[[bool], NDArray[np.uint8]]
    """(H, W) grey, or what decodes the file: in colour if it is told so."""
    person: str = ""
    """Whose face it is, where the data set tells: no person is in two splits."""
    groups: Mapping[str, str] = field(default_factory=lambda: _NONE)
    """Attribute → value, where the data set tells: sex, age, ..."""

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """(H, W) uint8 grey."""
        return self.decoded(color=False)

    def decoded(self, *, color: bool) -> NDArray[np.uint8]:
        """(H, W) uint8 grey, or (H, W, 3) RGB in `color`; DataError for a broken file."""
        if callable(self.picture):
            return self.picture(color)
        return np.repeat(self.picture[..., None], 3, 2) if color else self.picture


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A picture that its data set gives no expression, and why: `uncertain`, `no face`, ..."""

    name: str
    reason: str


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
    groups: Mapping[str, str] = field(default_factory=lambda: _NONE)
