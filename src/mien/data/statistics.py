"""What a data set holds, as tables: counts, weights, intensities and duplicates."""

from dataclasses import dataclass
from itertools import permutations
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import Dataset, Split, class_weights, equal_pixels
from mien.data.gathered import chunks
from mien.extras import need

Frame: TypeAlias = Any
"""A pandas.DataFrame."""
TOGETHER = "all together"
"""The row of `Statistics.duplicates` on the whole data set."""


@dataclass(frozen=True)
class Statistics:
    """Tables of `data`; labels and splits are in its order. Shares and intensities are 0-1."""

    data: Dataset
    reference: str
    """The split that weights and mean faces come from: `train`, or the first where none is."""
    counts: Frame
    """Images, by label and split (columns)."""
    weights: Frame
    """By label: `REFERENCE_images`, their `share` and inverse-frequency `weight` (0 for none)."""
    splits: Frame
    """By split: `imbalance` (images of the largest class for each one of the smallest that is not
    empty), `intensity_mean` and `intensity_std` of all pixels, `blank_images` (of one grey)."""
    duplicates: Frame
    """Images with the pixels of another one, by split and `TOGETHER`: `images`, `share`, `groups`
    (sets of equal images) and `conflicting` (sets whose labels differ)."""
    overlaps: Frame
    """Each ordered pair of splits: `split`, `other`, the `images` of `split` whose pixels are in
    `other`, too, and their `share`."""
    histogram: Frame
    """Pixels, by split and label (rows) and intensity 0-255 (columns)."""
    mean_faces: dict[str, NDArray[np.float64]]
    """(H, W) mean, 0-255, of the images of each label that the reference split has."""

    @property
    def images(self) -> int:
        """Images of all splits together."""
        return int(self.counts.to_numpy().sum())

    @property
    def size_px(self) -> tuple[int, ...]:
        """Height and width."""
        return self.data.splits[self.reference].images.shape[1:]

    def to_json(self) -> dict[str, object]:
        """All but the mean faces and the histogram, as JSON values."""
        splits, twins = self.splits.to_dict("index"), self.duplicates.to_dict("index")
        weights = self.weights["weight"].to_dict()
        return {
            "name": self.data.name,
            "labels": list(self.data.labels),
            "images": self.images,
            "height_px": self.size_px[0],
            "width_px": self.size_px[1],
            "splits": {
                name: {
                    "images": int(counts.sum()),
                    "counts": counts.to_dict(),
                    **splits[name],
                    "duplicates": twins[name],
                }
                for name, counts in self.counts.items()
            },
            "class_weights": {"split": self.reference, "weights": weights},
            "duplicates": twins[TOGETHER],
            "overlaps": self.overlaps.to_dict("records"),
        }


def describe(data: Dataset) -> Statistics:
    """The statistics of `data`. MissingExtra without pandas."""
    pandas = need("pandas", extra="report")
    parts, labels = data.splits, pandas.Index(data.labels, name="label")
    reference = "train" if "train" in parts else next(iter(parts))
    first = parts[reference]
    counts = pandas.DataFrame({n: p.counts(len(labels)) for n, p in parts.items()}, labels)
    own = counts[reference]
    weights = {f"{reference}_images": own, "share": own / len(first), "weight": class_weights(own)}
    pixels = [_histograms(part, len(labels)) for part in parts.values()]
    return Statistics(
        data=data,
        reference=reference,
        counts=counts,
        weights=pandas.DataFrame(weights),
        splits=pandas.DataFrame(
            [_summary(*each) for each in zip(parts.values(), pixels, strict=True)],
            pandas.Index(parts, name="split"),
            ["imbalance", "intensity_mean", "intensity_std", "blank_images"],
        ),
        **_repeated(data),
        histogram=pandas.DataFrame(
            np.concatenate(pixels),
            pandas.MultiIndex.from_product([list(parts), labels], names=["split", "label"]),
            pandas.RangeIndex(256, name="intensity"),
        ),
        mean_faces=dict(zip(labels[own > 0], _mean_faces(first), strict=True)),
    )


def _histograms(split: Split, classes: int) -> NDArray[np.int64]:
    """(classes, 256) pixels of each intensity; by image, which needs little memory."""
    totals = np.zeros((classes, 256), np.int64)
    for image, label in zip(split.images, split.labels, strict=True):
        totals[label] += np.bincount(image.reshape(-1), minlength=256)
    return totals


def _mean_faces(split: Split) -> list[NDArray[np.float64]]:
    """(H, W) of each label that occurs."""
    present, numbers = np.unique(split.labels, return_inverse=True)
    sums = np.zeros((len(present), *split.images.shape[1:]))
    for number, image in zip(numbers, split.images, strict=True):
        sums[number] += image
    return [total / np.sum(numbers == n) for n, total in enumerate(sums)]


def _summary(split: Split, pixels: NDArray[np.int64]) -> tuple[float, float, float, int]:
    """Imbalance, mean and standard deviation of the pixels, and images of one grey."""
    counts = split.counts(len(pixels))
    share, levels = pixels.sum(0) / pixels.sum(), np.arange(256) / 255
    mean = share @ levels
    blank = np.concatenate([np.ptp(images, (1, 2)) == 0 for images in chunks(split.images)])
    deviation = np.sqrt(share @ (levels - mean) ** 2)
    return counts.max() / counts[counts > 0].min(), mean, deviation, int(blank.sum())


def _repeated(data: Dataset) -> dict[str, Frame]:
    """`duplicates` and `overlaps`."""
    pandas = need("pandas", extra="report")
    images = pandas.DataFrame(
        {
            "split": np.repeat(list(data.splits), [len(part) for part in data.splits.values()]),
            "label": np.concatenate([part.labels for part in data.splits.values()]),
            "pixels": equal_pixels(data),
        }
    )
    splits = dict(iter(images.groupby("split", sort=False)))
    overlaps = []
    for one, other in permutations(splits, 2):
        shared = splits[one]["pixels"].isin(splits[other]["pixels"])
        overlaps.append((one, other, shared.sum(), shared.mean()))
    return {
        "duplicates": pandas.DataFrame(
            [_duplicates(rows) for rows in (*splits.values(), images)],
            pandas.Index([*splits, TOGETHER], name="split"),
            ["images", "share", "groups", "conflicting"],
        ),
        "overlaps": pandas.DataFrame(overlaps, columns=["split", "other", "images", "share"]),
    }


def _duplicates(images: Frame) -> tuple[int, float, int, int]:
    """How many have a twin, their share, sets of twins, and sets whose labels differ."""
    sets = images.groupby("pixels")["label"].agg(["size", "nunique"])
    sets = sets[sets["size"] > 1]
    twins = sets["size"].sum()
    return twins, twins / len(images), len(sets), (sets["nunique"] > 1).sum()
