"""ResNet-50 (He et al. 2016, arXiv:1512.03385) with the report's head."""

from torch import nn

from mien.models.classifier import Classifier
from mien.models.pretrained import TimmFeatures
from mien.models.registry import register


@register("resnet50", paper="arXiv:1512.03385")
def resnet50(
    *,
    classes: int,
    channels: int,
    weights: str,
    frozen: bool = False,
    cbam: bool = False,
    hidden: int = 1024,
    dropout: float = 0.5,
) -> nn.Module:
    """ResNet-50, frozen or not; global average pooling, dense `hidden` + ReLU, dropout."""
    body = TimmFeatures("resnet50", channels, weights)
    return Classifier(
        body, body.width, classes, hidden=hidden, dropout=dropout, cbam=cbam, frozen=frozen
    )
