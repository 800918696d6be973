"""dlib's network of face recognition (King 2017).

A ResNet (He et al. 2015, arXiv:1512.03385) of 29 convolutions with half the usual filters, trained
on three million faces of 7,485 people; https://github.com/davisking/dlib-models, CC0. Its last
block, which dlib needs to bring 150 px to one descriptor, is left out.
"""

from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.faces.dlib import COLOURS, LEVELS, read_layers
from mien.models.catalogue import ENTRIES, Faces
from mien.models.heads import Classifier, dense
from mien.models.layers import AdoptedBatchNorm
from mien.models.spec import Spec
from mien.models.weights.load import for_pictures, load_faces
from mien.published import DLIB


def build(spec: Spec, options: Faces) -> nn.Module:
    """dlib's face-recognition ResNet; pooling and dropout.

    `weights`: `faces`, `none`, or dlib's file. Convolutions do not pad where they shrink: 68, 100
    and 132 px leave no pixel unused.
    """
    body = FaceResNet(spec.channels)
    load_faces(DLIB, spec.weights, body.take)
    return Classifier(body, dense(body.width, spec.classes, options.dropout))


class Block(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut that lacks channels, or shrinks by a mean."""

    def __init__(self, inside: int, width: int, *, shrink: bool) -> None:
        super().__init__()
        self.shrink = shrink
        stride, padding = (2, 0) if shrink else (1, 1)
        self.conv1 = nn.Conv2d(inside, width, 3, stride, padding)
        self.norm1 = AdoptedBatchNorm(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1)
        self.norm2 = AdoptedBatchNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        if self.shrink and min(x.shape[2:]) < 3:
            x = F.pad(x, (0, 3 - x.shape[3], 0, 3 - x.shape[2]))
        short = F.avg_pool2d(x, 2) if self.shrink else x
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        # Zeros where one of them ends: the shortcut in channels, the convolutions in places.
        y = F.pad(y, (0, short.shape[3] - y.shape[3], 0, short.shape[2] - y.shape[2]))
        return F.relu(F.pad(short, (0, 0, 0, 0, 0, y.shape[1] - short.shape[1])) + y)


class FaceResNet(nn.Module):
    """(N, C, S, S) → (N, 256, ~S/40, ~S/40), S ≥ 12."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, 32, 7, 2)
        self.norm = AdoptedBatchNorm(32)
        blocks, inside = [], 32
        for level, (width, number) in enumerate(LEVELS[:-1]):
            for i in range(number):
                blocks.append(Block(inside, width, shrink=level > 0 and i == 0))
                inside = width
        self.blocks = nn.Sequential(*blocks)
        self.width = inside

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.norm(self.stem(x))), 3, 2)
        features: Tensor = self.blocks(x)
        return features

    def take(self, path: Path) -> None:
        """Load dlib's file."""
        content = path.read_bytes()
        found = _tensors(content, b"con_4")
        for conv in (m for m in self.modules() if isinstance(m, nn.Conv2d)):
            values = next(found)
            size = len(values) - conv.out_channels
            weight = values[:size].view(conv.out_channels, -1, *conv.kernel_size)
            bias = values[size:]
            if conv is self.stem:
                (mean,) = ENTRIES["face-resnet"].mean
                weight, bias = for_pictures(
                    weight, bias, conv.in_channels, mean=mean, colours=COLOURS, scale=256
                )
            conv.load_state_dict({"weight": weight, "bias": bias})
        found = _tensors(content, b"affine_")
        for norm in (m for m in self.modules() if isinstance(m, AdoptedBatchNorm)):
            weight, bias = next(found).chunk(2)
            norm.adopt(weight, bias)


def _tensors(content: bytes, layer: bytes) -> Iterator[Tensor]:
    return (torch.from_numpy(values.copy()) for values in read_layers(content, layer))
