"""The generator's network: a small U-Net (Ronneberger et al. 2015) that knows time and class."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_PATCH = 2
"""The network works on 2x2 pixels as four channels: a quarter of the time, every pixel kept."""
_GROUP = 8
"""Channels that are normalised together."""


class Velocity(nn.Module):
    """(N, 1, S, S) pictures, (N,) times in 0-1 and (N,) labels → (N, 1, S, S): where they move.

    The label `classes` stands for any. S is a multiple of 2 ** (number of `widths`), which are
    multiples of 8. Each level has one residual block on the way down and one on the way up; between
    them are another and self-attention.
    """

    def __init__(self, classes: int, widths: Sequence[int]) -> None:
        super().__init__()
        known = 4 * widths[0]
        self.waves = known // 4
        self.time = nn.Sequential(nn.Linear(2 * self.waves, known), nn.SiLU())
        self.label = nn.Embedding(classes + 1, known)
        self.inward = nn.Conv2d(_PATCH**2, widths[0], 3, padding=1)
        before = (widths[0], *widths[:-1])
        self.down = nn.ModuleList(map(Block, before, widths, [known] * len(widths)))
        self.middle = nn.ModuleList([Block(widths[-1], widths[-1], known), Attention(widths[-1])])
        self.up = nn.ModuleList(
            Block(2 * width, out, known)
            for width, out in zip(reversed(widths), reversed(before), strict=True)
        )
        self.outward = nn.Sequential(
            _norm(widths[0]), nn.SiLU(), _silent(nn.Conv2d(widths[0], _PATCH**2, 3, padding=1))
        )

    def forward(self, x: Tensor, time: Tensor, label: Tensor) -> Tensor:
        known = self.time(_waves(time, self.waves)) + self.label(label)
        x = self.inward(F.pixel_unshuffle(x, _PATCH))
        seen = []
        for level, block in enumerate(self.down):
            x = block(F.avg_pool2d(x, 2) if level else x, known)
            seen.append(x)
        block, attention = self.middle
        x = attention(block(x, known))
        for level, block in reversed([*enumerate(reversed(self.up))]):
            x = block(torch.cat([x, seen[level]], 1), known)
            x = F.interpolate(x, scale_factor=2.0) if level else x
        return F.pixel_shuffle(self.outward(x), _PATCH)


class Block(nn.Module):
    """Two convolutions around the shortcut; what is `known` scales and shifts between them (FiLM,
    Perez et al. 2018)."""

    def __init__(self, inward: int, width: int, known: int) -> None:
        super().__init__()
        self.first = nn.Sequential(_norm(inward), nn.SiLU(), nn.Conv2d(inward, width, 3, padding=1))
        self.known = nn.Sequential(nn.SiLU(), nn.Linear(known, 2 * width))
        self.norm = _norm(width)
        self.second = _silent(nn.Conv2d(width, width, 3, padding=1))
        self.shortcut = nn.Conv2d(inward, width, 1) if inward != width else nn.Identity()

    def forward(self, x: Tensor, known: Tensor) -> Tensor:
        scale, shift = self.known(known)[..., None, None].chunk(2, 1)
        inner = self.norm(self.first(x)) * (1 + scale) + shift
        added: Tensor = self.second(F.silu(inner)) + self.shortcut(x)
        return added


class Attention(nn.Module):
    """(N, C, H, W) → the same, plus what each place gathers from all (Vaswani et al. 2017)."""

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm = _norm(width)
        self.inward = nn.Conv2d(width, 3 * width, 1)
        self.outward = _silent(nn.Conv2d(width, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        asked, offered, values = (
            part.unflatten(1, (self.heads, -1)).flatten(3).transpose(2, 3)
            for part in self.inward(self.norm(x)).chunk(3, 1)
        )
        found = F.scaled_dot_product_attention(asked, offered, values)
        added: Tensor = self.outward(found.transpose(2, 3).reshape(x.shape))
        return x + added


def _waves(time: Tensor, number: int) -> Tensor:
    """(N, 2 x number): sines and cosines of `time`, of 1 to 1000 radians."""
    rates = torch.exp(torch.linspace(0, math.log(1000), number, device=time.device))
    angles = time[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], 1)


def _norm(width: int) -> nn.GroupNorm:
    return nn.GroupNorm(width // _GROUP, width)


def _silent(conv: nn.Conv2d) -> nn.Conv2d:
    """A convolution that adds nothing at first."""
    nn.init.zeros_(conv.weight)
    return conv
