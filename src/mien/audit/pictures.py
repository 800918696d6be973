"""Pictures with nothing to be seen in them."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mien.audit.checks import Check, Finding
from mien.audit.pool import Pool
from mien.style import percent

BLANK_BELOW = 5.0
"""Standard deviation in grey levels of 0-255. In FER-2013: 0, 0.7, 3.9, then a dark face at 9.1."""
FLAT_FROM = 0.7
"""Share of one grey. In FER-2013 all 27 above are placeholders; the first face is at 0.69."""

_LEVELS = 4


def blank(pool: Pool) -> NDArray[np.bool_]:
    """(N,) whether a picture is all but of one grey."""
    return np.asarray(pool.small.std(axis=(1, 2)) < BLANK_BELOW, np.bool_)


def check_pictures(pool: Pool) -> Iterator[Finding]:
    """Blank pictures, and those of mostly one grey."""
    shares = flatness(pool.small)
    empty = blank(pool)
    for row in np.flatnonzero(empty | (shares >= FLAT_FROM)).tolist():
        if empty[row]:
            deviation = pool.small[row].std()
            detail = f"standard deviation {deviation:.1f} of 255"
            yield pool.finding(Check.BLANK, row, detail, deviation)
        else:
            yield pool.finding(Check.FLAT, row, f"{percent(shares[row])} of one grey", shares[row])


def flatness(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(N,) largest share of pixels, 0-1, within eight neighbouring grey levels."""
    bins = 256 // _LEVELS
    levels = (images // _LEVELS).reshape(len(images), -1)
    counts = np.stack([np.bincount(row, minlength=bins) for row in levels])
    pairs = counts[:, 1:] + counts[:, :-1]
    return np.asarray(pairs.max(1) / levels.shape[1], np.float64)
