"""mien's own networks for small grey faces: residual blocks with squeeze-and-excitation."""

from timm.layers.squeeze_excite import SEModule
from torch import nn

from mien.models.attention import Block, fill, stem
from mien.models.catalogue import Mien
from mien.models.classifier import Classifier, dense
from mien.models.spec import Spec


def mien(spec: Spec, options: Mien) -> nn.Module:
    """A stem that halves the picture, a stage for each width, pooling and dropout.

    The first block of each stage but the first halves the picture again, the last has
    squeeze-and-excitation (Hu et al. 2018, arXiv:1709.01507): there alone, because its many small
    operations take more time than their arithmetic.
    """
    layers = stem(spec.channels, options.widths[0])
    inside = options.widths[0]
    for stage, (width, blocks) in enumerate(zip(options.widths, options.blocks, strict=True)):
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            gate = SEModule(width, rd_ratio=1 / 8) if block == blocks - 1 else None
            layers.append(Block(inside, width, stride, gate=gate))
            inside = width
    model = Classifier(nn.Sequential(*layers), dense(inside, spec.classes, options.dropout))
    fill(model, spec.weights)
    return model
