"""MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381) with the report's head."""

from torch import nn

from mien.models.classifier import Classifier
from mien.models.pretrained import TimmFeatures
from mien.models.registry import register


@register("mobilenetv2", paper="arXiv:1801.04381")
def mobilenetv2(
    *,
    classes: int,
    channels: int,
    weights: str,
    frozen: bool = False,
    cbam: bool = False,
    hidden: int = 128,
    dropout: float = 0.5,
) -> nn.Module:
    """MobileNetV2; pooling, dropout, dense `hidden` + ReLU, dropout. `cbam` makes the hybrid."""
    body = TimmFeatures("mobilenetv2_100", channels, weights)
    return Classifier(
        body,
        body.width,
        classes,
        hidden=hidden,
        dropout=dropout,
        input_dropout=dropout,
        cbam=cbam,
        frozen=frozen,
    )
