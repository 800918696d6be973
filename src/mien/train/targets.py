"""What a training image is to be answered with: its label, or probabilities that know more."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy

from mien.data import Split
from mien.data.ferplus import join_votes
from mien.recipes import Recipe

Targets = NDArray[np.float32]


def soft_targets(split: Split, recipe: Recipe, classes: int) -> Targets:
    """(N, classes) targets of the images: labels, and FER+ votes where `data.votes` names them,
    times the split's weights: cross-entropy is as many times as large."""
    targets = one_hot(split.labels, classes)
    share = recipe.training.loss.votes
    if recipe.data.votes is not None and share:
        votes = join_votes(split, Path(recipe.data.votes))
        targets = (1 - share) * targets + share * translate(votes, split.labels, targets)
    if split.weights is not None:
        targets = targets * split.weights[:, None].astype(np.float32)
    return np.ascontiguousarray(targets, np.float32)


def only_labels(split: Split, targets: Targets) -> bool:
    """Whether the targets say no more than the labels."""
    return np.array_equal(targets, one_hot(split.labels, targets.shape[1]))


def one_hot(labels: NDArray[np.int64], classes: int) -> Targets:
    """(N, classes) float32 with a one at each label."""
    return np.eye(classes, dtype=np.float32)[labels]


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
