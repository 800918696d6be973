"""What comes after the features of every network: pooling over places and a dense head."""

from torch import Tensor, nn


class Mean(nn.Module):
    """(N, C, H, W) → (N, C): global average pooling."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


class Classifier(nn.Module):
    """(N, channels, S, S) → (N, classes) logits: features, attention, mean over places, head.

    With `frozen`, weights and BatchNorm statistics of `features` stay as they are, in training mode
    too.
    """

    def __init__(
        self,
        features: nn.Module,
        head: nn.Module,
        *,
        attention: nn.Module | None = None,
        frozen: bool = False,
    ) -> None:
        super().__init__()
        self.features = features
        self.attention = attention or nn.Identity()
        self.pool = Mean()
        self.head = head
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


def dense(
    width: int, classes: int, dropout: float, *, hidden: int = 0, first: float = 0.0
) -> nn.Sequential:
    """(N, width) → (N, classes): dropout `first`, a layer of `hidden` units with ReLU, dropout, and
    the layer of the logits. What is 0 is left out."""
    layers: list[nn.Module] = [nn.Dropout(first)] if first else []
    if hidden:
        layers += [nn.Linear(width, hidden), nn.ReLU()]
        width = hidden
    if dropout:
        layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers, nn.Linear(width, classes))
