"""Which pictures are the same photo, and the leaks, conflicts and repetitions that follow.

Proposed are pairs whose low frequencies are alike: those of the discrete cosine transform, as in
pHash (Zauner 2010), but kept as numbers instead of bits and compared by their cosine, for some
shifts and mirrored. Confirmed are those that also agree in their details: pictures are freed of
slow changes of light and correlated at the best of all small shifts and scales. On FER-2013 the
correlations of proposals have two peaks, by far most near 0.5 and the copies near 0.97, and a gap
at 0.84.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.audit.checks import TRAIN, Check, Finding
from mien.audit.pool import SIDE_PX, Pool
from mien.extras import need

NEAR = (0.88, 0.97)
"""Least and largest correlation of details that is asked of a copy."""

_FREQUENCIES = 8
_PROPOSED_FROM = 0.75
_NEIGHBOURS = 4
_MOVES = ((0, 0, 0), (0, 2, 2), (0, 2, -2), (1, 0, 0), (1, 2, 2), (1, -2, 2))
"""Mirrored or not, and shift in px (x, y). The opposite shifts are those of the other of a pair."""
_MOVES_BOTH_WAYS = (*_MOVES, (0, -2, -2), (0, -2, 2), (1, -2, -2), (1, 2, -2))
_BLOCK = 512
_TEMPLATE_PX = 36
_SIDES_PX = (48, 45, 51, 42, 54)
_HOPELESS, _PROMISING, _CERTAIN = 0.5, 0.75, 0.985
"""Correlations: below which only one scale is tried, from which scales between, then no more."""
_CHANCE_PAIRS = 2000

Track = Callable[[Sequence[Any], str], Iterable[Any]]
Grey = NDArray[np.uint8]
Pairs = NDArray[np.int64]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Copies:
    """Of each of N pictures, which others show the same."""

    near: Rows
    """(N,) a number that is equal for copies, chains of copies included."""
    score: NDArray[np.float64]
    """(N,) correlation with the most similar other picture: 1 for equal pixels, 0 without copy."""
    partner: Rows
    """(N,) that picture, or -1."""
    mirrored: NDArray[np.bool_]
    """(N,) whether it is mirrored."""


def plain(items: Sequence[Any], _unit: str) -> Iterable[Any]:
    """Progress that is not shown."""
    return items


def find_copies(small: Grey, twins: Rows, skip: NDArray[np.bool_], track: Track = plain) -> Copies:
    """Copies among (N, 48, 48) pictures; `twins` numbers equal pixels, `skip`ped ones have none."""
    _, first = np.unique(twins, return_index=True)
    first = first[~skip[first]]
    details = np.stack([_details(image) for image in small[first]]) if len(first) else small[:0]
    pairs = propose(small[first], track)
    scores = confirm(details, pairs, track)
    same = scores >= threshold(details)
    equal = _equal(twins)
    return _joined(
        twins,
        np.concatenate([first[pairs[same, :2]], equal]),
        np.pad(np.minimum(scores[same], 1), (0, len(equal)), constant_values=1),
        np.pad(pairs[same, 2] == 1, (0, len(equal))),
    )


@dataclass(frozen=True)
class Closest:
    """Of each of Q pictures the most similar one of a data set."""

    row: Rows
    score: NDArray[np.float64]
    """(Q,) correlation of the details: 1 for equal pixels."""
    mirrored: NDArray[np.bool_]
    copy_from: float
    """The score that makes a copy in this data set."""


def closest(asked: Grey, known: Grey, track: Track = plain) -> Closest:
    """The most similar of (N, 48, 48) `known` pictures to each of (Q, 48, 48) `asked`."""
    values = _frequencies(known)
    mean, spread = values.mean(0), np.sqrt(values.std(0)) + np.float32(1e-6)
    there = _unit((values - mean) / spread).T
    found, rows = [], np.arange(len(asked))[:, None]
    for mirror, x, y in track(_MOVES_BOTH_WAYS, "moves"):
        moved = _frequencies(_shifted(asked[:, :, ::-1] if mirror else asked, x, y))
        near = _best(_unit((moved - mean) / spread), there)
        found.append(np.stack(np.broadcast_arrays(rows, near + len(asked), mirror), -1))
    pairs = np.unique(np.concatenate(found).reshape(-1, 3), axis=0).astype(np.int64)
    details = np.stack([_details(image) for image in (*asked, *known)])
    scores = confirm(details, pairs, track)
    order = np.lexsort((scores, pairs[:, 0]))
    last = order[np.flatnonzero(np.diff(pairs[order, 0], append=len(asked)))]
    return Closest(
        pairs[last, 1] - len(asked),
        np.minimum(scores[last], 1),
        pairs[last, 2] == 1,
        threshold(details[len(asked) :]),
    )


def _best(asked: NDArray[np.float32], known: NDArray[np.float32]) -> Rows:
    """(Q, 2) columns of the largest cosines."""
    number = min(2, known.shape[1])
    blocks = (asked[start : start + _BLOCK] @ known for start in range(0, len(asked), _BLOCK))
    return np.concatenate([np.argpartition(b, -number, axis=1)[:, -number:] for b in blocks])


def propose(small: Grey, track: Track = plain) -> Pairs:
    """(P, 3) pairs that may be copies: two rows, the smaller first, and 1 if mirrored."""
    if len(small) < 2:
        return np.empty((0, 3), np.int64)
    values = _frequencies(small)
    # The root of the deviation: halfway to weighing all frequencies alike.
    mean, spread = values.mean(0), np.sqrt(values.std(0)) + np.float32(1e-6)
    known = np.ascontiguousarray(_unit((values - mean) / spread).T)
    cosines = np.empty((_BLOCK, len(small)), np.float32)
    found = []
    for start in track(range(0, len(small), _BLOCK), "blocks of pictures compared"):
        block = small[start : start + _BLOCK]
        for mirror, x, y in _MOVES:
            moved = _frequencies(_shifted(block[:, :, ::-1] if mirror else block, x, y))
            asked = _unit((moved - mean) / spread)
            rows, others = _nearest(np.matmul(asked, known, out=cosines[: len(block)]), start)
            low, high = np.minimum(rows, others), np.maximum(rows, others)
            found.append(np.stack([low, high, np.full(len(rows), mirror)], 1))
    return np.unique(np.concatenate(found), axis=0).astype(np.int64)


def _frequencies(images: Grey) -> NDArray[np.float32]:
    """(N, 63) lowest frequencies of the cosine transform but the mean, of length 1."""
    places = np.pi * (2 * np.arange(SIDE_PX) + 1) / (2 * SIDE_PX)
    waves = np.cos(np.arange(_FREQUENCIES)[:, None] * places).astype(np.float32)
    values = waves @ images.astype(np.float32) @ waves.T
    return _unit(values.reshape(len(images), -1)[:, 1:])


def _unit(values: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(values / np.maximum(lengths, 1e-6), np.float32)


def _shifted(images: Grey, x: int, y: int) -> Grey:
    """Moved by (x, y) px, the edge repeated."""
    rows, columns = (np.clip(np.arange(SIDE_PX) - by, 0, SIDE_PX - 1) for by in (y, x))
    return images[:, rows[:, None], columns]


def _nearest(cosines: NDArray[np.float32], start: int) -> tuple[Rows, Rows]:
    """Rows (from `start`) and columns of the largest cosines of each row, itself left out."""
    np.fill_diagonal(cosines[:, start:], -1)
    flat = np.flatnonzero(cosines > _PROPOSED_FROM)  # in two dimensions, ten times as slow
    rows, columns = np.divmod(flat, cosines.shape[1])
    order = np.lexsort((-cosines[rows, columns], rows))
    rows, columns = rows[order], columns[order]
    place = np.arange(len(rows)) - np.searchsorted(rows, rows)
    kept = place < _NEIGHBOURS
    return rows[kept] + start, columns[kept]


def threshold(details: Grey) -> float:
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


def confirm(details: Grey, pairs: Pairs, track: Track = plain) -> NDArray[np.float64]:
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


def _details(image: Grey) -> Grey:
    """(48, 48) uint8: what differs from the surroundings, in units of how much it does there."""
    smooth = cv2.GaussianBlur(image.astype(np.float32), (0, 0), 0.8)
    fine = smooth - cv2.GaussianBlur(smooth, (0, 0), 4)
    local = np.sqrt(cv2.GaussianBlur(fine * fine, (0, 0), 4)) + 4
    return np.asarray(np.clip(128 + 40 * fine / local, 0, 255), np.uint8)


def _correlation(one: Grey, other: Grey) -> float:
    best, side = -1.0, 0
    for tried in _SIDES_PX:
        best, side = max((best, side), (_at_side(one, other, tried), tried))
        if best < _HOPELESS or best >= _CERTAIN:
            return best
    if best < _PROMISING:
        return best
    return max(best, _at_side(one, other, side - 1), _at_side(one, other, side + 1))


def _at_side(one: Grey, other: Grey, side_px: int) -> float:
    """Correlation of the middle of `other`, resized, with `one`, where it fits best."""
    if side_px != SIDE_PX:
        how = cv2.INTER_AREA if side_px < SIDE_PX else cv2.INTER_LINEAR
        other = np.asarray(cv2.resize(other, (side_px, side_px), interpolation=how), np.uint8)
    edge = (side_px - _TEMPLATE_PX) // 2
    middle = other[edge : edge + _TEMPLATE_PX, edge : edge + _TEMPLATE_PX]
    found = cv2.matchTemplate(one, np.ascontiguousarray(middle), cv2.TM_CCOEFF_NORMED)
    return float(found.max())


def _equal(twins: Rows) -> Pairs:
    """(T, 2) rows of equal pixels, each with the next one."""
    order = np.argsort(twins, kind="stable")
    place = np.flatnonzero(np.diff(twins[order]) == 0)
    return np.stack([order[place], order[place + 1]], 1)


def _joined(
    twins: Rows, links: Pairs, scores: NDArray[np.float64], mirrored: NDArray[np.bool_]
) -> Copies:
    """What (L, 2) links of a picture with a copy make; of equal scores the last link counts."""
    sparse = need("scipy.sparse", extra="report")
    size = len(twins)
    graph = sparse.coo_matrix((np.ones(len(links)), links.T), (size, size))
    _, near = sparse.csgraph.connected_components(graph, directed=False)
    found = Copies(near, np.zeros(size), np.full(size, -1), np.zeros(size, bool))
    best_last = np.argsort(np.tile(scores, 2), kind="stable")
    one, other = np.concatenate([links[:, ::-1], links])[best_last].T
    found.score[one] = np.tile(scores, 2)[best_last]
    found.partner[one] = other
    found.mirrored[one] = np.tile(mirrored, 2)[best_last]
    return found


# Findings


def check_copies(pool: Pool, copies: Copies) -> Iterator[Finding]:
    """What is wrong with each group of copies; one group may have several faults."""
    exact, every = grouped(pool.twins), grouped(copies.near)
    # A group of altered copies has more to show than equal pixels; MD302 and its like tell that.
    near = [rows for rows in every if len(np.unique(pool.twins[rows])) > 1]
    for check, groups, choose in (
        (Check.LEAK, exact, _leaked),
        (Check.NEAR_LEAK, near, _leaked),
        (Check.CONFLICT, exact, _conflicting),
        (Check.NEAR_CONFLICT, near, _conflicting),
        (Check.REPEATED, exact, _repeated),
        (Check.NEAR_REPEATED, near, _repeated),
        (Check.SHARED, every, _shared),
    ):
        chosen = (rows for group in groups if len(rows := choose(pool, group)))
        for number, rows in enumerate(chosen, 1):
            for row in rows:
                detail = _detail(pool, copies, row)
                yield pool.finding(check, row, detail, copies.score[row], number)


def grouped(numbers: Rows) -> list[Rows]:
    """The rows of each number that is there more than once, by their first row."""
    order = np.argsort(numbers, kind="stable")
    edges = np.flatnonzero(np.diff(numbers[order])) + 1
    groups = (rows for rows in np.split(order, edges) if len(rows) > 1)
    return sorted(groups, key=lambda rows: int(rows[0]))


def _leaked(pool: Pool, rows: Rows) -> Rows:
    trained = pool.splits[rows] == TRAIN
    return rows if trained.any() and not trained.all() else rows[:0]


def _conflicting(pool: Pool, rows: Rows) -> Rows:
    return rows if len(np.unique(pool.labels[rows])) > 1 else rows[:0]


def _repeated(pool: Pool, rows: Rows) -> Rows:
    """Those that are not alone in their split."""
    _, place, counts = np.unique(pool.splits[rows], return_inverse=True, return_counts=True)
    return rows[counts[place] > 1]


def _shared(pool: Pool, rows: Rows) -> Rows:
    tests = rows[pool.splits[rows] != TRAIN]
    return tests if len(np.unique(pool.splits[tests])) > 1 else rows[:0]


def _detail(pool: Pool, copies: Copies, row: int) -> str:
    other = copies.partner[row]
    if pool.twins[row] == pool.twins[other]:
        return f"same pixels as {pool.names[other]}"
    return f"altered copy of {pool.names[other]}" + ", mirrored" * int(copies.mirrored[row])
