"""Synthesis as a story: train the generator, draw faces, leave out copies, judge, write."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.data import Split
from mien.files import replacing, replacing_folder, write_json
from mien.report.figures import picture_sheets, png
from mien.synthesis.fit import Generator
from mien.synthesis.judge import JUDGE, QUANTILE, Novelty, distance, looks, novelty, share
from mien.synthesis.wanted import FACES, GENERATOR, Material, Wanted
from mien.train.memory import keep_freed

GUIDANCE = 4.0
"""How much further than the label says (`mien.synthesis.flow.sample`); docs/decisions.md."""
STEPS = 25
_SHOWN = 64

Bar = Callable[[int, str], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True)
class Class:
    """What came of a class. Distances and shares are by `JUDGE`, against the training images;
    `held_out` ones are what real images reach, None where there are too few."""

    training: int
    drawn: int
    too_near: int
    """Faces that are left out, as they repeat a training image."""
    score: float
    """Median similarity to the nearest training image, 0-1."""
    largest_score: float
    held_out: int
    distance: float | None
    held_out_distance: float | None
    recognised: float | None
    """Share that is read as this class."""
    held_out_recognised: float | None


@dataclass(frozen=True)
class Synthesis:
    """What synthesis.json says."""

    epochs: int
    losses: tuple[float, ...]
    guidance: float
    steps: int
    judge: str
    held_out: int
    """Held-out images that are no copies: they set the limit."""
    held_out_copies: int
    quantile: float
    limit: float
    """Faces as similar as that to a training image are too near."""
    classes: dict[str, Class]

    @property
    def written(self) -> int:
        """Faces in OUT/faces."""
        return sum(each.drawn - each.too_near for each in self.classes.values())


def synthesize(material: Material, wanted: Wanted, out: Path, bar: Bar) -> Synthesis:
    """Faces in `out`/faces, a folder per class; the generator goes on where it was stopped.

    Beside them contact.png, neighbours.png and synthesis.json. RunError if the generator in `out`
    was trained for longer.
    """
    keep_freed()
    split = material.training
    generator = Generator(material.facts, out / GENERATOR)
    with bar(wanted.epochs * len(split), "images learned") as advance:
        generator.fit(split, wanted.epochs, advance)
    counts = split.counts(len(material.data.labels))
    numbers = {label: wanted.number(int(counts[label])) for label in material.wanted}
    with bar(sum(numbers.values()), "faces drawn") as advance:
        drawn = {
            label: generator.draw(label, number, GUIDANCE, STEPS, advance)
            for label, number in numbers.items()
        }
    faces = Split(
        "drawn",
        np.concatenate([*drawn.values()]),
        np.repeat(list(numbers), list(numbers.values())).astype(np.int64),
        np.arange(sum(numbers.values())).astype(np.str_),
    )
    new = novelty(faces.images, split.images, material.held_out.images)
    found = _judged(material, generator, faces, new)
    _write(out, material, faces, new)
    write_json(out / "synthesis.json", asdict(found))
    return found


def _judged(material: Material, generator: Generator, faces: Split, new: Novelty) -> Synthesis:
    return Synthesis(
        epochs=len(generator.losses),
        losses=tuple(generator.losses),
        guidance=GUIDANCE,
        steps=STEPS,
        judge=JUDGE,
        held_out=new.held_out,
        held_out_copies=new.held_out_copies,
        quantile=QUANTILE,
        limit=new.limit,
        classes={
            material.data.labels[label]: _class(material, label, faces, new)
            for label in material.wanted
        },
    )


def _class(material: Material, label: int, faces: Split, new: Novelty) -> Class:
    own = faces.labels == label
    kept = own & ~new.too_near
    name = material.data.labels[label]
    training, held_out = (
        looks(split.images[split.labels == label])
        for split in (material.training, material.held_out)
    )
    drawn = looks(faces.images[kept])
    return Class(
        training=len(training.answers),
        drawn=int(own.sum()),
        too_near=int((own & new.too_near).sum()),
        score=float(np.median(new.nearest.score[own])),
        largest_score=float(new.nearest.score[own].max()),
        held_out=len(held_out.answers),
        distance=distance(drawn.features, training.features),
        held_out_distance=distance(held_out.features, training.features),
        recognised=share(drawn.answers, name),
        held_out_recognised=share(held_out.answers, name),
    )


def _write(out: Path, material: Material, faces: Split, new: Novelty) -> None:
    """The faces that are new, and the two sheets."""
    kept = np.flatnonzero(~new.too_near)
    nearest = np.argsort(-new.nearest.score, kind="stable")
    contact, neighbours = {}, {}
    with replacing_folder(out / FACES) as folder:
        for label in material.wanted:
            name = material.data.labels[label]
            rows = kept[faces.labels[kept] == label]
            (folder / name).mkdir()
            for number, row in enumerate(rows):
                content = cv2.imencode(".png", faces.images[row])[1]
                (folder / name / f"{number:05}.png").write_bytes(content.tobytes())
            contact[name] = faces.images[rows[:_SHOWN]]
            closest = nearest[faces.labels[nearest] == label][: _SHOWN // 2]
            neighbours[f"{name}: drawn, nearest training image"] = _pairs(
                material, faces, new, closest
            )
    for file, sheets, columns in (("contact", contact, 16), ("neighbours", neighbours, 8)):
        with replacing(out / f"{file}.png") as target:
            target.write(png(picture_sheets(sheets, columns)))


def _pairs(
    material: Material, faces: Split, new: Novelty, rows: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """(N, 48, 96): faces, each beside the training image that is nearest."""
    there = material.training.images[new.nearest.row[rows]]
    turned = np.where(new.nearest.mirrored[rows, None, None], there[:, :, ::-1], there)
    return np.concatenate([faces.images[rows], turned], 2)
