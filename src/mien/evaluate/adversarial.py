"""Accuracy under attack by those who have the network: FGSM and PGD on its torch weights.

Both change every pixel by at most epsilon (L-infinity). They are written out here, a dozen lines,
since they must see pixels before the network's own standardisation, in the range 0-1.
"""

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError
from mien.evaluate.evaluation import Evaluation, note
from mien.evaluate.robustness import Score, stratified, tally
from mien.extras import need
from mien.files import write_json
from mien.preprocess import Preprocess
from mien.values import as_json, from_json

if TYPE_CHECKING:
    from torch import Tensor

    Network = Callable[[Tensor], Tensor]

ADVERSARIAL = "adversarial.json"
EPSILONS = (1, 2, 4, 8)
"""Largest change of a pixel, in 255ths of the intensity range."""
_WHO = ("name", "data", "split", "digest", "network")
_BATCH = 64


@dataclass(frozen=True, slots=True)
class Attack:
    """`steps` times up the sign of the loss's gradient, each a `step` of epsilon, kept within
    epsilon and 0-1; from a random place within epsilon with `random_start`."""

    name: str
    steps: int
    step: float
    random_start: bool

    def __call__(
        self, network: "Network", images: "Tensor", labels: "Tensor", epsilon: float, seed: int = 0
    ) -> "Tensor":
        """(N, 1, S, S) float32 in 0-1 from the same; `network` takes such and gives logits."""
        torch = need("torch", extra="train")
        low, high = (images - epsilon).clamp(0, 1), (images + epsilon).clamp(0, 1)
        found = images
        if self.random_start:
            draw = torch.rand(images.shape, generator=torch.Generator().manual_seed(seed))
            found = low + (high - low) * draw
        for _ in range(self.steps):
            found = found.detach().requires_grad_()
            loss = torch.nn.functional.cross_entropy(network(found), labels, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, found)
            found = found.detach() + self.step * epsilon * gradient.sign()
            found = torch.clamp(found, low, high)
        return found.detach()


ATTACKS = (
    Attack("FGSM", 1, 1.0, random_start=False),
    Attack("PGD-10", 10, 2.5 / 10, random_start=True),
    Attack("PGD-20", 20, 2.5 / 20, random_start=True),
)
"""Goodfellow et al. 2015 (arXiv:1412.6572); Madry et al. 2018 (arXiv:1706.06083), its step size of
2.5 epsilon / steps, one start."""


@dataclass(frozen=True)
class Adversarial:
    """One network on `images` images of a split, as they are and under attack."""

    name: str
    data: str
    split: str
    digest: str
    network: str
    images: int
    clean: Score
    """Of one plain view by torch."""
    scores: dict[str, tuple[Score, ...]]
    """Of each attack, by epsilon: right before and under attack."""


def score_attacks(
    evaluation: Evaluation,
    model: Any,
    preprocess: Preprocess,
    images: NDArray[np.uint8],
    *,
    limit: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Adversarial:
    """Attack torch's `model`, of the network evaluated, on `images` (N, S, S), those evaluated.

    An attack changes what `preprocess.resize` gives, not rounded to 256 levels. What is answered
    wrongly without attack stays wrong and is not attacked. `limit` and `progress` are as in
    `score_corruptions`, an image being done once per attack and epsilon.
    """
    rows = stratified(evaluation.truth, limit)
    faces, labels = preprocess.resize(np.asarray(images[rows])), evaluation.truth[rows]

    def network(found: "Tensor") -> "Tensor":
        return model(preprocess.normalise(found))  # type: ignore[no-any-return]

    attacked = _answers(network, faces, labels, progress)
    return Adversarial(
        **{name: getattr(evaluation, name) for name in _WHO},
        images=len(rows),
        clean=tally(attacked[0, 0]),
        scores={
            attack.name: tuple(map(tally, right))
            for attack, right in zip(ATTACKS, attacked[1:], strict=True)
        },
    )


def save_adversarial(found: Adversarial, folder: Path) -> None:
    """Write adversarial.json, and its figures into metrics.json."""
    scores = {
        "epsilons": [f"{epsilon}/255" for epsilon in EPSILONS],
        "clean": as_json(found.clean),
        "attacks": as_json(found.scores),
    }
    write_json(
        folder / ADVERSARIAL,
        {name: getattr(found, name) for name in (*_WHO, "images")} | scores,
    )
    note(folder, "adversarial", {"images": found.images} | scores)


def adversarial_of(evaluation: Evaluation, folder: Path) -> Adversarial | None:
    """What is saved in `folder`, if it is of this very network and these images."""
    path = folder / ADVERSARIAL
    if not path.is_file():
        return None
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        found = Adversarial(
            **{name: raw[name] for name in (*_WHO, "images")},
            clean=from_json(Score, raw["clean"]),
            scores=from_json(dict[str, tuple[Score, ...]], raw["attacks"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is not whole ({error!r}); evaluate again") from error
    fits = (found.network, found.digest) == (evaluation.network, evaluation.digest)
    return found if fits else None


def _answers(
    network: "Network",
    faces: NDArray[np.uint8],
    labels: NDArray[np.int64],
    progress: Callable[[int], None] | None,
) -> NDArray[np.bool_]:
    """(1 + attacks, epsilons, N) which answers are right; the first without attack."""
    torch = need("torch", extra="train")
    right = np.zeros((1 + len(ATTACKS), len(EPSILONS), len(faces)), bool)
    for start in range(0, len(faces), _BATCH):
        here = slice(start, start + _BATCH)
        images = torch.from_numpy(faces[here, None]).float() / 255
        truth = torch.from_numpy(labels[here])
        kept = _right(network, images, truth)
        right[0, :, here] = kept
        for (number, attack), (place, level) in itertools.product(
            enumerate(ATTACKS, 1), enumerate(EPSILONS)
        ):
            if kept.any():
                attacked = attack(network, images[kept], truth[kept], level / 255, seed=start)
                right[number, place, here][kept] = _right(network, attacked, truth[kept])
            if progress:
                progress(len(images))
    return right


def _right(network: "Network", images: "Tensor", labels: "Tensor") -> NDArray[np.bool_]:
    with need("torch", extra="train").no_grad():
        return np.asarray((network(images).argmax(1) == labels).numpy())
