"""A data set: named splits of images with labels, in memory where they are few."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.gathered import chunks, gather
from mien.errors import DataError, ShapeError
from mien.framing import Framing, reframe, reframe_all

HELD_OUT = "held-out"
"""The split of training images that validate where there is none for it."""


@dataclass(frozen=True)
class Split:
    """Images of one split.

    `images` (N, H, W) uint8 grey or (N, H, W, 3) RGB, `labels` (N,) int64, `names` (N,) str: the
    path inside the data set, or `row N` of a table (counted from 0, without the header).
    """

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    names: NDArray[np.str_]
    persons: NDArray[np.str_] | None = None
    """(N,) whose face it is; None where the data do not tell."""
    chances: NDArray[np.float64] | None = None
    """(N,) how likely each image is drawn for training; they sum to 1. None: each comes once."""
    own: NDArray[np.bool_] | None = None
    """(N,) whether each image is of the first of several data sets; None: all are."""
    weights: NDArray[np.float64] | None = None
    """(N,) how much each label counts in training; None: all alike."""

    def __post_init__(self) -> None:
        if not _is_pictures(self.images.shape) or self.images.dtype != np.uint8:
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
        for images in chunks(self.images):
            total.update(images.data)
        total.update(np.ascontiguousarray(self.labels, np.int64).data)
        return total.hexdigest()

    @property
    def whose(self) -> NDArray[np.str_]:
        """(N,) a name that is equal for images which belong into one split: the person's, or the
        image's own."""
        if self.persons is None:
            return self.names
        return np.where(self.persons == "", self.names, self.persons)

    def take(self, rows: NDArray[np.int64]) -> "Split":
        """The images at `rows`, in that order."""
        return join(self.name, [self], [rows])

    def framed(self, framing: Framing) -> "Split":
        """The same, framed by an (N, 4) `framing`."""
        return replace(self, images=reframe_all(self.images, framing))

    def pixels(self, row: int) -> NDArray[np.uint8]:
        """All pixels of what is at `row`."""
        return np.asarray(self.images[row])

    @property
    def shown(self) -> NDArray[np.uint8]:
        """(N, H, W) or (N, H, W, 3) uint8: what a page shows."""
        return self.images

    def counts(self, classes: int) -> NDArray[np.int64]:
        """(classes,) images of each label."""
        return np.bincount(self.labels, minlength=classes).astype(np.int64)


@dataclass(frozen=True, kw_only=True)
class Clips(Split):
    """Clips of one split: N films of a face each.

    `images` (F, H, W) holds the frames of all of them, those of clip i from `starts[i]` on;
    `starts` and `lengths` are (N,) int64, `rates` (N,) float64 frames a second. A network sees
    `most` frames of a clip, one of each of so many equal parts of it (temporal segments, Wang et
    al. 2016, arXiv:1608.00859), and every frame of a shorter one.
    """

    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    rates: NDArray[np.float64]
    most: int = 16
    framing: Framing | None = None
    """(N, 4): how each clip is framed; None: as it is."""

    def __post_init__(self) -> None:
        if self.images.ndim != 3 or self.images.dtype != np.uint8:
            raise ShapeError(f"expected (F, H, W) uint8 frames, got {self.images.shape}")
        columns = (self.labels, self.names, self.starts, self.lengths, self.rates)
        if len({len(column) for column in columns}) != 1:
            raise ShapeError(f"expected columns of one length, got {[len(c) for c in columns]}")

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over frames, lengths and labels in order."""
        total = hashlib.sha256(str(self.images.shape[1:]).encode())
        for row in range(len(self)):
            total.update(np.ascontiguousarray(self.pixels(row)).data)
        for column in (self.lengths, self.labels):
            total.update(np.ascontiguousarray(column, np.int64).data)
        return total.hexdigest()

    def take(self, rows: NDArray[np.int64]) -> "Clips":
        """The clips at `rows`, in that order; their frames are not copied."""
        return _join_clips(self.name, [self], [rows])

    def framed(self, framing: Framing) -> "Clips":
        """The same, every frame of clip i framed by `framing[i]`, once it is asked for."""
        return replace(self, framing=framing)

    def pixels(self, row: int) -> NDArray[np.uint8]:
        """(L, H, W) uint8: every frame of the clip at `row`."""
        start = self.starts[row]
        return np.asarray(self.images[start : start + self.lengths[row]])

    @property
    def shown(self) -> NDArray[np.uint8]:
        """(N, H, W) uint8: the middle frame of each clip."""
        return np.asarray(self.images[self.starts + self.lengths // 2])

    def frames(
        self, rows: NDArray[np.int64], places: NDArray[np.float64] | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """(sum, H, W) uint8 frames that a network sees of the clips at `rows`, one clip after the
        other, and the (n,) number of each.

        `places` (n, most), from 0 up to 1, say where in each part of a clip its frame is; the
        middle by default.
        """
        seen = np.minimum(self.lengths[rows], self.most)
        if places is None:
            places = np.full((len(rows), self.most), 0.5)
        chosen = [
            self.starts[row]
            + ((np.arange(number) + place[:number]) * self.lengths[row] / number).astype(np.int64)
            for row, number, place in zip(rows, seen, places, strict=True)
        ]
        images = np.asarray(self.images[np.concatenate(chosen)])
        if self.framing is not None:
            images = reframe(images, np.repeat(self.framing[rows], seen, 0))
        return images, seen

    @property
    def rate(self) -> float:
        """Frames a second that a network sees, in the median."""
        seen = np.minimum(self.lengths, self.most)
        return float(np.median(seen * self.rates / self.lengths))


def join(
    name: str, parts: Sequence[Split], rows: Sequence[NDArray[np.int64]] | None = None
) -> Split:
    """The images of several splits, one after the other; of each, those at its `rows`."""
    taken = rows or [np.arange(len(part)) for part in parts]
    clips = [part for part in parts if isinstance(part, Clips)]
    if len(clips) == len(parts):
        return _join_clips(name, clips, taken)
    return Split(
        name,
        gather([part.images for part in parts], taken),
        **_columns(parts, taken),
    )


def _columns(parts: Sequence[Split], taken: Sequence[NDArray[np.int64]]) -> dict[str, Any]:
    """Labels, names, persons, chances, weights and whose images they are, of these rows of each
    part."""
    pairs = list(zip(parts, taken, strict=True))
    persons = chances = own = weights = None
    if any(part.own is not None for part in parts):
        every = [np.ones(len(part), bool) if part.own is None else part.own for part in parts]
        own = np.concatenate([part[rows] for part, rows in zip(every, taken, strict=True)])
    if any(part.persons is not None for part in parts):
        persons = np.concatenate([part.whose[chosen] for part, chosen in pairs])
    if any(part.weights is not None for part in parts):
        counted = [np.ones(len(p)) if p.weights is None else p.weights for p in parts]
        weights = np.concatenate([part[rows] for part, rows in zip(counted, taken, strict=True)])
    drawn = [part.chances[chosen] for part, chosen in pairs if part.chances is not None]
    if len(drawn) == len(parts):
        chances = np.concatenate(drawn) / sum(map(np.sum, drawn))
    return {
        "labels": np.concatenate([part.labels[chosen] for part, chosen in pairs]),
        "names": np.concatenate([part.names[chosen] for part, chosen in pairs]),
        "persons": persons,
        "chances": chances,
        "own": own,
        "weights": weights,
    }


def _join_clips(name: str, parts: Sequence[Clips], taken: Sequence[NDArray[np.int64]]) -> Clips:
    """The clips of several splits; the frames of a single one stay where they are."""
    pairs = list(zip(parts, taken, strict=True))
    sizes = [len(part.images) for part in parts]
    before = np.cumsum([0, *sizes[:-1]])
    starts = [p.starts[rows] + count for (p, rows), count in zip(pairs, before, strict=True)]
    framings = [p.framing[rows] for p, rows in pairs if p.framing is not None]
    images = [part.images for part in parts]
    return Clips(
        name,
        images[0] if len(parts) == 1 else gather(images, [np.arange(size) for size in sizes]),
        **_columns(parts, taken),
        starts=np.concatenate(starts),
        lengths=np.concatenate([part.lengths[rows] for part, rows in pairs]),
        rates=np.concatenate([part.rates[rows] for part, rows in pairs]),
        most=parts[0].most,
        framing=np.concatenate(framings) if framings else None,
    )


def seen(split: Split, frames: int | None) -> Split:
    """The split as a network sees it, which sees so many `frames` of a clip."""
    return replace(split, most=frames) if isinstance(split, Clips) and frames else split


@dataclass(frozen=True)
class Dataset:
    """Named splits that share one label set."""

    name: str
    labels: tuple[str, ...]
    splits: dict[str, Split]
    left_out: Mapping[str, int] = field(default_factory=dict)
    """How many pictures were left out, by the reason or their label."""

    def split(self, name: str) -> Split:
        """The split `name`; `test` joins `public` and `private`, whatever is there."""
        if name in self.splits:
            return self.splits[name]
        parts = [self.splits[p] for p in ("public", "private") if p in self.splits]
        if name == "test" and parts:
            return join("test", parts)
        raise DataError(
            f"{self.name} has no split {name!r}; it has: {', '.join(self.splits)}"
            + ("; `test` joins public and private" if parts else "")
        )

    def only(self, labels: Sequence[str]) -> "Dataset":
        """The images of these labels, in this order of labels; what is left out is counted.

        DataError if nothing is left of a split's images.
        """
        if tuple(labels) == self.labels:
            return self
        order = np.array([labels.index(x) if x in labels else -1 for x in self.labels], np.int64)
        splits, left_out = {}, Counter(self.left_out)
        for name, split in self.splits.items():
            numbers = order[split.labels]
            left_out.update(self.labels[n] for n in split.labels[numbers < 0])
            if (kept := np.flatnonzero(numbers >= 0)).size:
                part = split if len(kept) == len(split) else split.take(kept)
                splits[name] = replace(part, labels=numbers[kept])
        if not splits:
            raise DataError(
                f"{self.name} has no picture of {', '.join(labels)}; it has: "
                f"{', '.join(self.labels)}"
            )
        return replace(self, labels=tuple(labels), splits=splits, left_out=left_out)

    @property
    def told(self) -> str:
        """What was left out, in words: `3,803 contempt, 12 uncertain`; empty if nothing was."""
        return ", ".join(f"{number:,} {what}" for what, number in self.left_out.items())

    @property
    def present(self) -> tuple[str, ...]:
        """The labels of which there is a picture."""
        numbers = {int(n) for split in self.splits.values() for n in np.unique(split.labels)}
        return tuple(label for number, label in enumerate(self.labels) if number in numbers)

    def for_training(self, train: str, validation: str, seed: int) -> tuple[Split, Split]:
        """Training and validation split.

        `auto` validates on `public`, else on `val`, else on a stratified tenth of the training
        images, drawn with `seed`: never on `test` or `private`. DataError if that leaves none.
        """
        training = self.split(train)
        if validation == "auto":
            validation = next((s for s in ("public", "val", HELD_OUT) if s in self.splits), "")
        if validation:
            return training, self.split(validation)
        held = _held_out(training, seed)
        rows = np.arange(len(training))
        if not len(kept := np.setdiff1d(rows, held)):
            raise DataError(
                f"all {len(held)} training images of {self.name} are held out to validate; "
                "expected several of each label, or a split val"
            )
        return training.take(kept), replace(training.take(held), name=HELD_OUT)


def joined(
    data: Sequence[Dataset], train: str, validation: str, seed: int, shares: Sequence[float | None]
) -> Dataset:
    """The first data set with the training images of all, which have the same labels.

    What validates is of the first, as its `for_training` says. With `shares` (0-1, of all but the
    first), that fraction of an epoch is drawn of each.
    """
    first, chosen = data[0].for_training(train, validation, seed)
    others = [other.split("train") for other in data[1:]]
    strange = [replace(other, own=np.zeros(len(other), bool)) for other in others]
    parts = [first, *strange]
    asked = [share for share in shares if share is not None]
    if asked:
        of_each = (1 - sum(asked), *asked)
        parts = [
            replace(part, chances=np.full(len(part), share / len(part)))
            for part, share in zip(parts, of_each, strict=True)
        ]
    left_out = sum((Counter(part.left_out) for part in data), Counter())
    splits = data[0].splits | {chosen.name: chosen, train: join(train, parts)}
    name = " + ".join(part.name for part in data)
    return Dataset(name, data[0].labels, splits, left_out)


def _is_pictures(shape: tuple[int, ...]) -> bool:
    return len(shape) == 3 or (len(shape) == 4 and shape[3] == 3)


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


def _held_out(split: Split, seed: int) -> NDArray[np.int64]:
    """Rows of a tenth: of each label, or, where persons are known, of the persons."""
    if split.persons is None:
        return _stratified_tenth(split.labels, seed)
    people, images = np.unique(split.whose, return_inverse=True)
    if len(people) < 2:
        raise DataError(
            f"all images show {people[0]}; expected two persons or more to hold out one"
        )
    order = np.random.default_rng(seed).permutation(len(people))
    return np.flatnonzero(np.isin(images, order[: max(1, len(people) // 10)]))


def _stratified_tenth(labels: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    rng = np.random.default_rng(seed)
    held = [
        rng.permutation(np.flatnonzero(labels == label))[: max(1, (labels == label).sum() // 10)]
        for label in np.unique(labels)
    ]
    return np.sort(np.concatenate(held))
