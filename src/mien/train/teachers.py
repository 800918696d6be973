"""Trained models that a network learns from, and what they say of the training images."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from torch import Tensor

from mien.bundle import Bundle, Classifier, open_bundle
from mien.data import Split
from mien.errors import RecipeError, RunError
from mien.files import replacing, sha256
from mien.runs import RunFolder, find_run
from mien.train.augment import Augmentation
from mien.train.batches import planes

_BATCH = 128


class Trained:
    """The network of a run folder as a teacher, run by torch: on a graphics card if there is one.

    It says what a bundle of the run would, but for the temperature, which calibration brings.
    """

    def __init__(self, run: RunFolder) -> None:
        if not run.is_done:
            raise RunError(
                f"teacher {run.path} is not trained to its end; continue it with "
                "mien train --resume"
            )
        self.model = run.network()
        self.card = run.card(self.model, sha256(run.best_checkpoint))

    def probabilities(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        """(N, labels) float64, from (N, S, S) uint8: the mean of the images and their mirrors."""
        device = "cuda" if torch.cuda.is_available() else "cpu"
        inputs = torch.from_numpy(self.card.preprocess(images)).to(device)
        with torch.inference_mode():
            network = self.model.to(device)
            views = [network(view).softmax(1) for view in (inputs, inputs.flip(3))]
        return np.asarray(torch.stack(views).mean(0).double().cpu().numpy())


Teacher = Bundle | Trained


def open_teachers(places: Sequence[Path | str], labels: tuple[str, ...]) -> list[Teacher]:
    """The runs and bundles to learn from; RecipeError if one has other `labels` than the data."""
    teachers = [_open(place) for place in places]
    for teacher in teachers:
        if set(teacher.card.labels) != set(labels):
            raise RecipeError(
                f"teacher {teacher.card.name} reads {', '.join(teacher.card.labels)}; "
                f"the data has {', '.join(labels)}"
            )
    return teachers


def _open(place: Path | str) -> Teacher:
    run = find_run(place)
    return Trained(run) if run else open_bundle(place)


@dataclass(frozen=True)
class Changed:
    """Training images, changed as an augmentation and what it has drawn of each say."""

    split: Split
    augmentation: Augmentation
    drawn: Tensor

    @property
    def digest(self) -> str:
        """SHA-256 of the images and their changes."""
        told = self.augmentation.ranges.model_dump_json().encode() + self.drawn.numpy().tobytes()
        return hashlib.sha256(self.split.digest.encode() + told).hexdigest()

    def images(self, rows: slice) -> NDArray[np.uint8]:
        """(n, S, S) or (n, S, S, 3) uint8 of these rows."""
        images = torch.from_numpy(np.array(self.split.images[rows]))
        changed = self.augmentation(planes(images).float() / 255, self.drawn[rows])
        pixels = (changed * 255).round().to(torch.uint8).numpy()
        return np.asarray(pixels[:, 0] if images.ndim == 3 else pixels.transpose(0, 2, 3, 1))


def answers_of(
    teachers: Sequence[Teacher], changed: Changed, labels: tuple[str, ...], kept: Path
) -> NDArray[np.float64]:
    """(N, len(labels)) float64 in the order of `labels`: the mean of the teachers' probabilities
    for each changed image and its mirror image.

    Answers are stored in the folder `kept`, for other students and for a run that is resumed.
    """
    answers = np.zeros((len(changed.split), len(labels)))
    for teacher in teachers:
        card = teacher.card
        file = kept / f"{changed.digest[:16]}-{card.digest[:16]}-{card.temperature:g}.npy"
        if not file.exists():
            kept.mkdir(parents=True, exist_ok=True)
            with replacing(file) as out:
                np.save(out, _answers(teacher, changed).astype(np.float16))
        answers += np.load(file)[:, [card.labels.index(label) for label in labels]]
    return np.asarray(answers / answers.sum(1, keepdims=True))


def _answers(teacher: Teacher, changed: Changed) -> NDArray[np.float64]:
    """(N, labels of the teacher): its answers to all images."""
    network = teacher if isinstance(teacher, Trained) else Classifier(teacher, views="flip")
    starts = range(0, len(changed.split), _BATCH)
    words = f"asking {teacher.card.name}"
    shown = track(starts, words, console=Console(stderr=True), transient=True)
    rows = [network.probabilities(changed.images(slice(i, i + _BATCH))) for i in shown]
    if isinstance(teacher, Trained):
        teacher.model.cpu()  # a graphics card has its memory back
    return np.concatenate(rows)
