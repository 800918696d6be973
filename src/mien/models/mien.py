"""mien's own networks for small grey faces: residual blocks with squeeze-and-excitation."""

from collections.abc import Sequence

from timm.layers.squeeze_excite import SEModule
from torch import nn

from mien.models.attention import Block, fill, stem
from mien.models.cbam import CBAM
from mien.models.classifier import Classifier
from mien.models.registry import register


@register("mien-s", paper="arXiv:1709.01507")
def mien_s(
    *,
    classes: int,
    channels: int,
    weights: str,
    widths: Sequence[int] = (32, 64, 128),
    blocks: Sequence[int] = (1, 2, 2),
    hidden: int = 0,
    dropout: float = 0.3,
    stem_pool: int = 2,
    residual: bool = True,
    gate: str = "se",
    shrink: str = "stride",
    places: int = 0,
) -> nn.Module:
    """For real time: 0.7 M parameters.

    The last five options are parts to try with and without (docs/accuracy.md): how many times the
    stem shrinks the picture, shortcuts, `gate` (`se`, `cbam` or `none`) at the end of each stage,
    how the picture shrinks from stage to stage (`stride`, `blur` or `pool`), and weights for that
    many `places` a side in the last pooling (0: a plain mean).
    """
    features = _features(channels, widths, blocks, stem_pool, residual, gate, shrink)
    model = Classifier(features, widths[-1], classes, hidden=hidden, dropout=dropout, places=places)
    fill(model, weights)
    return model


@register("mien-m", paper="arXiv:1709.01507")
def mien_m(
    *,
    classes: int,
    channels: int,
    weights: str,
    widths: Sequence[int] = (64, 128, 256),
    blocks: Sequence[int] = (1, 2, 2),
    hidden: int = 0,
    dropout: float = 0.3,
) -> nn.Module:
    """`mien-s` twice as wide: 2.7 M parameters."""
    features = _features(channels, widths, blocks)
    model = Classifier(features, widths[-1], classes, hidden=hidden, dropout=dropout)
    fill(model, weights)
    return model


def _features(
    channels: int,
    widths: Sequence[int],
    blocks: Sequence[int],
    stem_pool: int = 2,
    residual: bool = True,
    gate: str = "se",
    shrink: str = "stride",
) -> nn.Sequential:
    """A stem that halves the picture, then `blocks[i]` residual blocks of `widths[i]` channels, the
    first of each stage but the first halving it again, the last with squeeze-and-excitation
    (Hu et al. 2018): there alone, because its many small operations cost more than they compute."""
    layers = stem(channels, widths[0], stem_pool)
    inside = widths[0]
    for stage, (width, repeats) in enumerate(zip(widths, blocks, strict=True)):
        for block in range(repeats):
            stride = 2 if stage > 0 and block == 0 else 1
            last = _gate(gate, width) if block == repeats - 1 else None
            layers.append(Block(inside, width, stride, residual, last, shrink))
            inside = width
    return nn.Sequential(*layers)


def _gate(name: str, width: int) -> nn.Module | None:
    if name == "se":
        return SEModule(width, rd_ratio=1 / 8)
    if name == "cbam":
        return CBAM(width)
    if name == "none":
        return None
    raise ValueError(f"expected a gate of se, cbam or none, got {name!r}")
