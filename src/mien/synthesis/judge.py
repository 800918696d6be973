"""Are drawn faces like real ones, and are they new?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.audit.copies import Closest, closest
from mien.bundle import load_network, open_bundle

JUDGE = "mien-s"
"""The bundle whose features are compared."""
QUANTILE = 0.99
"""Of held-out images that are no copies, this share is less similar to any training image than a
drawn face may be."""
_ROWS = 256
_MOST = 2000

Pictures = NDArray[np.uint8]


@dataclass(frozen=True)
class Novelty:
    """How similar drawn faces are to the training images, and held-out images are."""

    nearest: Closest
    limit: float
    """Faces of at least this score are too near: the `QUANTILE` of held-out images."""
    held_out: int
    """Held-out images that are no copies of training images."""
    held_out_copies: int

    @property
    def too_near(self) -> NDArray[np.bool_]:
        """(N,) whether a face repeats a training image."""
        return np.asarray(self.nearest.score >= self.limit, np.bool_)


def novelty(drawn: Pictures, training: Pictures, held_out: Pictures) -> Novelty:
    """That of (N, 48, 48) faces, by the correlation that finds copies in an audit."""
    both = closest(np.concatenate([held_out, drawn]), training)
    number = len(held_out)
    copied = both.score[:number] >= both.copy_from
    real = both.score[:number][~copied]
    limit = float(np.quantile(real, QUANTILE)) if len(real) else both.copy_from
    own = Closest(both.row[number:], both.score[number:], both.mirrored[number:], both.copy_from)
    return Novelty(own, limit, len(real), int(copied.sum()))


@dataclass(frozen=True)
class Looks:
    """What the judge sees in N pictures."""

    features: NDArray[np.float64]
    """(N, D) pooled features before its last layer."""
    answers: tuple[str, ...]
    """(N,) labels."""


def looks(pictures: Pictures) -> Looks:
    """Those of (N, H, W) uint8 grey pictures."""
    import onnxruntime

    if not len(pictures):
        return Looks(np.empty((0, 0)), ())
    bundle = open_bundle(JUDGE)
    network = load_network(bundle)
    inner = next(n for n in reversed(network.graph.node) if n.op_type == "ReduceMean").output[0]
    network.graph.output.add().name = inner
    session = onnxruntime.InferenceSession(network.SerializeToString())
    crops = bundle.card.preprocess.resize(pictures)
    features, answers = [], []
    for start in range(0, len(crops), _ROWS):
        seen = bundle.card.preprocess.standardise(crops[start : start + _ROWS])
        logits, pooled = session.run(None, {session.get_inputs()[0].name: seen})
        features.append(pooled.reshape(len(seen), -1).astype(np.float64))
        answers += [bundle.card.labels[number] for number in logits.argmax(1)]
    return Looks(np.concatenate(features), tuple(answers))


def distance(one: NDArray[np.float64], other: NDArray[np.float64], seed: int = 0) -> float | None:
    """Kernel distance of two sets of features, x 1000; about 0 for two samples of one kind.

    FID's sister, whose mean does not depend on the number of images (KID, Binkowski et al. 2018,
    arXiv:1801.01401); of at most 2,000 images each. None for fewer than two.
    """
    dice = np.random.default_rng(seed)
    one, other = (x if len(x) <= _MOST else dice.permutation(x)[:_MOST] for x in (one, other))
    if min(len(one), len(other)) < 2:
        return None
    within = [_off_diagonal(_kernel(x, x)) for x in (one, other)]
    return float(1000 * (sum(within) - 2 * _kernel(one, other).mean()))


def share(answers: Sequence[str], label: str) -> float | None:
    """Fraction of the answers that are `label`; None without answers."""
    return sum(answer == label for answer in answers) / len(answers) if answers else None


def _kernel(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((one @ other.T / one.shape[1] + 1) ** 3)


def _off_diagonal(values: NDArray[np.float64]) -> float:
    size = len(values)
    return float((values.sum() - np.trace(values)) / (size * (size - 1)))
