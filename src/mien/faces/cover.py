"""Whether something covers a face: a mask, sunglasses, a hand.

A network of four small convolutions, trained by `scripts/occlusion.py`; docs/faces.md has what it
finds. It runs in NumPy: an inference session for it would take longer to open than it works.
"""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mien.preprocess import grey, scale

WEIGHTS: Final = Path(__file__).with_name("cover.npz")
SIZES: Final = (5, 3, 3, 3)
STRIDES: Final = (2, 2, 2, 1)
COVERED: Final = 3.0
"""Eleven of 3,589 PublicTest faces have more, of which five are covered in truth."""
_SIDE_PX = 48

Floats = NDArray[np.float32]


def scores(crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
    """(N,): above `COVERED` something covers the face of the crop, (H, W) or (H, W, 3) uint8."""
    if not crops:
        return np.empty(0)
    weights = _weights()
    seen = standardised(np.stack([scale(grey(crop), _SIDE_PX) for crop in crops]))
    for number, (size, stride) in enumerate(zip(SIZES, STRIDES, strict=True)):
        kernel, bias = weights[f"weights{number}"], weights[f"bias{number}"]
        seen = np.maximum(_convolved(seen, kernel, size, stride) + bias[:, None, None], 0)
    answers = seen.reshape(len(crops), -1) @ weights["weights"] + weights["bias"]
    return np.asarray(answers, np.float64)


def standardised(images: NDArray[np.uint8]) -> Floats:
    """(N, 1, 48, 48) of mean 0, from (N, 48, 48); even ones stay near 0."""
    values = images.astype(np.float32)[:, None]
    mean, spread = (f(values, axis=(1, 2, 3), keepdims=True) for f in (np.mean, np.std))
    return np.asarray((values - mean) / (spread + 5), np.float32)


def _convolved(images: Floats, kernel: Floats, size: int, stride: int) -> Floats:
    """(N, O, H', W') of (N, C, H, W) and (O, C, size, size), padded with zeros."""
    pad = size // 2
    padded = np.pad(images, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(2, 3))
    windows = windows[:, :, ::stride, ::stride]
    found = np.tensordot(windows, kernel, axes=((1, 4, 5), (1, 2, 3)))
    return np.asarray(np.moveaxis(found, 3, 1), np.float32)


@functools.cache
def _weights() -> dict[str, Floats]:
    with np.load(WEIGHTS, allow_pickle=False) as file:
        return {name: file[name].astype(np.float32) for name in file.files}
