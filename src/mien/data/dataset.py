"""A data set in memory: named splits of grey images with labels."""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError, ShapeError


@dataclass(frozen=True)
class Split:
    """Images of one split.

    `images` (N, H, W) uint8 grey, `labels` (N,) int64, `names` (N,) str: the path inside the data
    set, or `row N` of a table (counted from 0, without the header).
    """

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    names: NDArray[np.str_]

    def __post_init__(self) -> None:
        if self.images.ndim != 3 or self.images.dtype != np.uint8:
            raise ShapeError(f"expected (N, H, W) uint8 images, got {self.images.shape}")
        if not len(self.images) == len(self.labels) == len(self.names):
            raise ShapeError(
                f"expected as many labels and names as images ({len(self.images)}), "
                f"got {len(self.labels)} and {len(self.names)}"
            )

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over pixels and labels in order: equal exactly for equal tests."""
        total = hashlib.sha256(str(self.images.shape).encode())
        total.update(np.ascontiguousarray(self.images).data)
        total.update(np.ascontiguousarray(self.labels, np.int64).data)
        return total.hexdigest()

    def take(self, rows: NDArray[np.int64]) -> "Split":
        """The images at `rows`, in that order."""
        return Split(self.name, self.images[rows], self.labels[rows], self.names[rows])

    def counts(self, classes: int) -> NDArray[np.int64]:
        """(classes,) images of each label."""
        return np.bincount(self.labels, minlength=classes).astype(np.int64)


@dataclass(frozen=True)
class Dataset:
    """Named splits that share one label set."""

    name: str
    labels: tuple[str, ...]
    splits: dict[str, Split]

    def split(self, name: str) -> Split:
        """The split `name`; `test` joins `public` and `private`, whatever is there."""
        if name in self.splits:
            return self.splits[name]
        parts = [self.splits[p] for p in ("public", "private") if p in self.splits]
        if name == "test" and parts:
            columns = zip(*((p.images, p.labels, p.names) for p in parts), strict=True)
            return Split("test", *map(np.concatenate, columns))
        raise DataError(
            f"{self.name} has no split {name!r}; it has: {', '.join(self.splits)}"
            + ("; `test` joins public and private" if parts else "")
        )

    def for_training(self, train: str, validation: str, seed: int) -> tuple[Split, Split]:
        """Training and validation split.

        `auto` validates on `public`, else on `val`, else on a stratified tenth of the training
        images, drawn with `seed`: never on `test` or `private`.
        """
        training = self.split(train)
        if validation == "auto":
            validation = next((s for s in ("public", "val") if s in self.splits), "")
        if validation:
            return training, self.split(validation)
        held = _stratified_tenth(training.labels, seed)
        rows = np.arange(len(training))
        kept = np.setdiff1d(rows, held)
        return training.take(kept), replace(training.take(held), name="held-out")


def class_weights(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """(classes,) inverse-frequency weights N / (classes x count); 0 for a class without images.

    scikit-learn's `balanced`, after King & Zeng (2001).
    """
    present = counts > 0
    weights = np.zeros(len(counts))
    weights[present] = counts.sum() / (present.sum() * counts[present])
    return weights


def equal_pixels(data: Dataset) -> NDArray[np.int64]:
    """(N,) a number for each image of all splits, in order, that is equal for equal pixels."""
    numbers: dict[bytes, int] = {}
    images = (image for split in data.splits.values() for image in split.images)
    digests = (hashlib.blake2b(image.tobytes()).digest() for image in images)
    return np.array([numbers.setdefault(digest, len(numbers)) for digest in digests], np.int64)


def _stratified_tenth(labels: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    rng = np.random.default_rng(seed)
    held = [
        rng.permutation(np.flatnonzero(labels == label))[: max(1, (labels == label).sum() // 10)]
        for label in np.unique(labels)
    ]
    return np.sort(np.concatenate(held))
