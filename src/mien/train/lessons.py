"""What each epoch shows of every training image, and what is to be answered.

With teachers, an epoch repeats one of a few stored draws: "a good teacher is patient and
consistent" (Beyer et al. 2022, arXiv:2106.05237), it answers for the very picture that the student
sees. Teachers see it at the size of the data; a student of another size sees it enlarged first.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mien.recipes import Recipe
from mien.recipes.schema import Augment
from mien.train.augment import COLUMNS, Augmentation

DRAWS = 10
"""Stored draws of a training with teachers, and as many at most for its last, gentler epochs."""
_STORED_SEED = 1000

Teach = Callable[[Augmentation, Tensor], Tensor]
"""An augmentation and what is drawn of each image → what the teachers answer, (N, classes)."""


@dataclass
class Lessons:
    """Of `images` images, by a `recipe`; (N, classes) `targets`, None where labels will do."""

    recipe: Recipe
    images: int
    targets: Tensor | None = None
    teach: Teach | None = None
    _taught: dict[tuple[bool, int], Tensor] = field(default_factory=dict)

    def augmentation(self, epoch: int) -> Augmentation:
        """The changes that are drawn in `epoch`, counted from 0."""
        return Augmentation(self._ranges(epoch))

    def of(self, epoch: int) -> tuple[Tensor, Tensor | None]:
        """(N, len(COLUMNS)) changes, and the (N, classes) targets of an epoch."""
        generator = torch.Generator().manual_seed(self.recipe.seed * 100_003 + epoch)
        augmentation = self.augmentation(epoch)
        drawn = augmentation.draw(self.images, generator)
        if self.teach is None:
            return drawn, self.targets
        mirrored = drawn[:, COLUMNS.index("mirrored")].clone()
        gentle, number = not self._lasts(epoch), epoch % DRAWS
        stored = torch.Generator().manual_seed(_STORED_SEED + number)
        drawn = augmentation.draw(self.images, stored)
        drawn[:, COLUMNS.index("mirrored")] = 0
        if (gentle, number) not in self._taught:
            self._taught[gentle, number] = self.teach(augmentation, drawn)
        drawn[:, COLUMNS.index("mirrored")] = mirrored
        share, answers = self.recipe.training.distil.weight, self._taught[gentle, number]
        return drawn, answers if self.targets is None else self.targets.lerp(answers, share)

    def _lasts(self, epoch: int) -> bool:
        return self.recipe.augment.lasts(epoch, self.recipe.training.epochs)

    def _ranges(self, epoch: int) -> Augment:
        return self.recipe.augment if self._lasts(epoch) else self.recipe.augment.gentle()
