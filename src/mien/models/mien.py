"""mien's own networks for small grey faces."""

from timm.layers.squeeze_excite import SEModule
from torch import nn

from mien.models.catalogue import Attention, Mien
from mien.models.heads import Classifier, dense
from mien.models.layers import CBAM, SelfAttention, stages
from mien.models.spec import Spec
from mien.models.weights.load import fill


def mien(spec: Spec, options: Mien) -> nn.Module:
    """Residual stages with squeeze-and-excitation (Hu et al. 2018, arXiv:1709.01507) in the last
    block of each: there alone, because its many small operations take more time than they compute.
    """
    features = stages(
        spec.channels,
        options.widths,
        options.blocks,
        gate=lambda width: SEModule(width, rd_ratio=1 / 8),
    )
    head = dense(options.widths[-1], spec.classes, options.dropout)
    return fill(Classifier(features, head), spec.weights)


def attention(spec: Spec, options: Attention) -> nn.Module:
    """Convolutional stages with CBAM after each, and self-attention after the last if asked for;
    pooling, dense `hidden` + ReLU, dropout."""
    features = stages(
        spec.channels,
        options.widths,
        [options.blocks] * len(options.widths),
        residual=options.residual,
        end=CBAM,
    )
    if options.self_attention:
        features.append(SelfAttention(options.widths[-1], options.self_attention))
    head = dense(options.widths[-1], spec.classes, options.dropout, hidden=options.hidden)
    return fill(Classifier(features, head), spec.weights)
