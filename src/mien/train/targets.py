"""What a training image is to be answered with: its label, or probabilities that know more."""

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from torch.nn.functional import cross_entropy

from mien.bundle import Bundle, Classifier, is_shipped, open_bundle, temper
from mien.data import Split
from mien.data.ferplus import join_votes
from mien.errors import RecipeError, RunError
from mien.files import replacing, sha256
from mien.recipe import Recipe
from mien.trained import load_run

Targets = NDArray[np.float32]

_BATCH = 128


def soften(split: Split, recipe: Recipe, classes: int) -> tuple[Split, Targets]:
    """The training images of `recipe`, and their (N, classes) targets.

    Raises RecipeError where the recipe asks for votes and names none.
    """
    if recipe.data.duplicates != "keep":
        split, targets = without_copies(split, classes, merge=recipe.data.duplicates == "merge")
    else:
        targets = one_hot(split.labels, classes)
    if share := recipe.training.loss.votes:
        if recipe.data.votes is None:
            raise RecipeError(
                "training.loss.votes needs FER+'s votes; add --set data.votes=FILE, "
                "or --set training.loss.votes=0"
            )
        votes = join_votes(split, Path(recipe.data.votes))
        targets = (1 - share) * targets + share * translate(votes, split.labels, targets)
    return split, np.ascontiguousarray(targets, np.float32)


def only_labels(split: Split, targets: Targets) -> bool:
    """Whether the targets say no more than the labels."""
    return np.array_equal(targets, one_hot(split.labels, targets.shape[1]))


class Trained:
    """The network of a run folder as a teacher, asked by torch: on a graphics card if there is one.

    It says what a bundle of the run would, but for its temperature, which an evaluation brings.
    """

    def __init__(self, run: Path) -> None:
        if not (run / "done.json").exists():
            raise RunError(
                f"teacher {run} is not trained to its end; continue it with mien train --resume"
            )
        self.model, facts = load_run(run)
        self.card = facts.card(self.model, sha256(run / "checkpoints" / "best.ckpt"))

    def probabilities(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        """(N, labels) float64, from (N, S, S) uint8: the mean of the images and their mirrors."""
        device = "cuda" if torch.cuda.is_available() else "cpu"
        inputs = torch.from_numpy(self.card.preprocess(images)).to(device)
        with torch.inference_mode():
            network = self.model.to(device)
            views = [network(view).softmax(1) for view in (inputs, inputs.flip(3))]
        return np.asarray(torch.stack(views).mean(0).double().cpu().numpy())


Teacher = Bundle | Trained


def open_teachers(names: Sequence[str], labels: tuple[str, ...]) -> list[Teacher]:
    """Bundles and runs to learn from; RecipeError if one reads other `labels` than the data's."""
    teachers = [Trained(Path(name)) if _is_run(name) else open_bundle(name) for name in names]
    for name, teacher in zip(names, teachers, strict=True):
        if set(teacher.card.labels) != set(labels):
            raise RecipeError(
                f"teacher {name} reads {', '.join(teacher.card.labels)}, the data has "
                f"{', '.join(labels)}; set training.distil.teachers to bundles of the data's labels"
            )
    return teachers


def _is_run(name: str) -> bool:
    return not is_shipped(name) and (Path(name) / "recipe.yaml").is_file()


def distil(
    targets: Targets, answers: NDArray[np.float64], weight: float, temperature: float
) -> Targets:
    """(N, classes) `targets`, with a share `weight` of the teachers' (N, classes) `answers`.

    Hinton et al. (2015, arXiv:1503.02531) soften the student's logits too; here it learns the
    softened probabilities as they are.
    """
    said = temper(answers, temperature)
    return ((1 - weight) * targets + weight * said).astype(np.float32)


def ask(
    teachers: Sequence[Teacher], split: Split, labels: tuple[str, ...], kept: Path
) -> NDArray[np.float64]:
    """(N, len(labels)) float64 in the order of `labels`: the mean of what the teachers say of each
    image and of its mirror image. A teacher that left out a fold is asked about that fold alone, so
    it can't answer with what it has learnt by heart; RecipeError if nobody answers for an image.

    They see the picture as it is, the student an augmented one. Each teacher is asked once: its
    answers to these images stay in the folder `kept`, for other seeds and other students.
    """
    answers, asked = np.zeros((len(split), len(labels))), np.zeros((len(split), 1))
    for teacher in teachers:
        card = teacher.card
        rows = _asked_about(teacher, split)
        part = split.take(rows) if len(rows) < len(split) else split
        told = f"{part.digest[:16]}-{card.digest[:16]}-{card.temperature:g}.npy"
        if not (kept / told).exists():
            kept.mkdir(parents=True, exist_ok=True)
            with replacing(kept / told) as file:
                np.save(file, _asked(teacher, part))
        order = [card.labels.index(label) for label in labels]
        answers[rows] += np.load(kept / told)[:, order]
        asked[rows] += 1
    if not asked.all():
        raise RecipeError(
            f"{int((asked == 0).sum())} of the images were seen by every teacher, so nobody "
            "answers for them; set training.distil.teachers to a run of every fold"
        )
    return answers / asked


def _asked_about(teacher: Teacher, split: Split) -> NDArray[np.int64]:
    """Rows of the images that the teacher is asked about."""
    if (fold := teacher.card.training.get("fold")) is None:
        return np.arange(len(split))
    left_out, number = fold
    return np.flatnonzero(folds(split, number) == left_out)


def folds(split: Split, number: int) -> NDArray[np.int64]:
    """(N,) the part, from 0, of `number` that each image is in; images of the same pixels are in
    the same."""
    return np.array([zlib.crc32(image.tobytes()) % number for image in split.images])


def _asked(teacher: Teacher, split: Split) -> NDArray[np.float64]:
    """(N, labels of the teacher): its answers to all images, mirror images averaged in."""
    network = teacher if isinstance(teacher, Trained) else Classifier(teacher, views="flip")
    starts = range(0, len(split), _BATCH)
    words = f"asking {teacher.card.name}"
    shown = track(starts, words, console=Console(stderr=True), transient=True)
    return np.concatenate([network.probabilities(split.images[i : i + _BATCH]) for i in shown])


def one_hot(labels: NDArray[np.int64], classes: int) -> Targets:
    """(N, classes) float32 with a one at each label."""
    return np.eye(classes, dtype=np.float32)[labels]


def without_copies(split: Split, classes: int, *, merge: bool) -> tuple[Split, Targets]:
    """One of each group of images with the same pixels, and the (N, classes) targets.

    A group whose labels differ is left out; with `merge` it is kept, its target their mean.
    """
    flat = np.ascontiguousarray(split.images).reshape(len(split), -1)
    rows = flat.view(np.dtype((np.void, flat.shape[1]))).ravel()
    _, first, group = np.unique(rows, return_index=True, return_inverse=True)
    totals = np.zeros((len(first), classes), np.float32)
    np.add.at(totals, group, one_hot(split.labels, classes))
    means = totals / totals.sum(1, keepdims=True)
    kept = np.flatnonzero(merge | (means.max(1) == 1))
    kept = kept[np.argsort(first[kept])]
    return split.take(first[kept]), means[kept]


def translate(votes: NDArray[np.int16], labels: NDArray[np.int64], targets: Targets) -> Targets:
    """(N, classes) float32: what the votes (N, 10) on each image say of its label.

    FER+'s voters and FER-2013's labels differ in a way of their own: of the images labelled fear,
    few got most votes for it. So the votes are not taken for labels, but for what a multinomial
    logistic regression, fitted on these images, reads from them. Images that FER+ dropped keep
    their `targets`.
    """
    voted = (votes >= 0).all(1) & (votes.sum(1) > 0)
    shares = torch.from_numpy(votes[voted] / votes[voted].sum(1, keepdims=True)).float()
    answers = torch.from_numpy(labels[voted])
    weight = torch.zeros(votes.shape[1], targets.shape[1], requires_grad=True)
    bias = torch.zeros(targets.shape[1], requires_grad=True)
    solver = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        solver.zero_grad()
        value = cross_entropy(shares @ weight + bias, answers)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    solver.step(loss)  # type: ignore[no-untyped-call]
    out = targets.copy()
    with torch.no_grad():
        out[voted] = torch.softmax(shares @ weight + bias, 1).numpy()
    return out
