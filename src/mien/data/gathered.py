"""Images that are too many for memory: read from memory-mapped files when they are asked for."""

import mmap
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from mien.preprocess import scale

IN_MEMORY = 2**30
"""Bytes of images that are copied rather than read again and again."""
_CHUNK = 1024

Images = NDArray[np.uint8]
Rows = NDArray[np.int64]


def gather(parts: Sequence[Images], rows: Sequence[Rows]) -> Images:
    """(N, S, S) or (N, S, S, 3) uint8: the images at `rows` of each part, one part after the other.

    Parts of several sizes get the largest. More than `IN_MEMORY` bytes are no array, but are
    indexed, sliced and counted like one, and read when they are.
    """
    many = Gathered(parts, rows)
    return many[:] if many.nbytes <= IN_MEMORY else cast(Images, many)


def kept(images: Images) -> Images:
    """Images of a mapped file: as they are, or, where they are many, as `gather` gives them."""
    return images if images.nbytes <= IN_MEMORY else gather([images], [np.arange(len(images))])


class Gathered:
    """What `gather` gives of many images."""

    dtype = np.dtype(np.uint8)

    def __init__(self, parts: Sequence[Images], rows: Sequence[Rows]) -> None:
        self._parts = list(parts)
        self._part = np.repeat(np.arange(len(parts)), [len(r) for r in rows])
        self._row = np.concatenate([np.asarray(r, np.int64) for r in rows])
        shape = max((part.shape[1:] for part in parts), key=lambda shape: shape[0])
        self.shape = (len(self._row), *shape)
        self.ndim, self.nbytes = len(self.shape), int(np.prod(self.shape, dtype=np.int64))

    def __len__(self) -> int:
        return len(self._row)

    def __getitem__(self, wanted: Any) -> Images:
        part, row = self._part[wanted], self._row[wanted]
        if np.ndim(row) == 0:
            return self._fitting(self._parts[part][row])
        out = np.empty((len(row), *self.shape[1:]), np.uint8)
        for number in np.unique(part):
            here = part == number
            images = self._parts[number][row[here]]
            same = images.shape[1:] == self.shape[1:]
            out[here] = images if same else [self._fitting(image) for image in images]
            _forget(self._parts[number])
        return out

    def __iter__(self) -> Iterator[Images]:
        for images in chunks(cast(Images, self)):
            yield from images

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Images:
        return self[:]

    def _fitting(self, image: Images) -> Images:
        return scale(image, self.shape[1]) if image.shape != self.shape[1:] else image


def chunks(images: Images) -> Iterator[Images]:
    """(n, ...) contiguous pieces of `images`, one after the other."""
    for start in range(0, len(images), _CHUNK):
        yield np.ascontiguousarray(images[start : start + _CHUNK])
        _forget(images)


def _forget(images: Images) -> None:
    """Give back the pages of a mapped file that were read, which else count as this process's
    memory; the system keeps them as long as there is room."""
    mapped = getattr(images, "_mmap", None)
    if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)
