"""Networks from timm, with ImageNet weights, weights from a local file, or none."""

import os
from pathlib import Path
from typing import Any

import timm
from torch import Tensor, nn

from mien.errors import WeightsError
from mien.files import offline


class TimmFeatures(nn.Module):
    """(N, C, S, S) → the last feature map (N, width, S/32, S/32) of a timm network."""

    def __init__(self, name: str, channels: int, weights: str) -> None:
        super().__init__()
        self.body = _load(name, channels, weights)
        self.width: int = self.body.num_features

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.body.forward_features(x)
        return features


def _load(name: str, channels: int, weights: str) -> Any:
    """timm's network without its pooling and classifier; `weights` as in `registry.build`."""
    shape: dict[str, Any] = {"in_chans": channels, "num_classes": 0, "global_pool": ""}
    if weights == "none":
        return timm.create_model(name, pretrained=False, **shape)
    if weights == "imagenet":
        return _download(name, shape)
    if not Path(weights).is_file():
        raise WeightsError(f"weights {weights!r} are neither 'imagenet', 'none' nor a file; check")
    try:
        overlay = {"file": weights}
        return timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, **shape)
    except (RuntimeError, KeyError, ValueError, OSError, EOFError) as error:
        reason = str(error).strip().splitlines()[0]
        raise WeightsError(f"{weights} holds no weights for timm's {name}: {reason}") from error


def _download(name: str, shape: dict[str, Any]) -> Any:
    # Asked before the hub is imported: it reads these once, and its defaults retry for a minute.
    if offline():
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return timm.create_model(name, pretrained=True, **shape)
    except (OSError, HfHubHTTPError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise WeightsError(
            f"ImageNet weights of {name} could not be had ({reason[:120]}); connect once, or give "
            "a local file with --set model.weights=FILE, or train from scratch with "
            "--set model.weights=none"
        ) from error
