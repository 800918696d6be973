"""Batches straight from the memory-mapped images, without worker processes."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from mien.data.dataset import Split
from mien.preprocess import Preprocess

Batch = tuple[Tensor, Tensor, Tensor]
"""Images, what to answer, labels."""


class Images(Dataset[Batch]):
    """Rows of a split → (n, S, S) uint8 grey at the network's size, what to answer, and the (n,)
    int64 labels; these are what to answer, too, unless float32 `targets` (N, C) are given."""

    def __init__(
        self, split: Split, preprocess: Preprocess, targets: NDArray[np.float32] | None = None
    ) -> None:
        self.split = split
        self.preprocess = preprocess
        self.answers = split.labels if targets is None else targets

    def __getitem__(self, rows: NDArray[np.int64]) -> Batch:
        images = self.preprocess.resize(self.split.images[rows])
        answers, labels = self.answers[rows], self.split.labels[rows]
        return torch.from_numpy(images), torch.from_numpy(answers), torch.from_numpy(labels)


class Shuffled(Sampler[NDArray[np.int64]]):
    """Batches of row numbers, in an order that only the seed and the epoch decide.

    Each row comes once an epoch; with `chances` (N,), which sum to 1, as many are drawn by them.
    Lightning calls `set_epoch`, also after `--resume`: epoch 7 is the same whenever it is run.
    """

    def __init__(
        self, size: int, batch: int, seed: int, chances: NDArray[np.float64] | None = None
    ) -> None:
        self.size, self.batch, self.seed, self.epoch = size, batch, seed, 0
        self.chances = chances

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of `epoch`."""
        self.epoch = epoch

    def __len__(self) -> int:
        return max(1, self.size // self.batch)

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        rng = np.random.default_rng((self.seed, self.epoch))
        if self.chances is None:
            order = rng.permutation(self.size)
        else:
            order = rng.choice(self.size, self.size, p=self.chances)
        for step in range(len(self)):
            # The incomplete last batch is left out: BatchNorm on a handful of images is noise.
            yield order[step * self.batch : (step + 1) * self.batch]


class InOrder(Sampler[NDArray[np.int64]]):
    """Batches of row numbers 0, 1, 2, ..., the last one shorter."""

    def __init__(self, size: int, batch: int) -> None:
        self.size, self.batch = size, batch

    def __len__(self) -> int:
        return -(-self.size // self.batch)

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        for start in range(0, self.size, self.batch):
            yield np.arange(start, min(start + self.batch, self.size))


def training_batches(
    split: Split,
    preprocess: Preprocess,
    batch: int,
    seed: int,
    targets: NDArray[np.float32] | None = None,
    *,
    balanced: bool = False,
) -> DataLoader[Batch]:
    """Shuffled batches of `split`, with soft `targets` (N, C) in place of labels if given.

    With `balanced` each class comes equally often.
    """
    sampler = Shuffled(len(split), batch, seed, _equal_chances(split) if balanced else None)
    return _loader(Images(split, preprocess, targets), sampler)


def ordered_batches(split: Split, preprocess: Preprocess, batch: int = 256) -> DataLoader[Batch]:
    """Batches of `split` in its own order."""
    return _loader(Images(split, preprocess), InOrder(len(split), batch))


def _equal_chances(split: Split) -> NDArray[np.float64]:
    """(N,) chances of each image by which each class is equally likely."""
    _, rows, counts = np.unique(split.labels, return_inverse=True, return_counts=True)
    return np.asarray(1 / counts[rows] / len(counts))


def _loader(images: Images, sampler: Sampler[NDArray[np.int64]]) -> DataLoader[Batch]:
    # A loader draws a number whenever it starts; from a generator of its own, because a resumed
    # run starts loaders in another order and would augment differently from an unbroken one.
    return DataLoader(images, batch_size=None, sampler=sampler, generator=torch.Generator())
