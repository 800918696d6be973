"""The attention model: convolutional stages, a CBAM block after each, pooling and a dense head."""

from torch import Tensor, nn

from mien.errors import WeightsError
from mien.models.catalogue import Attention
from mien.models.cbam import CBAM
from mien.models.classifier import Classifier, dense
from mien.models.spec import Spec


class Block(nn.Module):
    """Two 3x3 convolutions, with a shortcut around them where `residual` (He et al. 2016).

    `gate` comes after the convolutions, before the shortcut is added.
    """

    def __init__(
        self,
        inside: int,
        outside: int,
        stride: int,
        *,
        residual: bool = True,
        gate: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inside, outside, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outside),
            nn.ReLU(),
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


def stem(channels: int, width: int) -> list[nn.Module]:
    """A convolution at full size, then pooling that halves the picture.

    Pooling comes before the normalisation, which then has a quarter of the values to go through:
    the largest of four is the same before a rising function and after it.
    """
    return [
        nn.Conv2d(channels, width, 3, 1, 1, bias=False),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    ]


def attention(spec: Spec, options: Attention) -> nn.Module:
    """A stem (halves the picture), then a stage per width (each but the first halves it) with CBAM
    at its end; pooling, dense `hidden` + ReLU."""
    layers = stem(spec.channels, options.widths[0])
    inside = options.widths[0]
    for stage, width in enumerate(options.widths):
        for block in range(options.blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            layers.append(Block(inside, width, stride, residual=options.residual))
            inside = width
        layers.append(CBAM(width))
    head = dense(inside, spec.classes, options.dropout, hidden=options.hidden)
    model = Classifier(nn.Sequential(*layers), head)
    fill(model, spec.weights)
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
