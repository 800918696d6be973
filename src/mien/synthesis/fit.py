"""Training the generator: whole epochs, each drawn by its number, so that it may stop anywhere."""

import copy
import io
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.data import Split
from mien.errors import RunError
from mien.files import replacing, write_json
from mien.recipes.schema import Optimizer
from mien.synthesis.flow import as_values, loss_of, sample
from mien.synthesis.network import Velocity
from mien.synthesis.wanted import FACTS, Facts
from mien.train.optimizers import optimizer_of

_OPTIMIZER = Optimizer(name="muon", lr=2e-3, momentum=0.95)
"""The rate is constant and the average below does what its fall would do: a generator may always
have more epochs."""
_WEIGHTS = "generator.pt"
_AVERAGED = 0.999
_DRAWN_AT_ONCE = 16

Progress = Callable[[int], None]


def _unseen(_done: int) -> None:
    """Progress that is not shown."""


class Generator:
    """A network that draws faces, and its average over the steps, which does the drawing."""

    def __init__(self, facts: Facts, folder: Path) -> None:
        """The one in `folder`, or a new one; RunError if that stands on something else."""
        self.facts, self.folder = facts, folder
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(facts.seed)
        self.network = Velocity(len(facts.labels), facts.widths).to(self.device)
        self.average = copy.deepcopy(self.network).requires_grad_(requires_grad=False)
        self.optimizer = optimizer_of(self.network, _OPTIMIZER)
        self.losses: list[float] = []
        """Mean of each epoch."""
        self.steps = 0
        facts.check(folder)
        if (folder / _WEIGHTS).is_file():
            self._load()

    def fit(self, split: Split, epochs: int, progress: Progress = _unseen) -> None:
        """Train up to so many epochs on (N, S, S) images; `progress` is told the images done.

        RunError if it has had more.
        """
        if len(self.losses) > epochs:
            raise RunError(
                f"{self.folder} has had {len(self.losses)} epochs, more than {epochs}; ask for as "
                "many, or choose another folder"
            )
        write_json(self.folder / FACTS, asdict(self.facts))
        pictures, labels = torch.from_numpy(split.images), torch.from_numpy(split.labels)
        progress(len(self.losses) * len(split))
        while len(self.losses) < epochs:
            self.losses.append(self._epoch(pictures, labels, progress))
            self._save()

    def draw(
        self, label: int, number: int, guidance: float, steps: int, progress: Progress = _unseen
    ) -> NDArray[np.uint8]:
        """(number, S, S) uint8 faces of a class. The first are the same, whatever their number."""
        side = self.facts.side_px
        parts = [torch.empty(0, side, side, dtype=torch.uint8)]
        for start in range(0, number, _DRAWN_AT_ONCE):
            dice = torch.Generator().manual_seed(_seed(self.facts.seed, 1 + label, start))
            noise = torch.randn(_DRAWN_AT_ONCE, 1, side, side, generator=dice).to(self.device)
            wanted = torch.full((len(noise),), label, device=self.device)
            classes = len(self.facts.labels)
            parts.append(sample(self.average, noise, wanted, classes, guidance, steps).cpu())
            progress(min(_DRAWN_AT_ONCE, number - start))
        return torch.cat(parts)[:number].numpy()

    def _epoch(self, pictures: Tensor, labels: Tensor, progress: Progress) -> float:
        dice = torch.Generator().manual_seed(_seed(self.facts.seed, 0, len(self.losses)))
        drawn = torch.multinomial(chances(labels), len(labels), replacement=True, generator=dice)
        total = 0.0
        for rows in torch.split(drawn, self.facts.batch):
            mirrored = torch.rand(len(rows), generator=dice) < 0.5
            seen = pictures[rows]
            seen = torch.where(mirrored[:, None, None], seen.flip(2), seen)
            total += len(rows) * self._step(seen, labels[rows], dice)
            progress(len(rows))
        return total / len(drawn)

    def _step(self, pictures: Tensor, labels: Tensor, dice: torch.Generator) -> float:
        faces, known = as_values(pictures.to(self.device)), labels.to(self.device)
        loss = loss_of(self.network, faces, known, len(self.facts.labels), dice)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.steps += 1
        kept = min(_AVERAGED, self.steps / (self.steps + 10))
        with torch.no_grad():
            for mean, weight in zip(
                self.average.parameters(), self.network.parameters(), strict=True
            ):
                mean.lerp_(weight, 1 - kept)
        return float(loss.detach())

    @property
    def _parts(self) -> tuple[Any, ...]:
        return self.network, self.average, self.optimizer

    def _save(self) -> None:
        buffer = io.BytesIO()
        torch.save([*(p.state_dict() for p in self._parts), self.losses, self.steps], buffer)
        with replacing(self.folder / _WEIGHTS) as file:
            file.write(buffer.getbuffer())

    def _load(self) -> None:
        *states, self.losses, self.steps = torch.load(
            self.folder / _WEIGHTS, map_location=self.device, weights_only=True
        )
        for part, state in zip(self._parts, states, strict=True):
            part.load_state_dict(state)


def chances(labels: Tensor) -> Tensor:
    """(N,) how likely each image is drawn: a class as the root of its size (Mahajan et al. 2018,
    arXiv:1805.00932), so that rare ones are learned and not learned by heart."""
    counts = torch.bincount(labels).double()
    return 1 / counts[labels].sqrt()


def _seed(*numbers: int) -> int:
    """One that differs for other numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
