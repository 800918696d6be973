"""The only definition of face crop → network input; training, export and recognition share it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import ShapeError
from mien.noise import denoised

DENOISE = ("none", "auto")
"""auto: noise is taken away from crops that have some (`mien.noise`)."""


@dataclass(frozen=True, slots=True)
class Preprocess:
    """How a crop becomes the input of one network; part of that network's card.

    A crop is made grey (or kept in `color`), resized to `source_px` (the resolution the network was
    trained from, so that a sharp photo looks like its training data), freed of noise if `denoise`
    is auto, resized to `size_px`, divided by 255, standardised with `mean` and `std`, and repeated
    over as many channels as `mean` has entries.
    """

    size_px: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    source_px: int = 48
    color: bool = False
    """Whether the network sees colour, by three means; else grey, repeated over them."""
    denoise: str = "none"

    def __post_init__(self) -> None:
        if self.size_px < 1 or self.source_px < 1:
            sizes = f"{self.size_px} and {self.source_px}"
            raise ShapeError(f"expected sizes of at least 1 px, got {sizes}")
        if len(self.mean) not in (1, 3) or len(self.std) != len(self.mean):
            raise ShapeError(f"expected 1 or 3 means and stds, got {self.mean} and {self.std}")
        if self.color and len(self.mean) != 3:
            raise ShapeError(f"expected 3 means and stds in colour, got {self.mean} and {self.std}")
        if not all(map(math.isfinite, (*self.mean, *self.std))):
            raise ShapeError(f"expected finite means and stds, got {self.mean} and {self.std}")
        if min(self.std) <= 0:
            raise ShapeError(f"expected stds above 0, got {self.std}")
        if self.denoise not in DENOISE:
            raise ShapeError(f"expected denoise among {', '.join(DENOISE)}, got {self.denoise!r}")

    @property
    def channels(self) -> int:
        """Channels of the network's input: 1 or 3."""
        return len(self.mean)

    def resize(self, crops: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(N, size_px, size_px) uint8 grey, or (N, size_px, size_px, 3) RGB in `color`, from crops
        of (H, W) grey or (H, W, 3) RGB uint8."""
        seen, planes = (rgb, (3,)) if self.color else (grey, ())
        out = np.empty((len(crops), self.size_px, self.size_px, *planes), np.uint8)
        for row, crop in zip(out, crops, strict=True):
            small = scale(seen(crop), self.source_px)
            row[...] = scale(denoised(small) if self.denoise == "auto" else small, self.size_px)
        return out

    def normalise(self, images: Any) -> Any:
        """(N, C, S, S) float from (N, 1 or 3, S, S) float in 0-1; NumPy or torch alike.

        Written with arithmetic alone so that training and recognition run the same lines.
        """
        if self.channels == 1:
            return (images - self.mean[0]) / self.std[0]
        mean = np.asarray(self.mean, np.float32).reshape(1, 3, 1, 1)
        std = np.asarray(self.std, np.float32).reshape(1, 3, 1, 1)
        if not isinstance(images, np.ndarray):
            mean, std = images.new_tensor(mean), images.new_tensor(std)
        return (images - mean) / std

    def __call__(
        self, crops: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]
    ) -> NDArray[np.float32]:
        """(N, C, size_px, size_px) float32, from crops of (H, W) grey or (H, W, 3) RGB uint8."""
        return self.standardise(self.resize(crops))

    def standardise(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, C, size_px, size_px) float32, from what `resize` gives."""
        planes = images.transpose(0, 3, 1, 2) if self.color else images[:, None]
        values = planes.astype(np.float32) / np.float32(255)
        return np.ascontiguousarray(self.normalise(values), np.float32)


def grey(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) uint8, from (H, W) grey or (H, W, 3) RGB; ShapeError otherwise."""
    if crop.dtype != np.uint8 or crop.ndim not in (2, 3) or 0 in crop.shape:
        raise ShapeError(f"expected (H, W) or (H, W, 3) uint8 crops, got {crop.shape} {crop.dtype}")
    if crop.ndim == 2:
        return crop
    if crop.shape[2] != 3:
        raise ShapeError(f"expected 3 colour channels (RGB), got {crop.shape[2]}")
    import cv2

    return np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), np.uint8)


def rgb(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB, from (H, W) grey or (H, W, 3) RGB; ShapeError otherwise."""
    if crop.ndim == 3 and crop.shape[2] == 3 and crop.dtype == np.uint8 and crop.size:
        return crop
    return np.repeat(grey(crop)[:, :, None], 3, 2)


def scale(image: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    """A square of `size_px`: area averaging down (no aliasing), bilinear up."""
    if image.shape[:2] == (size_px, size_px):
        return image
    import cv2

    shrinks = min(image.shape[:2]) >= size_px
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (size_px, size_px), interpolation=how), np.uint8)
