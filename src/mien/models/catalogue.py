"""The models in the package, and the options of each family. Nothing here needs torch."""

from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field

from mien.models.spec import Entry

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


_RESNET50 = Entry(
    "resnet50",
    "mien.models.imagenet:resnet50",
    Pretrained(hidden=1024, dropout=0.5),
    "arXiv:1512.03385",
    size_px=64,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
)
_MIEN_S = Entry(
    "mien-s", "mien.models.mien:mien", Mien(), "arXiv:1709.01507", mean=(0.508,), std=(0.255,)
)

ENTRIES = {
    entry.name: entry
    for entry in (
        _MIEN_S,
        replace(_MIEN_S, name="mien-s-wide", defaults=Mien((32, 96, 192))),
        replace(_MIEN_S, name="mien-m", defaults=Mien((32, 96, 288))),
        replace(_MIEN_S, name="mien-l", defaults=Mien((128, 256, 512), (2, 2, 2))),
        Entry(
            "attention",
            "mien.models.attention:attention",
            Attention(),
            "arXiv:1807.06521",
            mean=(0.508,),
            std=(0.255,),
        ),
        _RESNET50,
        replace(
            _RESNET50,
            name="mobilenetv2",
            builder="mien.models.imagenet:mobilenetv2",
            defaults=Pretrained(hidden=128, dropout=0.5),
            paper="arXiv:1801.04381",
        ),
        Entry(
            "efficientnet-lite0",
            "mien.models.imagenet:efficientnet_lite0",
            Pretrained(),
            "arXiv:1905.11946",
            size_px=64,
        ),
        Entry(
            "face-mobilenet",
            "mien.models.face_mobilenet:face_mobilenet",
            Faces(),
            "arXiv:1704.04861",
            size_px=96,
            mean=(0.458,),
            std=(1.0,),
        ),
        Entry(
            "face-resnet",
            "mien.models.face_resnet:face_resnet",
            Faces(),
            "arXiv:1512.03385",
            size_px=100,
            mean=(0.45,),
            std=(1.0,),
        ),
        Entry(
            "facenet",
            "mien.models.facenet:facenet",
            Faces(),
            "arXiv:1602.07261",
            size_px=107,
            std=(0.502,),
        ),
    )
}
