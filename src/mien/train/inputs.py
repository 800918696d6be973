"""What a training learns from: images, targets, teachers."""

from dataclasses import dataclass
from pathlib import Path

import torch

from mien.audit import read_exclude, without
from mien.data import Dataset, Split, class_weights, open_dataset
from mien.errors import DataError, RunError
from mien.files import home
from mien.preprocess import Preprocess
from mien.provenance import Images, Source
from mien.recipes import Recipe
from mien.runs import RunData, RunFolder
from mien.train.check import find_teachers
from mien.train.targets import Targets, distil, only_labels, soft_targets
from mien.train.teachers import Teacher, answers_of, open_teachers


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
        data = open_dataset(source)
        if recipe.data.exclude is not None:
            data = without(data, read_exclude(recipe.data.exclude))
        training, validation = _splits(data, recipe)
        teachers = open_teachers(find_teachers(recipe, out)[0], data.labels)
        return cls(data.name, data.labels, training, validation, tuple(teachers), source)

    def preprocess(self, recipe: Recipe) -> Preprocess:
        """The network's input, from images of this size."""
        return recipe.input.preprocess(self.training.images.shape[1])

    def targets(self, recipe: Recipe) -> Targets | None:
        """(N, classes) float32 of the training images; None where the labels will do."""
        targets = soft_targets(self.training, recipe, len(self.labels))
        if self.teachers:
            answers = answers_of(self.teachers, self.training, self.labels, home() / "teachers")
            targets = distil(targets, answers, recipe.training.distil.weight)
        needed = recipe.training.mix.mixup or not only_labels(self.training, targets)
        return targets if needed else None

    def class_weights(self, recipe: Recipe) -> torch.Tensor | None:
        """(classes,) float32 weights of the loss; None without."""
        if recipe.training.loss.class_weights == "none":
            return None
        counts = self.training.counts(len(self.labels))
        return torch.tensor(class_weights(counts), dtype=torch.float32)

    def facts(self) -> RunData:
        """What the run folder notes of them."""
        return RunData(
            name=self.name,
            labels=self.labels,
            side_px=int(self.training.images.shape[1]),
            train=_images(self.training),
            validation=_images(self.validation),
            teachers=tuple(Source(t.card.name, t.card.digest) for t in self.teachers),
            source=str(self.source.resolve()),
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


def _splits(data: Dataset, recipe: Recipe) -> tuple[Split, Split]:
    training, validation = data.for_training(recipe.data.train, recipe.data.validation, recipe.seed)
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
