"""Layers and blocks that several networks are built of."""

from collections.abc import Callable, Sequence

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
    """Convolutional block attention (Woo et al., ECCV 2018, arXiv:1807.06521): of channels, then of
    places, the order that the paper found best."""

    def __init__(self, channels: int) -> None:
        super().__init__(ChannelAttention(channels), SpatialAttention())


class SelfAttention(nn.Module):
    """(N, C, H, W) → the same, plus what each place gathers from all (Vaswani et al. 2017,
    arXiv:1706.03762): a head is a weighted mean of 32 values of every place.

    The weights come from what two places show and from how they lie to each other, by rows and by
    columns (Srinivas et al. 2021, arXiv:2101.11605, section 3). Places further apart than `reach`
    count as that far, so that maps of any size will do. At first it adds nothing.
    """

    def __init__(self, channels: int, heads: int, *, reach: int = 12, each: int = 32) -> None:
        super().__init__()
        self.heads, self.reach = heads, reach
        self.norm = nn.BatchNorm2d(channels)
        self.inward = nn.Conv2d(channels, 3 * heads * each, 1, bias=False)
        self.rows = nn.Parameter(0.02 * torch.randn(2 * reach + 1, each))
        self.columns = nn.Parameter(0.02 * torch.randn(2 * reach + 1, each))
        self.outward = nn.Conv2d(heads * each, channels, 1)
        for weight in self.outward.parameters():
            nn.init.zeros_(weight)

    def weights(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, heads, HW, HW), where each place looks; and the (N, heads, HW, 32) values there."""
        each = self.rows.shape[1]
        parts = self.inward(self.norm(x)).reshape(x.shape[0], 3, self.heads, each, -1)
        query, key, value = parts.transpose(-1, -2).unbind(1)
        apart = self._apart(x.shape[2], x.shape[3]).to(query.dtype)
        query = query * each**-0.5
        logits = query @ key.transpose(-1, -2) + torch.einsum("nhid,ijd->nhij", query, apart)
        return logits.softmax(-1), value

    def map(self, x: Tensor) -> Tensor:
        """(N, 1, H, W) in 0-1: how much all places together look at each, as shares of the most."""
        seen = self.weights(x)[0].mean((1, 2)).reshape(x.shape[0], 1, *x.shape[2:])
        return seen / seen.amax((2, 3), keepdim=True)

    def forward(self, x: Tensor) -> Tensor:
        weights, value = self.weights(x)
        gathered = (weights @ value).transpose(-1, -2).reshape(x.shape[0], -1, *x.shape[2:])
        added: Tensor = self.outward(gathered)
        return x + added

    def _apart(self, height: int, width: int) -> Tensor:
        """(HW, HW, 32): of each place, how every other lies to it."""
        rows = self.rows[self._steps(height)][:, None, :, None]
        columns = self.columns[self._steps(width)][None, :, None, :]
        return (rows + columns).flatten(0, 1).flatten(1, 2)

    def _steps(self, side: int) -> Tensor:
        places = torch.arange(side, device=self.rows.device)
        return (places - places[:, None]).clamp(-self.reach, self.reach) + self.reach


class Block(nn.Module):
    """Two 3x3 convolutions, with a shortcut around them where `residual` (He et al. 2016).

    `gate` comes after the convolutions, before the shortcut is added.
    """

    def __init__(
        self,
        inside: int,
        outside: int,
        stride: int,
        *,
        residual: bool = True,
        gate: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inside, outside, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outside),
            nn.ReLU(),
            nn.Conv2d(outside, outside, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outside),
        )
        self.gate = gate or nn.Identity()
        self.shortcut = _shortcut(inside, outside, stride) if residual else None
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.gate(self.body(x))
        if self.shortcut is not None:
            out = out + self.shortcut(x)
        activated: Tensor = self.activation(out)
        return activated


def _shortcut(inside: int, outside: int, stride: int) -> nn.Module:
    if inside == outside and stride == 1:
        return nn.Identity()
    return nn.Sequential(
        nn.AvgPool2d(stride, ceil_mode=True) if stride > 1 else nn.Identity(),
        nn.Conv2d(inside, outside, 1, bias=False),
        nn.BatchNorm2d(outside),
    )


def stages(
    channels: int,
    widths: Sequence[int],
    blocks: Sequence[int],
    *,
    residual: bool = True,
    gate: Callable[[int], nn.Module] | None = None,
    end: Callable[[int], nn.Module] | None = None,
) -> nn.Sequential:
    """(N, channels, S, S) → (N, widths[-1], S/2^n, S/2^n): a stem that halves the picture, then
    `blocks[i]` blocks of `widths[i]` channels; the first of each stage but the first halves it.

    `gate` makes the gate of the last block of each stage, `end` a layer after the stage.
    """
    layers, inside = stem(channels, widths[0]), widths[0]
    for stage, (width, number) in enumerate(zip(widths, blocks, strict=True)):
        for block in range(number):
            last = gate(width) if gate and block == number - 1 else None
            stride = 2 if stage > 0 and block == 0 else 1
            layers.append(Block(inside, width, stride, residual=residual, gate=last))
            inside = width
        if end:
            layers.append(end(width))
    return nn.Sequential(*layers)


def stem(channels: int, width: int) -> list[nn.Module]:
    """A convolution at full size, then pooling that halves the picture.

    Pooling comes before the normalisation, which then has a quarter of the values to go through:
    the largest of four is the same before a rising function and after it.
    """
    return [
        nn.Conv2d(channels, width, 3, 1, 1, bias=False),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    ]


class AdoptedBatchNorm(nn.BatchNorm2d):
    """BatchNorm2d that can begin as weight · x + bias, to which dlib has folded its own.

    The first batch in training then sets the statistics, and the weights so that the answers stay
    what they are: fine-tuning begins where dlib ended.
    """

    # All of these are there: torch lacks them only where they are switched off.
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    @torch.no_grad()
    def adopt(self, weight: Tensor, bias: Tensor) -> None:
        """Become weight (C,) · x + bias (C,)."""
        self.weight.copy_(weight)
        self.bias.copy_(bias)
        self.running_var.fill_(1 - self.eps)
        self.num_batches_tracked.fill_(-1)  # in the state dict, so that a checkpoint knows, too

    def forward(self, x: Tensor) -> Tensor:
        if self.training and self.num_batches_tracked < 0:
            self._standardise(x.detach())
        return super().forward(x)

    @torch.no_grad()
    def _standardise(self, x: Tensor) -> None:
        variance, mean = torch.var_mean(x, (0, 2, 3), correction=0)
        self.bias.add_(self.weight * mean)
        self.weight.mul_((variance + self.eps).sqrt())
        self.running_mean.copy_(mean)
        self.running_var.copy_(variance)
        self.num_batches_tracked.zero_()
