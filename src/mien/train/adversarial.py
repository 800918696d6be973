"""Training images changed on purpose, so that the network errs: they are found while it learns.

The attacks are those of `mien.evaluate.adversarial`, on pixels in 0-1 before standardisation. They
look at the network as it recognises (no dropout, BatchNorm's running statistics), so finding them
leaves no trace in it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import kl_div, log_softmax

from mien.recipes.schema import Adversarial

Loss = Callable[[Tensor], Tensor]
"""(N, 1 or 3, S, S) pixels in 0-1 → what the attack makes large."""


def attacked(images: Tensor, loss: Loss, wanted: Adversarial) -> Tensor:
    """(N, 1 or 3, S, S) in 0-1 from the same, none of them further away than epsilon.

    From a random start: one step of 1.25 epsilon (FGSM, Wong et al. 2020, arXiv:2001.03994), or
    `steps` of 2.5 epsilon / steps (PGD, Madry et al. 2018, arXiv:1706.06083).
    """
    epsilon = wanted.epsilon / 255
    steps, step = (1, 1.25) if wanted.name == "fgsm" else (wanted.steps, 2.5 / wanted.steps)
    low, high = (images - epsilon).clamp(0, 1), (images + epsilon).clamp(0, 1)
    found = low + (high - low) * torch.rand_like(images)
    for _ in range(steps):
        found.requires_grad_()
        (gradient,) = torch.autograd.grad(loss(found), found)
        found = (found.detach() + step * epsilon * gradient.sign()).clamp(low, high)
    return found


def difference(logits: Tensor, others: Tensor) -> Tensor:
    """Mean Kullback-Leibler divergence of answers from those of `others`, both (N, C): what TRADES
    keeps small (Zhang et al. 2019, arXiv:1901.08573)."""
    said, meant = log_softmax(logits, 1), log_softmax(others, 1)
    return kl_div(said, meant, reduction="batchmean", log_target=True)


@contextmanager
def as_recognising(model: nn.Module) -> Iterator[None]:
    """The network in evaluation mode, for a while."""
    model.eval()
    try:
        yield
    finally:
        model.train()
