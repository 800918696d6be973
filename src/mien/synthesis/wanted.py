"""What is asked of a synthesis, and what can be wrong with it; said before torch is imported."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from mien.data import Asked, Dataset, Split, check_outside, open_dataset
from mien.errors import InputError, RunError
from mien.files import read_json
from mien.labels import label_index
from mien.preprocess import scale

SIDE_PX = 48
GENERATOR = "generator"
FACTS = "generator.json"
FACES = "faces"


@dataclass(frozen=True)
class Wanted:
    """How many faces of which classes, and how the generator is trained."""

    images: int | None = None
    """Of each class."""
    fill: float | None = None
    """As a multiple of the class's training images."""
    labels: tuple[str, ...] = ()
    """Empty: all."""
    epochs: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.images is None) == (self.fill is None):
            raise InputError("expected either --images or --fill: how many faces of each class")
        if (self.images or 0) < 0 or not 0 <= (self.fill or 0) < np.inf:
            raise InputError("expected --images or --fill above 0")
        if not (self.images or self.fill) or self.epochs < 1 or self.seed < 0:
            raise InputError("expected --images or --fill and --epochs above 0, --seed from 0 on")

    def number(self, present: int) -> int:
        """Faces of a class with so many training images."""
        return self.images if self.images is not None else max(1, round((self.fill or 0) * present))


@dataclass(frozen=True)
class Facts:
    """What a generator stands on."""

    labels: tuple[str, ...]
    images: int
    digest: str
    """Of the training images and their labels."""
    seed: int
    side_px: int = SIDE_PX
    batch: int = 64
    widths: tuple[int, ...] = (32, 64, 128)

    @classmethod
    def of(cls, labels: Sequence[str], split: Split, seed: int) -> "Facts":
        """Those of a generator that learns from `split`."""
        return cls(tuple(labels), len(split), split.digest, seed)

    def check(self, folder: Path) -> None:
        """RunError if the generator in `folder` stands on something else."""
        if not (folder / FACTS).is_file():
            return
        begun: dict[str, object] = read_json(folder / FACTS)
        now = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        if other := [name for name in now if begun.get(name) != now[name]]:
            raise RunError(
                f"{folder} was trained with other {', '.join(other)}; give what it was trained "
                "with, or choose another folder"
            )


@dataclass(frozen=True)
class Material:
    """What there is to learn from, at 48 px, and to compare with."""

    data: Dataset
    training: Split
    held_out: Split
    wanted: tuple[int, ...]
    """Numbers of the labels to draw."""
    facts: Facts

    @classmethod
    def open(
        cls, source: Path, out: Path, wanted: Wanted, format_: str | None = None
    ) -> "Material":
        """That of the data set `source`: its training split, and the one that validates.

        InputError for unknown labels, for labels without training images, and where `out` lies
        among the data, holds something else or has faces of further labels, RunError where its
        generator was trained on other images or with another seed; the errors of the data set.
        """
        check_outside(out, source, option="OUT")
        if out.exists() and not _is_ours(out):
            raise InputError(
                f"{out} is there and was not made by mien data synthesize; choose another OUT"
            )
        data = open_dataset(source, Asked(format_))
        training, held_out = map(_small, data.for_training("train", "auto", wanted.seed))
        counts = training.counts(len(data.labels))
        asked = wanted.labels or tuple(np.array(data.labels)[counts > 0].tolist())
        numbers = tuple(label_index(data.labels, name, where="--labels") for name in asked)
        if without := [data.labels[n] for n in numbers if counts[n] == 0]:
            raise InputError(f"{data.name} has no training image of {', '.join(without)}")
        _check_kept(out / FACES, {data.labels[number] for number in numbers})
        facts = Facts.of(data.labels, training, wanted.seed)
        facts.check(out / GENERATOR)
        return cls(data, training, held_out, tuple(dict.fromkeys(numbers)), facts)


def _is_ours(out: Path) -> bool:
    return out.is_dir() and (not any(out.iterdir()) or (out / GENERATOR / FACTS).is_file())


def _check_kept(faces: Path, asked: set[str]) -> None:
    """InputError if faces of other labels than those `asked` for lie there: all are replaced."""
    there = {face.parent.name for face in faces.glob("*/*")}
    if lost := sorted(there - asked):
        raise InputError(
            f"{faces} has faces of {', '.join(lost)}, which would be deleted; name them in "
            "--labels, too, or move that folder away (the generator stays)"
        )


def _small(split: Split) -> Split:
    return replace(split, images=np.stack([scale(image, SIDE_PX) for image in split.images]))
