"""What all of mien's networks share: features → (CBAM) → global average pooling → dense head."""

from torch import Tensor, nn

from mien.models.cbam import CBAM


class Classifier(nn.Module):
    """(N, channels, S, S) → (N, classes) logits.

    `features` ends in `width` channels. With `frozen`, its weights and its BatchNorm statistics
    stay as they are, in training mode too.
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
    ) -> None:
        super().__init__()
        self.features = features
        self.attention = CBAM(width) if cbam else nn.Identity()
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
        logits: Tensor = self.head(x.mean((2, 3)))
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
