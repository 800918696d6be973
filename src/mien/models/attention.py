"""The attention model: convolutional stages, a CBAM block after each, pooling and a dense head."""

from collections.abc import Sequence

from timm.layers.blur_pool import BlurPool2d
from torch import Tensor, nn

from mien.errors import WeightsError
from mien.models.cbam import CBAM
from mien.models.classifier import Classifier
from mien.models.registry import register


class Block(nn.Module):
    """Two 3x3 convolutions, with a shortcut around them where `residual` (He et al. 2016).

    `gate` attends to what the convolutions found, before the shortcut is added. The picture
    shrinks by the stride of the first convolution, by a `blur` after it (Zhang 2019), or by a mean
    (`pool`) before it.
    """

    def __init__(
        self,
        inside: int,
        outside: int,
        stride: int,
        residual: bool = True,
        gate: nn.Module | None = None,
        shrink: str = "stride",
    ) -> None:
        super().__init__()
        if shrink not in ("stride", "blur", "pool"):
            raise ValueError(f"expected to shrink by stride, blur or pool, got {shrink!r}")
        by = shrink if stride > 1 else "stride"
        self.body = nn.Sequential(
            *([nn.AvgPool2d(stride, ceil_mode=True)] if by == "pool" else []),
            nn.Conv2d(inside, outside, 3, stride if by == "stride" else 1, 1, bias=False),
            nn.BatchNorm2d(outside),
            nn.ReLU(),
            *([BlurPool2d(outside, stride=stride)] if by == "blur" else []),
            nn.Conv2d(outside, outside, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outside),
        )
        self.gate = gate or nn.Identity()
        self.shortcut = _shortcut(inside, outside, stride) if residual else None
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.gate(self.body(x))
        if self.shortcut is not None:
            out = out + self.shortcut(x)
        activated: Tensor = self.activation(out)
        return activated


def _shortcut(inside: int, outside: int, stride: int) -> nn.Module:
    if inside == outside and stride == 1:
        return nn.Identity()
    return nn.Sequential(
        nn.AvgPool2d(stride, ceil_mode=True) if stride > 1 else nn.Identity(),
        nn.Conv2d(inside, outside, 1, bias=False),
        nn.BatchNorm2d(outside),
    )


def stem(channels: int, width: int, pool: int = 2) -> list[nn.Module]:
    """A convolution at full size, then pooling that makes the picture `pool` times smaller.

    Pooling comes before the normalisation, which then has a quarter of the values to go through:
    the largest of four is the same before a rising function and after it.
    """
    return [
        nn.Conv2d(channels, width, 3, 1, 1, bias=False),
        nn.MaxPool2d(pool),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    ]


class Stages(nn.Sequential):
    """Stem (halves the picture), then a stage per width (each but the first halves), CBAM last."""

    def __init__(self, channels: int, widths: Sequence[int], blocks: int, residual: bool) -> None:
        layers = stem(channels, widths[0])
        inside = widths[0]
        for stage, width in enumerate(widths):
            for block in range(blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                layers.append(Block(inside, width, stride, residual))
                inside = width
            layers.append(CBAM(width))
        super().__init__(*layers)


@register("attention", paper="arXiv:1807.06521")
def attention(
    *,
    classes: int,
    channels: int,
    weights: str,
    widths: Sequence[int] = (32, 64, 128, 256),
    blocks: int = 2,
    residual: bool = True,
    hidden: int = 128,
    dropout: float = 0.3,
) -> nn.Module:
    """`blocks` convolution blocks and one CBAM per width; pooling, dense `hidden` + ReLU."""
    features = Stages(channels, widths, blocks, residual)
    model = Classifier(features, widths[-1], classes, hidden=hidden, dropout=dropout)
    fill(model, weights)
    return model


_IN_CHECKPOINTS = "model."  # where `mien.train.module.Fit` keeps the network


def fill(model: nn.Module, weights: str) -> None:
    """Load a safetensors or torch file of the very same network, a checkpoint of a run among them,
    or nothing for `none`.

    Raises WeightsError for any other file, and for `imagenet`: networks of our own have none.
    """
    if weights == "none":
        return
    if weights == "imagenet":
        raise WeightsError(
            "this network has no ImageNet weights; set model.weights to none or to a file, "
            "or use resnet50 or mobilenetv2 (with model.options.cbam=true for attention)"
        )
    from mien.models.pretrained import read_weights

    found = read_weights(weights)
    try:
        model.load_state_dict({name.removeprefix(_IN_CHECKPOINTS): t for name, t in found.items()})
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise WeightsError(
            f"{weights} holds no weights for this network: {reason[:200]}"
        ) from error
