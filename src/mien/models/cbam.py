"""Convolutional block attention (Woo, Park, Lee, Kweon: CBAM, ECCV 2018, arXiv:1807.06521)."""

import torch
from torch import Tensor, nn


class ChannelAttention(nn.Module):
    """(N, C, H, W) → the same, each channel scaled by sigmoid(MLP(average) + MLP(maximum))."""

    def __init__(self, channels: int, reduction: int = 8) -> None:
        super().__init__()
        hidden = max(4, channels // reduction)
        self.mlp = nn.Sequential(
            nn.Conv2d(channels, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        average = self.mlp(x.mean((2, 3), keepdim=True))
        maximum = self.mlp(x.amax((2, 3), keepdim=True))
        return x * torch.sigmoid(average + maximum)


class SpatialAttention(nn.Module):
    """(N, C, H, W) → the same, each place scaled by sigmoid(conv7x7(channel mean and maximum))."""

    def __init__(self, kernel: int = 7) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(1)

    def map(self, x: Tensor) -> Tensor:
        """(N, 1, H, W) in 0-1: where the block looks."""
        pooled = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
        return torch.sigmoid(self.norm(self.conv(pooled)))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.map(x)


class CBAM(nn.Sequential):
    """Channel attention, then spatial attention: the order the paper found best."""

    def __init__(self, channels: int) -> None:
        super().__init__(ChannelAttention(channels), SpatialAttention())
