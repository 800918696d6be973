"""Whether something covers a face: a mask, sunglasses, a hand.

A network of four small convolutions, trained by `scripts/occlusion.py`; docs/faces.md has what it
finds.
"""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from mien.preprocess import grey, scale

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

WEIGHTS: Final = Path(__file__).with_name("cover.onnx")
COVERED: Final = 3.0
"""Eleven of 3,589 PublicTest faces have more, of which five are covered in truth."""
_SIDE_PX = 48

Floats = NDArray[np.float32]


def scores(crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
    """(N,): above `COVERED` something covers the face of the crop, (H, W) or (H, W, 3) uint8."""
    if not crops:
        return np.empty(0)
    seen = standardised(np.stack([scale(grey(crop), _SIDE_PX) for crop in crops]))
    return np.asarray(_session().run(None, {"faces": seen})[0][:, 0], np.float64)


def standardised(images: NDArray[np.uint8]) -> Floats:
    """(N, 1, 48, 48) of mean 0, from (N, 48, 48); even ones stay near 0."""
    values = images.astype(np.float32)[:, None]
    mean, spread = (f(values, axis=(1, 2, 3), keepdims=True) for f in (np.mean, np.std))
    return np.asarray((values - mean) / (spread + 5), np.float32)


@functools.cache
def _session() -> "InferenceSession":
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # 0.1 ms a face
    return onnxruntime.InferenceSession(WEIGHTS, options, providers=["CPUExecutionProvider"])
