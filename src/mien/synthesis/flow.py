"""Rectified flow: straight ways from noise to faces (Liu et al. 2023, arXiv:2209.03003; Lipman et
al. 2023, arXiv:2210.02747)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mien.train.precision import in_bf16

DROPPED = 0.1
"""Share of the labels that the network does not see: it learns the faces of any class, too (Ho &
Salimans 2022, arXiv:2207.12598)."""


def as_values(pictures: Tensor) -> Tensor:
    """(N, S, S) uint8 → (N, 1, S, S) float32 of about unit variance."""
    return (pictures[:, None].float() - 128) / 64


def as_pictures(values: Tensor) -> Tensor:
    """The way back: (N, S, S) uint8."""
    return (64 * values.float() + 128).round().clamp(0, 255).byte()[:, 0]


def loss_of(
    network: nn.Module, faces: Tensor, labels: Tensor, classes: int, dice: torch.Generator
) -> Tensor:
    """Mean squared error of the velocities at a random place on the way of each of the `faces`.

    Most places are in the middle, where it is hardest (Esser et al. 2024, arXiv:2403.03206).
    """
    noise = torch.randn(faces.shape, generator=dice).to(faces.device)
    time = torch.randn(len(faces), generator=dice).sigmoid().to(faces.device)
    hidden = torch.rand(len(faces), generator=dice).to(faces.device) < DROPPED
    along = time[:, None, None, None]
    with autocast(faces):
        velocity = network(
            (1 - along) * noise + along * faces, time, labels.masked_fill(hidden, classes)
        )
    return F.mse_loss(velocity.float(), faces - noise)


@torch.inference_mode()
def sample(
    network: nn.Module, noise: Tensor, labels: Tensor, classes: int, guidance: float, steps: int
) -> Tensor:
    """(N, S, S) uint8: where the flow carries (N, 1, S, S) `noise`, in `steps` equal steps.

    `guidance` above 1 goes further from the faces of any class than the label alone says.
    """
    x, free = noise, torch.full_like(labels, classes)
    for step in range(steps):
        time = noise.new_full((2 * len(noise),), step / steps)
        with autocast(noise):
            both = network(torch.cat([x, x]), time, torch.cat([labels, free])).float()
        own, any_class = both.chunk(2)
        x = x + (any_class + guidance * (own - any_class)) / steps
    return as_pictures(x)


def autocast(values: Tensor) -> torch.autocast:
    """In bfloat16 where `precision: auto` trains in it."""
    return torch.autocast(values.device.type, torch.bfloat16, enabled=in_bf16("auto"))
