"""Faces framed as a detector frames them, not as FER-2013 is: moved, scaled and turned at random.

The numbers come from stored seeds, so every network sees the same pictures.
"""

import math

import numpy as np
from numpy.typing import NDArray

DRAWS = 4
TURN_DEG = 10.0
SHIFT = 0.10
"""As a share of the side."""
SCALE = (0.85, 1.15)
_COLUMNS = 24
"""Numbers drawn for each image, of which four are used: those of the figures published before."""

_CHUNK = 1024
"""Images that are framed at a time, which takes a hundred times their memory."""

Images = NDArray[np.uint8]
Framing = NDArray[np.float32]


def draw(number: int, seed: int) -> Framing:
    """(number, 4) float32: angle in radians, scale, and shift to the right and down in sides.

    Uniform in their ranges. The numbers are those of `torch.rand(number, 24)` with that seed:
    24 bits of each output of MT19937.
    """
    generator = np.random.RandomState(seed)
    bits = generator.randint(0, 2**32, (number, _COLUMNS), np.uint32)[:, :4] & 0xFFFFFF
    shares = bits.astype(np.float32) / 2**24
    turn, scale, right, down = shares.T
    low, high = SCALE
    return np.stack(
        [
            (2 * turn - 1) * TURN_DEG * math.pi / 180,
            low + (high - low) * scale,
            (2 * right - 1) * SHIFT,
            (2 * down - 1) * SHIFT,
        ],
        1,
    )


def reframe(images: Images, framing: Framing) -> Images:
    """(N, S, S) or (N, S, S, 3) uint8: each image turned and scaled about its middle, then shifted,
    by its (N, 4) `framing`. Interpolation is bilinear; edges are repeated."""
    side = images.shape[1]
    line = (2 * np.arange(side, dtype=np.float32) + 1) / side - 1  # the image spans -1 to 1
    angle, scale, right, down = framing.T[:, :, None, None]
    u, v = line - 2 * right, line[:, None] - 2 * down
    cos, sin = np.cos(angle) / scale, np.sin(angle) / scale
    x, y = u * cos + v * sin, v * cos - u * sin
    x, y = (np.clip(((place + 1) * side - 1) / 2, 0, side - 1) for place in (x, y))
    left, top = x.astype(np.int64), y.astype(np.int64)
    x, y = x - left.astype(np.float32), y - top.astype(np.float32)
    after, below = np.minimum(left + 1, side - 1), np.minimum(top + 1, side - 1)
    rows = np.arange(len(images))[:, None, None]
    light = images.astype(np.float32) / 255
    if images.ndim == 4:
        x, y = x[..., None], y[..., None]
    mixed = (
        light[rows, top, left] * ((1 - x) * (1 - y))
        + light[rows, top, after] * (x * (1 - y))
        + light[rows, below, left] * ((1 - x) * y)
        + light[rows, below, after] * (x * y)
    )
    return np.asarray(np.rint(255 * mixed), np.uint8)


def reframe_all(images: Images, framing: Framing) -> Images:
    """The same of very many images, which need not be in memory."""
    out = np.empty(images.shape, np.uint8)
    for start in range(0, len(images), _CHUNK):
        part = slice(start, start + _CHUNK)
        out[part] = reframe(images[part], framing[part])
    return out


def once(number: int) -> Framing:
    """(number, 4) float32: one framing of each image, the seeds in turn. One pass over images
    framed so estimates what `DRAWS` passes do."""
    framing = np.stack([draw(number, seed) for seed in range(DRAWS)])
    rows = np.arange(number)
    return np.asarray(framing[rows % DRAWS, rows])
