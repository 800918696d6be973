"""What a data set holds: counts, weights, intensities and duplicates, as numbers."""

from dataclasses import asdict, dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import Dataset, Split, class_weights, equal_pixels


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Images with exactly the same pixels as another one of the same split (or data set)."""

    images: int
    """That have at least one twin."""
    share: float
    """Of all images, 0-1."""
    groups: int
    """Sets of twins."""
    conflicting: int
    """Sets of twins whose labels differ."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """Images of one split whose pixels are also in another."""

    split: str
    other: str
    images: int
    share: float
    """Of the images of `split`, 0-1."""


@dataclass(frozen=True)
class Statistics:
    """Numbers of one data set; classes in the order of `labels`, splits in the data set's."""

    name: str
    labels: tuple[str, ...]
    size_px: tuple[int, int]
    """Height and width."""
    reference: str
    """The split that weights and mean faces come from: `train`, or the first where none is."""
    counts: dict[str, NDArray[np.int64]]
    """(classes,) images by split."""
    weights: NDArray[np.float64]
    """(classes,) inverse-frequency weights of the reference split, 0 for an empty class."""
    imbalance: dict[str, float]
    """By split: images of its largest class for each one of its smallest that is not empty."""
    mean_faces: NDArray[np.float64]
    """(classes, H, W) mean of each class's images in the reference split, 0-255."""
    histograms: dict[str, NDArray[np.int64]]
    """(classes, 256) pixels of each intensity, by split."""
    mean: dict[str, float]
    """Mean intensity by split, 0-1."""
    std: dict[str, float]
    """Standard deviation of all pixels by split, 0-1."""
    blank: dict[str, int]
    """Images of a single grey level, by split."""
    duplicates: Duplicates
    """Over the whole data set."""
    duplicates_within: dict[str, Duplicates]
    """Inside each split."""
    overlaps: tuple[Overlap, ...]
    """For every ordered pair of splits."""

    @property
    def images(self) -> int:
        """Images of all splits together."""
        return int(sum(counts.sum() for counts in self.counts.values()))

    def to_json(self) -> dict[str, object]:
        """All but the mean faces and the histograms, as JSON values."""
        return {
            "name": self.name,
            "labels": list(self.labels),
            "images": self.images,
            "height_px": self.size_px[0],
            "width_px": self.size_px[1],
            "splits": {split: self._split_json(split) for split in self.counts},
            "class_weights": {
                "split": self.reference,
                "weights": dict(zip(self.labels, self.weights.tolist(), strict=True)),
            },
            "duplicates": asdict(self.duplicates),
            "overlaps": [asdict(overlap) for overlap in self.overlaps],
        }

    def _split_json(self, split: str) -> dict[str, object]:
        return {
            "images": int(self.counts[split].sum()),
            "counts": dict(zip(self.labels, self.counts[split].tolist(), strict=True)),
            "imbalance": self.imbalance[split],
            "intensity_mean": self.mean[split],
            "intensity_std": self.std[split],
            "blank_images": self.blank[split],
            "duplicates": asdict(self.duplicates_within[split]),
        }


def describe(data: Dataset) -> Statistics:
    """The statistics of `data`."""
    classes = len(data.labels)
    reference = "train" if "train" in data.splits else next(iter(data.splits))
    counts = {name: split.counts(classes) for name, split in data.splits.items()}
    histograms = {name: _histograms(split, classes) for name, split in data.splits.items()}
    moments = {name: _moments(histogram.sum(0)) for name, histogram in histograms.items()}
    ends = np.cumsum([len(split) for split in data.splits.values()])[:-1]
    numbers = equal_pixels(data)
    twins = dict(zip(data.splits, np.split(numbers, ends), strict=True))
    labels = {name: split.labels for name, split in data.splits.items()}
    first = data.splits[reference]
    return Statistics(
        name=data.name,
        labels=data.labels,
        size_px=(first.images.shape[1], first.images.shape[2]),
        reference=reference,
        counts=counts,
        weights=class_weights(counts[reference]),
        imbalance={name: _imbalance(count) for name, count in counts.items()},
        mean_faces=_mean_faces(first, classes),
        histograms=histograms,
        mean={name: mean for name, (mean, _) in moments.items()},
        std={name: std for name, (_, std) in moments.items()},
        blank={name: int((np.ptp(s.images, (1, 2)) == 0).sum()) for name, s in data.splits.items()},
        duplicates=_duplicates(numbers, np.concatenate(list(labels.values()))),
        duplicates_within={name: _duplicates(twins[name], labels[name]) for name in twins},
        overlaps=tuple(_overlap(one, other, twins) for one, other in permutations(twins, 2)),
    )


def _histograms(split: Split, classes: int) -> NDArray[np.int64]:
    """(classes, 256) pixels of each intensity; by image, which needs little memory."""
    totals = np.zeros((classes, 256), np.int64)
    for image, label in zip(split.images, split.labels, strict=True):
        totals[label] += np.bincount(image.reshape(-1), minlength=256)
    return totals


def _moments(histogram: NDArray[np.int64]) -> tuple[float, float]:
    """Mean and standard deviation, 0-1, of the pixels that a (256,) histogram counts."""
    share = histogram / histogram.sum()
    levels = np.arange(256) / 255
    mean = float(share @ levels)
    return mean, float(np.sqrt(share @ (levels - mean) ** 2))


def _imbalance(counts: NDArray[np.int64]) -> float:
    return float(counts.max() / counts[counts > 0].min())


def _mean_faces(split: Split, classes: int) -> NDArray[np.float64]:
    """(classes, H, W), 0-255; zeros for a class without images."""
    faces = np.zeros((classes, *split.images.shape[1:]))
    for label in np.unique(split.labels):
        faces[label] = split.images[split.labels == label].mean(axis=0)
    return faces


def _duplicates(twins: NDArray[np.int64], labels: NDArray[np.int64]) -> Duplicates:
    _, group, sizes = np.unique(twins, return_inverse=True, return_counts=True)
    kinds = np.bincount(np.unique(np.stack([group, labels]), axis=1)[0])
    repeated = sizes > 1
    images = int(sizes[repeated].sum())
    return Duplicates(
        images=images,
        share=images / len(twins),
        groups=int(repeated.sum()),
        conflicting=int((kinds[repeated] > 1).sum()),
    )


def _overlap(split: str, other: str, twins: dict[str, NDArray[np.int64]]) -> Overlap:
    images = int(np.isin(twins[split], twins[other]).sum())
    return Overlap(split, other, images, images / len(twins[split]))
