"""What a training learns from: images, targets, teachers."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from mien.data import Clips, Dataset, Split, class_weights, seen
from mien.data.gathered import IN_MEMORY
from mien.errors import DataError, RunError
from mien.files import home
from mien.framing import once
from mien.preprocess import Preprocess
from mien.provenance import Images, Source
from mien.recipes import Recipe
from mien.runs import RunData, RunFolder, data_of
from mien.train.augment import Augmentation
from mien.train.check import find_teachers
from mien.train.lessons import Lessons
from mien.train.targets import only_labels, soft_targets
from mien.train.teachers import Changed, Teacher, answers_of, open_teachers
from mien.train.together import first_alone


@dataclass(frozen=True)
class Inputs:
    """The opened data of a training, and its teachers."""

    name: str
    labels: tuple[str, ...]
    training: Split
    validation: Split
    teachers: tuple[Teacher, ...]
    source: Path

    @classmethod
    def open(cls, recipe: Recipe, source: Path, out: Path) -> "Inputs":
        """Those of `recipe`; the errors of the data set, DataError if it is smaller than a batch,
        RecipeError for teachers of other labels."""
        data = data_of(recipe, source)
        training, validation = _splits(data, recipe)
        teachers = open_teachers(find_teachers(recipe, out)[0], data.labels)
        return cls(data.name, data.labels, training, validation, tuple(teachers), source)

    def preprocess(self, recipe: Recipe) -> Preprocess:
        """The network's input, from images of this size."""
        return recipe.input.preprocess(self.training.images.shape[1])

    def lessons(self, recipe: Recipe) -> Lessons:
        """What a training by `recipe` shows, and its targets."""
        targets = soft_targets(self.training, recipe, len(self.labels))
        needed = (
            self.teachers or recipe.training.mix.mixup or not only_labels(self.training, targets)
        )
        return Lessons(
            recipe,
            len(self.training),
            torch.from_numpy(targets) if needed else None,
            self._teach if self.teachers else None,
        )

    def _teach(self, augmentation: Augmentation, drawn: torch.Tensor) -> torch.Tensor:
        """(N, classes) float32: what the teachers answer for images that are changed so."""
        changed = Changed(self.training, augmentation, drawn)
        with first_alone():  # it keeps what they answer
            answers = answers_of(self.teachers, changed, self.labels, home() / "teachers")
        return torch.from_numpy(answers).float()

    @property
    def framed(self) -> Split:
        """The validation images as a detector frames them; of very many, as many as fit in memory,
        evenly spread."""
        split = self.validation
        most = max(1, IN_MEMORY // split.images[0].size)
        if len(split) > most and not isinstance(split, Clips):
            split = split.take(np.linspace(0, len(split) - 1, most).astype(np.int64))
        return split.framed(once(len(split)))

    def class_weights(self, recipe: Recipe) -> torch.Tensor | None:
        """(classes,) float32 weights of the loss; None without."""
        if recipe.training.loss.class_weights == "none":
            return None
        split = self.training
        counts = split.counts(len(self.labels))
        if split.chances is not None:  # images of the classes in an epoch
            drawn = np.bincount(split.labels, split.chances, len(self.labels))
            counts = len(split) * drawn
        return torch.tensor(class_weights(counts), dtype=torch.float32)

    def facts(self) -> RunData:
        """What the run folder notes of them."""
        return RunData(
            name=self.name,
            labels=self.labels,
            side_px=int(self.training.images.shape[1]),
            train=_weighed(self.training),
            validation=_images(self.validation),
            teachers=tuple(Source(t.card.name, t.card.digest) for t in self.teachers),
            source=str(self.source.resolve()),
            rate=self.training.rate if isinstance(self.training, Clips) else None,
        )

    def check_same(self, run: RunFolder) -> None:
        """RunError if `run` was begun on other images or with other teachers; one that was cut off
        before it noted them may go on."""
        if not run.has_data:
            return
        begun, now = run.data, self.facts()
        if (begun.train, begun.validation) != (now.train, now.validation):
            raise RunError(f"{run.path} was begun on other images ({begun.name}); give those")
        if begun.teachers != now.teachers:
            raise RunError(f"{run.path} was begun with other teachers; put those back")


def _images(split: Split) -> Images:
    return Images(split.name, len(split), split.digest)


def _weighed(split: Split) -> Images:
    """The training images; the digest is of their weights, too, so that a run keeps to them."""
    images = _images(split)
    if split.weights is None:
        return images
    both = images.digest.encode() + split.weights.tobytes()
    return replace(images, digest=hashlib.sha256(both).hexdigest())


def _splits(data: Dataset, recipe: Recipe) -> tuple[Split, Split]:
    training, validation = (
        seen(split, recipe.model.frames)
        for split in data.for_training(recipe.data.train, recipe.data.validation, recipe.seed)
    )
    if (limit := recipe.data.limit) is not None:
        generator = torch.Generator().manual_seed(recipe.seed)
        training, validation = (
            s.take(torch.randperm(len(s), generator=generator)[:limit].numpy())
            for s in (training, validation)
        )
    if len(training) < recipe.training.batch:
        raise DataError(
            f"{data.name} has {len(training)} training images, fewer than one batch of "
            f"{recipe.training.batch}; add --set training.batch={max(1, len(training) // 4)}"
        )
    return training, validation
