"""Batches straight from the images, without worker processes."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from mien.data.dataset import Clips, Split
from mien.data.gathered import IN_MEMORY
from mien.preprocess import Preprocess
from mien.train.lessons import Lessons
from mien.train.together import own

Batch = tuple[Tensor, ...]
"""Images, the changes drawn of each, what to answer, labels; of clips the frames of all, one clip
after the other, and at the end how many each has."""


def planes(images: Tensor) -> Tensor:
    """(N, 1, S, S), or (N, 3, S, S) of (N, S, S, 3) RGB."""
    return images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)


class Images(Dataset[Batch]):
    """Rows of a split → (n, S, S) uint8 grey or (n, S, S, 3) RGB at the network's size, the
    (n, columns) changes of `lessons`, what to answer, and the (n,) int64 labels.

    Without `lessons` nothing changes, and the labels are what to answer. On a graphics card, all
    images lie there, unless they are more than `IN_MEMORY`. Of clips, the frames of an epoch are
    drawn anew; without `lessons` they are the middle ones.
    """

    def __init__(
        self, split: Split, preprocess: Preprocess, lessons: Lessons | None = None
    ) -> None:
        self.split, self.preprocess, self.lessons = split, preprocess, lessons
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.labels = torch.from_numpy(np.ascontiguousarray(split.labels)).to(self.device)
        self.drawn = torch.empty(len(split), 0, device=self.device)
        self.answers = self.labels
        self.images: Tensor | None = None
        self.places: NDArray[np.float64] | None = None
        few = len(split) * preprocess.size_px**2 * (3 if preprocess.color else 1) <= IN_MEMORY
        if self.device.type == "cuda" and few and not isinstance(split, Clips):
            self.images = torch.from_numpy(preprocess.resize(split.images)).to(self.device)

    def begin(self, epoch: int) -> None:
        """Draw the changes of an epoch."""
        if self.lessons is not None:
            drawn, answers = self.lessons.of(epoch)
            self.drawn = drawn.to(self.device)
            self.answers = self.labels if answers is None else answers.to(self.device)
            if isinstance(self.split, Clips):
                rng = np.random.default_rng((self.lessons.recipe.seed, epoch))
                self.places = rng.random((len(self.split), self.split.most))

    def __getitem__(self, rows: Tensor) -> Batch:
        images, *lengths = self._images(rows)
        return images, self.drawn[rows], self.answers[rows], self.labels[rows], *lengths

    def _images(self, rows: Tensor) -> tuple[Tensor, ...]:
        if self.images is not None:
            return (self.images[rows],)
        numbers, lengths = rows.cpu().numpy(), list[Tensor]()
        if isinstance(self.split, Clips):
            places = None if self.places is None else self.places[numbers]
            chosen, seen = self.split.frames(numbers, places)
            lengths.append(torch.from_numpy(seen).to(self.device))
        else:
            chosen = self.split.images[numbers]
        return torch.from_numpy(self.preprocess.resize(chosen)).to(self.device), *lengths


class Shuffled(Sampler[Tensor]):
    """Batches of row numbers, in an order that only the seed and the epoch decide.

    Each row comes once an epoch; with `chances` (N,), which sum to 1, as many are drawn by them.
    Lightning calls `set_epoch`, also after `--resume`: epoch 7 is the same whenever it is run.
    """

    def __init__(
        self, images: Images, batch: int, seed: int, chances: NDArray[np.float64] | None = None
    ) -> None:
        self.images, self.size = images, len(images.split)
        self.batch, self.seed, self.epoch, self.chances = batch, seed, 0, chances

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of `epoch`, and what is shown in it."""
        self.epoch = epoch
        self.images.begin(epoch)

    def __len__(self) -> int:
        return max(1, self.size // self.batch)

    def __iter__(self) -> Iterator[Tensor]:
        rng = np.random.default_rng((self.seed, self.epoch))
        if self.chances is None:
            order = rng.permutation(self.size)
        else:
            order = rng.choice(self.size, self.size, p=self.chances)
        # The incomplete last batch is left out: BatchNorm on a handful of images is noise.
        rows = torch.from_numpy(order).to(self.images.device)
        for step in range(len(self)):
            yield own(rows[step * self.batch : (step + 1) * self.batch])


class InOrder(Sampler[Tensor]):
    """Batches of row numbers 0, 1, 2, ..., the last one shorter; of several processes each has its
    own."""

    def __init__(self, images: Images, batch: int) -> None:
        self.images, self.batch = images, batch
        self.rows = own(torch.arange(len(images.split), device=images.device))

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch)

    def __iter__(self) -> Iterator[Tensor]:
        for start in range(0, len(self.rows), self.batch):
            yield self.rows[start : start + self.batch]


def training_batches(
    split: Split,
    preprocess: Preprocess,
    batch: int,
    seed: int,
    lessons: Lessons,
    *,
    balanced: bool = False,
) -> DataLoader[Batch]:
    """Shuffled batches of `split` with the changes and the targets of `lessons`, drawn by the
    split's chances where it has some.

    With `balanced` each class comes equally often.
    """
    images = Images(split, preprocess, lessons)
    chances = _equal_chances(split) if balanced else split.chances
    return _loader(Shuffled(images, batch, seed, chances))


def ordered_batches(split: Split, preprocess: Preprocess, batch: int = 256) -> DataLoader[Batch]:
    """Batches of `split` in its own order."""
    return _loader(InOrder(Images(split, preprocess), batch))


def _equal_chances(split: Split) -> NDArray[np.float64]:
    """(N,) chances of each image by which each class is equally likely."""
    classes, rows, counts = np.unique(split.labels, return_inverse=True, return_counts=True)
    if split.chances is None:
        return np.asarray(1 / counts[rows] / len(counts))
    return np.asarray(split.chances / np.bincount(rows, split.chances)[rows] / len(classes))


def _loader(sampler: Shuffled | InOrder) -> DataLoader[Batch]:
    # A loader draws a number whenever it starts; from a generator of its own, because a resumed
    # run starts loaders in another order and would augment differently from an unbroken one.
    return DataLoader(sampler.images, batch_size=None, sampler=sampler, generator=torch.Generator())
