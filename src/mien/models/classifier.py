"""What all of mien's networks share: features → (CBAM) → pooling → dense head."""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from mien.models.cbam import CBAM


class Mean(nn.Module):
    """(N, C, H, W) → (N, C): global average pooling."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


class Places(nn.Module):
    """(N, C, H, W) → (N, C): a weighted mean, with a weight per channel and place.

    In a framed face mouth and brows have their places, which a plain mean forgets; MobileFaceNets'
    global depthwise convolution (Chen et al. 2018, arXiv:1804.07573). Pictures of another size than
    that of `side` places stretch the weights. Begins as the plain mean, and decays to it.
    """

    def __init__(self, width: int, side: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, width, side, side))

    def forward(self, x: Tensor) -> Tensor:
        weight: Tensor = self.weight
        if x.shape[2:] != weight.shape[2:]:
            weight = interpolate(weight, size=x.shape[2:], mode="bilinear")
        return (x * (1 + weight)).mean((2, 3))


class Classifier(nn.Module):
    """(N, channels, S, S) → (N, classes) logits.

    `features` ends in `width` channels. With `frozen`, its weights and its BatchNorm statistics
    stay as they are, in training mode too. Pooling is the mean, or `Places` with that many a side.
    """

    def __init__(
        self,
        features: nn.Module,
        width: int,
        classes: int,
        *,
        hidden: int = 0,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        cbam: bool = False,
        frozen: bool = False,
        places: int = 0,
    ) -> None:
        super().__init__()
        self.features = features
        self.attention = CBAM(width) if cbam else nn.Identity()
        self.pool = Places(width, places) if places else Mean()
        self.head = _head(width, classes, hidden, dropout, input_dropout)
        self.frozen = frozen
        if frozen:
            features.requires_grad_(False)
            # Lightning keeps the modes it finds; without this the statistics would drift.
            features.eval()

    def train(self, mode: bool = True) -> "Classifier":
        super().train(mode)
        if self.frozen:
            self.features.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        x = self.attention(self.features(x))
        logits: Tensor = self.head(self.pool(x))
        return logits


def _head(
    width: int, classes: int, hidden: int, dropout: float, input_dropout: float
) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Dropout(input_dropout)] if input_dropout else []
    if hidden:
        layers += [nn.Linear(width, hidden), nn.ReLU()]
        width = hidden
    if dropout:
        layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers, nn.Linear(width, classes))
