"""Sharpness-aware minimisation: steps that end in flat places (Foret et al. 2021)."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from mien.train.memory import statistics_kept


def sharpness_aware(
    first: Callable[[], Any], second: Callable[[], Any], model: nn.Module, rho: float
) -> Callable[[], Any]:
    """A closure for any optimiser: the gradients it leaves are those at `rho` uphill from here
    (arXiv:2010.01412, eq. 2-3), the loss it returns is the one here.

    `first` and `second` compute loss and gradients of the same batch; two passes a step.
    """

    def closure() -> Any:
        devices = {p.device for p in model.parameters() if p.is_cuda}
        with torch.random.fork_rng(devices):  # the second pass drops the same units out
            loss = first()
        with uphill(model, rho), statistics_kept(model):
            second()
        return loss

    return closure


@contextlib.contextmanager
def uphill(model: nn.Module, rho: float) -> Iterator[None]:
    """The weights of `model` moved by a distance `rho` along their gradient, and back again."""
    moved = [p for p in model.parameters() if p.grad is not None]
    kept = [p.detach().clone() for p in moved]
    with torch.no_grad():
        norm = torch.stack([p.grad.norm() for p in moved if p.grad is not None]).norm()
        for p in moved:
            p.add_(p.grad * (rho / (norm + 1e-12)))
    try:
        yield
    finally:
        with torch.no_grad():
            for p, before in zip(moved, kept, strict=True):
                p.copy_(before)
