"""The models in the package, and the options of each family. Nothing here needs torch."""

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from mien.models.spec import Entry, Spec

if TYPE_CHECKING:
    from torch import nn

Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Units = Annotated[int, Field(ge=0)]
Widths = Annotated[tuple[Count, ...], Field(min_length=1)]


@dataclass(frozen=True)
class Pretrained:
    """Options of a network that starts from ImageNet weights."""

    hidden: Units = 0
    """Units of a dense layer with ReLU before the logits; 0: none."""
    dropout: Fraction = 0.2
    """Probability of dropout before the logits."""
    cbam: bool = False
    """Put channel and spatial attention (CBAM) after the last feature map."""
    frozen: bool = False
    """Train the head alone: the weights and BatchNorm statistics of the rest stay as they are."""


@dataclass(frozen=True)
class Timm(Pretrained):
    """Options of any network of timm, `timm/NAME`."""

    drop_path: Fraction = 0
    """Probability by which a residual branch is left out of a step, the deeper the likelier."""
    self_attention: Units = 0
    """Heads of self-attention over the places of the last feature map; 0: none."""
    arguments: dict[str, Any] = field(default_factory=dict)
    """Others of timm's, such as `output_stride: 16` or `depths: [2, 2, 4, 2]`."""


@dataclass(frozen=True)
class Faces:
    """Options of a network that starts from weights of face recognition."""

    dropout: Fraction = 0.2
    """Probability of dropout before the logits."""


@dataclass(frozen=True)
class Attention:
    """Options of the attention model."""

    widths: Widths = (32, 64, 128, 256)
    """Channels of each stage."""
    blocks: Count = 2
    """Blocks of each stage."""
    residual: bool = True
    """Add a shortcut to each block."""
    hidden: Units = 128
    """Units of a dense layer with ReLU before the logits; 0: none."""
    self_attention: Units = 0
    """Heads of self-attention over places after the last stage; 0: none."""
    dropout: Fraction = 0.3
    """Probability of dropout before the logits."""


@dataclass(frozen=True)
class Mien:
    """Options of mien's own networks."""

    widths: Widths = (32, 64, 128)
    """Channels of each stage."""
    blocks: Widths = (1, 2, 2)
    """Blocks of each stage."""
    dropout: Fraction = 0.3
    """Probability of dropout before the logits."""

    def __post_init__(self) -> None:
        if len(self.widths) != len(self.blocks):
            raise ValueError(
                f"expected as many blocks as widths, got {self.blocks} and {self.widths}"
            )


@dataclass(frozen=True)
class Vit:
    """Options of the vision transformer."""

    stem: Widths = (32, 64, 128)
    """Channels of the convolutions before it, each of which halves the picture."""
    width: Count = 192
    """Size of a token; a multiple of `heads`."""
    depth: Count = 6
    """Blocks."""
    heads: Count = 3
    """Of each block's attention."""
    dropout: Fraction = 0
    """Probability of dropout before the logits."""
    drop_path: Fraction = 0.1
    """Probability by which a branch of the last block is left out of a step; less before it."""

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(
                f"expected a width that is a multiple of heads, got {self.width} and {self.heads}"
            )


@dataclass(frozen=True)
class FrameMean:
    """Options of a network for clips; the mean over frames has no others."""

    encoder: str = "mien-s"
    """Network of the frames: a model's name; or a run folder, from whose weights it starts."""
    encoder_options: dict[str, Any] = field(default_factory=dict)
    """The encoder's own options; a run brings its own."""
    frozen: bool = False
    """Leave the encoder's weights and BatchNorm statistics as they are."""
    frames: Count = 16
    """Frames it sees of a clip: one of each of so many equal parts."""
    dropout: Fraction = 0.3
    """Probability of dropout before the logits."""


@dataclass(frozen=True)
class LSTM(FrameMean):
    """Options of the encoder with an LSTM behind it."""

    hidden: Count = 128
    """Units of the LSTM."""


@dataclass(frozen=True)
class Transformer(FrameMean):
    """Options of the encoder with a transformer over the last `frames` frames behind it."""

    width: Count = 128
    """Numbers that describe a frame."""
    heads: Count = 4
    """Attention heads, which share the width."""
    layers: Count = 1
    """Layers of attention."""

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"expected heads that divide the width {self.width}, got {self.heads}")


_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_FER2013 = ((0.508,), (0.255,))
Values = tuple[float, ...]
_ROWS: tuple[tuple[str, str, object, str, int, Values, Values], ...] = (
    # name, module:builder, options, paper, size in px, mean and standard deviation
    ("mien-s", "mien:mien", Mien(), "1709.01507", 48, *_FER2013),
    ("mien-s-wide", "mien:mien", Mien((32, 96, 192)), "1709.01507", 48, *_FER2013),
    ("mien-m", "mien:mien", Mien((32, 96, 288)), "1709.01507", 48, *_FER2013),
    ("mien-l", "mien:mien", Mien((128, 256, 512), (2, 2, 2)), "1709.01507", 48, *_FER2013),
    ("attention", "mien:attention", Attention(), "1807.06521", 48, *_FER2013),
    ("resnet50", "imagenet:resnet50", Pretrained(1024, 0.5), "1512.03385", 64, *_IMAGENET),
    ("mobilenetv2", "imagenet:mobilenetv2", Pretrained(128, 0.5), "1801.04381", 64, *_IMAGENET),
    ("efficientnet-lite0", "imagenet:lite0", Pretrained(), "1905.11946", 64, (0.5,), (0.5,)),
    ("face-mobilenet", "face_mobilenet:build", Faces(), "1704.04861", 96, (0.458,), (1.0,)),
    ("face-resnet", "face_resnet:build", Faces(), "1512.03385", 100, (0.45,), (1.0,)),
    ("vit", "vit:vit", Vit(), "2010.11929", 48, *_FER2013),
    ("frame-mean", "clips:frame_mean", FrameMean(), "1608.00859", 48, *_FER2013),
    ("cnn-lstm", "clips:cnn_lstm", LSTM(), "1411.4389", 48, *_FER2013),
    ("temporal-transformer", "clips:transformer", Transformer(), "1706.03762", 48, *_FER2013),
    ("facenet", "facenet:build", Faces(), "1602.07261", 107, (0.5,), (0.502,)),
)
ENTRIES = {
    name: Entry(name, f"mien.models.{builder}", options, f"arXiv:{paper}", size_px, mean, std)
    for name, builder, options, paper, size_px, mean, std in _ROWS
}
"""The models in the package by name."""
_TIMM_S = "https://github.com/huggingface/pytorch-image-models"
TIMM = "timm/"
"""What the name of any network of timm begins with."""


def any_of_timm(name: str) -> Entry:
    """The entry of `timm/NAME`."""
    builder = partial(_from_timm, name.removeprefix(TIMM))
    return Entry(name, builder, Timm(), _TIMM_S, 48, *_IMAGENET)


def _from_timm(name: str, spec: Spec, options: Timm) -> "nn.Module":
    from mien.models.imagenet import from_timm

    return from_timm(name, spec, options)
