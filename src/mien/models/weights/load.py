"""Networks with their weights: of timm, of our own, and first convolutions made for pictures."""

import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn

from mien.errors import WeightsError
from mien.files import offline
from mien.models.weights.read import read_torch, reading, unfit
from mien.published import EFFICIENTNET_LITE0, Published

_PUBLISHED = {"tf_efficientnet_lite0": EFFICIENTNET_LITE0}
_IN_CHECKPOINTS = "model."  # where `mien.train.module.Fit` keeps the network


def fill(model: nn.Module, weights: str) -> nn.Module:
    """`model` with the weights of a torch or safetensors file of the same network (a checkpoint of
    a run is one); as it is for `none`.

    Raises WeightsError for any other file, and for `imagenet`: mien's own networks have none.
    """
    if weights == "none":
        return model
    if weights == "imagenet":
        raise WeightsError(
            "this network has no ImageNet weights; set model.weights to none or to a file, "
            "or use resnet50 or mobilenetv2 (with model.options.cbam=true for attention)"
        )
    found = read_torch(weights)
    with reading(weights, "this network"):
        model.load_state_dict({name.removeprefix(_IN_CHECKPOINTS): t for name, t in found.items()})
    return model


@torch.no_grad()
def load_faces(published: Published, weights: str, take: Callable[[Path], None]) -> None:
    """Let a network `take` the file that `weights` means: that of `published` for `faces`, a path,
    nothing for `none`. Raises WeightsError if it is not there, or another one."""
    if (path := published.find(weights)) is not None:
        with reading(path, published.network):
            take(path)


def load_timm(name: str, channels: int, weights: str, **arguments: Any) -> Any:
    """timm's network without its classifier; `weights` as in `mien.models.build`, other `arguments`
    as in `timm.create_model`."""
    shape: dict[str, Any] = {"in_chans": channels, "num_classes": 0, **arguments}
    if weights == "none":
        return timm.create_model(name, pretrained=False, **shape)
    if weights == "imagenet":
        published = _PUBLISHED.get(name)
        file = published.installed() if published else None
        if file is None:
            return _download(name, shape)
        weights, found = str(file), _renamed(name, read_torch(str(file)))
    else:
        found = read_torch(weights)
    with reading(weights, f"timm's {name}"):
        overlay = {"state_dict": dict(found)}
        model = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, **shape)
    # timm passes over what the file lacks; a network half at random would train on, silently.
    lacking = [n for n in model.state_dict() if n not in found and not n.endswith("_tracked")]
    if lacking:
        reason = f"it lacks {lacking[0]} and {len(lacking) - 1} more"
        raise unfit(weights, f"timm's {name}", reason)
    return model


def for_pictures(
    weight: Tensor,
    bias: Tensor,
    channels: int,
    *,
    mean: float,
    colours: tuple[float, float, float],
    scale: float = 1,
    bgr: bool = False,
) -> tuple[Tensor, Tensor]:
    """Weight and bias of a first convolution, for pictures in [0, 1] less `mean` of three channels
    (R, G, B), or of one: the sum of the colours' filters.

    It was trained on (pixel - `colours`) / `scale`, pixels in 0-255; with `bgr`, in that order.
    """
    shift = (255 * mean - torch.tensor(colours)) / scale
    bias = bias + (weight.sum((2, 3)) * shift).sum(1)
    weight = (weight.flip(1) if bgr else weight) * (255 / scale)
    return (weight.sum(1, keepdim=True) if channels == 1 else weight), bias


def _renamed(name: str, found: dict[str, Tensor]) -> dict[str, Tensor]:
    """The package's tensors by timm's names: they come in the same order."""
    names = timm.create_model(name, pretrained=False).state_dict()
    return dict(zip(names, found.values(), strict=True))


def _download(name: str, shape: dict[str, Any]) -> Any:
    from huggingface_hub import constants
    from huggingface_hub.errors import HfHubHTTPError

    # The hub read its own variable when timm imported it; unasked, it would retry for a minute.
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or offline() or not _reachable(constants.ENDPOINT)
    try:
        return timm.create_model(name, pretrained=True, **shape)
    except (OSError, HfHubHTTPError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise WeightsError(
            f"cannot fetch the ImageNet weights of {name} ({reason[:120]}); connect once, or give "
            "a local file with --set model.weights=FILE, or train from scratch with "
            "--set model.weights=none"
        ) from error
    finally:
        constants.HF_HUB_OFFLINE = before


def _reachable(address: str) -> bool:
    """Whether anything answers there within seconds, be it with an error."""
    try:
        urllib.request.urlopen(address, timeout=5).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True
