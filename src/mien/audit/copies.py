"""Which pictures are the same photo: proposed by low frequencies, confirmed by details.

Proposals: the lowest frequencies of the discrete cosine transform, as in pHash (Zauner 2010), but
kept as numbers instead of bits and compared by their cosine, for some shifts and mirrored.
Confirmed is what also agrees in its details: pictures are freed of slow changes of light and
correlated at the best of all small shifts and scales. On FER-2013 the correlations of proposals
have two peaks, by far most near 0.5 and the copies near 0.97, and a gap at 0.84.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.audit.pool import SIDE_PX
from mien.extras import need

NEAR = (0.88, 0.97)
"""Least and largest correlation of details that is asked of a copy."""

_FREQUENCIES = 8
_PROPOSED_FROM = 0.75
_NEIGHBOURS = 4
_SHIFTS = {False: ((0, 0), (2, 2), (2, -2)), True: ((0, 0), (2, 2), (-2, 2))}
"""By mirrored or not, in px (x, y). The opposite shifts are those of the other of the pair."""
_BLOCK = 512
_TEMPLATE_PX = 36
_SIDES_PX = (48, 45, 51, 42, 54)
_HOPELESS, _PROMISING, _CERTAIN = 0.5, 0.75, 0.985
"""Correlations: below which only one scale is tried, from which scales between, then no more."""
_CHANCE_PAIRS = 2000

Track = Callable[[Sequence[Any], str], Iterable[Any]]
Pairs = NDArray[np.int64]


@dataclass(frozen=True)
class Copies:
    """Of each of N pictures, which others show the same."""

    exact: NDArray[np.int64]
    """(N,) a number that is equal for equal pixels."""
    near: NDArray[np.int64]
    """(N,) a number that is equal for copies, chains of copies included."""
    score: NDArray[np.float64]
    """(N,) correlation with the most similar other picture: 1 for equal pixels, 0 without copy."""
    partner: NDArray[np.int64]
    """(N,) that picture, or -1."""
    mirrored: NDArray[np.bool_]
    """(N,) whether it is mirrored."""


def plain(items: Sequence[Any], _unit: str) -> Iterable[Any]:
    """Progress that is not shown."""
    return items


def find_copies(
    small: NDArray[np.uint8],
    twins: NDArray[np.int64],
    skip: NDArray[np.bool_],
    track: Track = plain,
) -> Copies:
    """Copies among (N, 48, 48) pictures; `twins` numbers equal pixels, `skip`ped ones have none."""
    _, first = np.unique(twins, return_index=True)
    first = first[~skip[first]]
    details = np.stack([_details(image) for image in small[first]]) if len(first) else small[:0]
    pairs = propose(small[first], track)
    scores = confirm(details, pairs, track)
    same = scores >= threshold(details)
    pairs, scores = pairs[same], scores[same]
    rows = first[pairs[:, :2]]
    return Copies(twins, _joined(twins, rows), *_closest(twins, rows, scores, pairs[:, 2] == 1))


def propose(small: NDArray[np.uint8], track: Track = plain) -> Pairs:
    """(P, 3) pairs that may be copies: two rows, the smaller first, and 1 if mirrored."""
    if len(small) < 2:
        return np.empty((0, 3), np.int64)
    mean, deviation = _spread(_frequencies(small))
    known = np.ascontiguousarray(_normalised(_frequencies(small), mean, deviation).T)
    found = []
    passes = [(mirror, shift) for mirror in _SHIFTS for shift in _SHIFTS[mirror]]
    starts = range(0, len(small), _BLOCK)
    cosines = np.empty((_BLOCK, len(small)), np.float32)
    for start in track(starts, "blocks of pictures compared"):
        block = small[start : start + _BLOCK]
        for mirror, shift in passes:
            moved = _shifted(block[:, :, ::-1] if mirror else block, *shift)
            asked = _normalised(_frequencies(moved), mean, deviation)
            rows, others = _nearest(np.matmul(asked, known, out=cosines[: len(block)]), start)
            low, high = np.minimum(rows, others), np.maximum(rows, others)
            found.append(np.stack([low, high, np.full(len(rows), mirror)], 1))
    return np.unique(np.concatenate(found), axis=0).astype(np.int64)


def _frequencies(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, 63) lowest frequencies of the cosine transform but the mean, of length 1."""
    places = np.pi * (2 * np.arange(SIDE_PX) + 1) / (2 * SIDE_PX)
    waves = np.cos(np.arange(_FREQUENCIES)[:, None] * places).astype(np.float32)
    values = waves @ images.astype(np.float32) @ waves.T
    return _unit(values.reshape(len(images), -1)[:, 1:])


def _spread(values: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean, and root of the standard deviation: halfway to weighing all frequencies alike."""
    return values.mean(0), np.sqrt(values.std(0)) + np.float32(1e-6)


def _normalised(
    values: NDArray[np.float32], mean: NDArray[np.float32], deviation: NDArray[np.float32]
) -> NDArray[np.float32]:
    return _unit((values - mean) / deviation)


def _unit(values: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(values / np.maximum(lengths, 1e-6), np.float32)


def _shifted(images: NDArray[np.uint8], x: int, y: int) -> NDArray[np.uint8]:
    """Moved by (x, y) px, the edge repeated."""
    most = max(abs(x), abs(y))
    padded = np.pad(images, ((0, 0), (most, most), (most, most)), mode="edge")
    top, left = most - y, most - x
    return padded[:, top : top + SIDE_PX, left : left + SIDE_PX]


def _nearest(
    cosines: NDArray[np.float32], start: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows (from `start`) and columns of the largest cosines of each row, itself left out."""
    flat = np.flatnonzero(cosines > _PROPOSED_FROM)  # in two dimensions, ten times as slow
    rows, columns = np.divmod(flat, cosines.shape[1])
    other = rows + start != columns
    rows, columns = rows[other], columns[other]
    order = np.lexsort((-cosines[rows, columns], rows))
    rows, columns = rows[order], columns[order]
    place = np.arange(len(rows)) - np.searchsorted(rows, rows)
    kept = place < _NEIGHBOURS
    return rows[kept] + start, columns[kept]


def threshold(details: NDArray[np.uint8]) -> float:
    """The correlation that makes a copy, from what different pictures of the set reach by chance.

    A copy may differ a quarter as much as the most alike 1 % of random pairs do: 0.89 for
    FER-2013, 0.96 for drawn faces, which are far more alike.
    """
    size = len(details)
    if size < 2:
        return NEAR[1]
    rng = np.random.default_rng(0)
    one = rng.integers(0, size, _CHANCE_PAIRS)
    other = (one + rng.integers(1, size, _CHANCE_PAIRS)) % size
    pairs = np.stack([one, other, np.zeros_like(one)], 1)
    alike = float(np.quantile(confirm(details, pairs), 0.99))
    return float(np.clip(1 - (1 - alike) / 4, *NEAR))


def confirm(details: NDArray[np.uint8], pairs: Pairs, track: Track = plain) -> NDArray[np.float64]:
    """(P,) correlation of the details of each pair, at the best shift and scale."""

    def scores(part: Pairs) -> list[float]:
        return [
            _correlation(details[one], details[other][:, ::-1] if mirrored else details[other])
            for one, other, mirrored in part
        ]

    parts = [pairs[start : start + _BLOCK] for start in range(0, len(pairs), _BLOCK)]
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        waiting = [threads.submit(scores, part) for part in parts]
        done = [value for w in track(waiting, "blocks of pairs compared") for value in w.result()]
    return np.array(done, np.float64)


def _details(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(48, 48) uint8: what differs from the surroundings, in units of how much it does there."""
    smooth = cv2.GaussianBlur(image.astype(np.float32), (0, 0), 0.8)
    fine = smooth - cv2.GaussianBlur(smooth, (0, 0), 4)
    local = np.sqrt(cv2.GaussianBlur(fine * fine, (0, 0), 4)) + 4
    return np.asarray(np.clip(128 + 40 * fine / local, 0, 255), np.uint8)


def _correlation(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    best, side = -1.0, 0
    for tried in _SIDES_PX:
        best, side = max((best, side), (_at_side(one, other, tried), tried))
        if best < _HOPELESS or best >= _CERTAIN:
            return best
    if best < _PROMISING:
        return best
    return max(best, _at_side(one, other, side - 1), _at_side(one, other, side + 1))


def _at_side(one: NDArray[np.uint8], other: NDArray[np.uint8], side_px: int) -> float:
    """Correlation of the middle of `other`, resized, with `one`, where it fits best."""
    if side_px != SIDE_PX:
        how = cv2.INTER_AREA if side_px < SIDE_PX else cv2.INTER_LINEAR
        other = np.asarray(cv2.resize(other, (side_px, side_px), interpolation=how), np.uint8)
    edge = (side_px - _TEMPLATE_PX) // 2
    middle = other[edge : edge + _TEMPLATE_PX, edge : edge + _TEMPLATE_PX]
    found = cv2.matchTemplate(one, np.ascontiguousarray(middle), cv2.TM_CCOEFF_NORMED)
    return float(found.max())


def _joined(twins: NDArray[np.int64], rows: Pairs) -> NDArray[np.int64]:
    """(N,) the connected component of each picture, where twins and pairs are connected."""
    sparse = need("scipy.sparse", extra="report")
    graphs = need("scipy.sparse.csgraph", extra="report")
    size = int(twins.max(initial=-1)) + 1
    ends = twins[rows]
    graph = sparse.coo_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), (size, size))
    _, component = graphs.connected_components(graph, directed=False)
    return np.asarray(component[twins], np.int64)


def _closest(
    twins: NDArray[np.int64], rows: Pairs, scores: NDArray[np.float64], mirrored: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_]]:
    """(N,) score, partner and mirrored of the most similar other picture."""
    size = int(twins.max(initial=-1)) + 1
    score, partner, flipped = np.zeros(size), np.full(size, -1), np.zeros(size, bool)
    order = np.argsort(np.tile(scores, 2))  # the best is written last
    ends, others = np.concatenate([rows, rows[:, ::-1]])[order].T
    score[twins[ends]] = np.tile(scores, 2)[order]
    partner[twins[ends]] = others
    flipped[twins[ends]] = np.tile(mirrored, 2)[order]
    score, partner, flipped = score[twins], partner[twins], flipped[twins]
    order = np.argsort(twins, kind="stable")
    same = np.flatnonzero(np.diff(twins[order]) == 0)
    for one, other in ((order[same + 1], order[same]), (order[same], order[same + 1])):
        score[one], partner[one], flipped[one] = 1.0, other, False
    return score, partner, flipped
