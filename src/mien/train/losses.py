"""What is minimised."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax

from mien.recipes.schema import Loss


def loss_of(logits: Tensor, answers: Tensor, wanted: Loss, weights: Tensor | None = None) -> Tensor:
    """Mean loss of (N, C) `logits`, given (N,) labels or (N, C) probabilities as `answers`.

    Cross-entropy, as torch has it; with `focal`, each class' share of it times (1 - p)^focal, p
    being the network's probability of the class (Lin et al. 2017, arXiv:1708.02002).
    """
    smoothing = wanted.label_smoothing
    if not wanted.focal:
        return cross_entropy(logits, answers, weights, label_smoothing=smoothing)
    classes = logits.shape[1]
    total: Tensor | int = len(answers)
    if answers.ndim == 1:
        total = total if weights is None else weights[answers].sum()
        answers = torch.eye(classes, device=logits.device)[answers]  # one_hot reads the labels
    targets = (1 - smoothing) * answers + smoothing / classes
    said = log_softmax(logits, 1)
    easy = (1 - said.exp()).clamp_min(1e-6)  # a power below 1 has an endless slope at 0
    parts = targets * easy**wanted.focal * said
    return -(parts if weights is None else parts * weights).sum() / total
