"""What a training image is to be answered with: its label, or probabilities that know more."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy

from mien.data import Split
from mien.data.ferplus import join_votes
from mien.errors import RecipeError
from mien.recipe import Recipe

Targets = NDArray[np.float32]


def soften(split: Split, recipe: Recipe, classes: int) -> tuple[Split, Targets | None]:
    """The training images of `recipe`, and their (N, classes) targets; None where the labels are.

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
    hard = np.array_equal(targets, one_hot(split.labels, classes))
    return split, None if hard else np.ascontiguousarray(targets, np.float32)


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
    regression = torch.nn.Linear(votes.shape[1], targets.shape[1])
    torch.nn.init.zeros_(regression.weight)
    torch.nn.init.zeros_(regression.bias)
    solver = torch.optim.LBFGS(
        regression.parameters(), max_iter=200, line_search_fn="strong_wolfe"
    )

    def loss() -> torch.Tensor:
        solver.zero_grad()
        value = cross_entropy(regression(shares), answers)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    solver.step(loss)
    out = targets.copy()
    with torch.no_grad():
        out[voted] = torch.softmax(regression(shares), 1).numpy()
    return out
