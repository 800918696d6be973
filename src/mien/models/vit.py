"""A vision transformer for small pictures."""

from functools import partial
from typing import Any

from timm.layers.hybrid_embed import HybridEmbed
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from mien.models.catalogue import Vit
from mien.models.heads import Classifier, dense
from mien.models.spec import Spec
from mien.models.weights.load import fill


def vit(spec: Spec, options: Vit) -> nn.Module:
    """A transformer (Dosovitskiy et al. 2021, arXiv:2010.11929) whose patches come from a few
    convolutions, by which it learns from fewer pictures (Xiao et al. 2021, arXiv:2106.14881); mean
    over places.
    """
    features = Transformer(spec, options)
    head = dense(options.width, spec.classes, options.dropout)
    return fill(Classifier(features, head), spec.weights)


class Transformer(nn.Module):
    """(N, C, S, S) → (N, width, S/8, S/8): timm's, of a place for every stem's last."""

    def __init__(self, spec: Spec, options: Vit) -> None:
        super().__init__()
        self.body = VisionTransformer(
            img_size=spec.size_px,
            patch_size=1,
            in_chans=spec.channels,
            num_classes=0,
            global_pool="",
            class_token=False,
            embed_dim=options.width,
            depth=options.depth,
            num_heads=options.heads,
            drop_path_rate=options.drop_path,
            dynamic_img_size=True,
            embed_layer=partial(HybridEmbed, backbone=_stem(spec.channels, options.stem)),
        )
        blocks: Any = self.body.blocks
        for block in blocks:
            block.attn.fused_attn = False  # twice as fast on a CPU, where there are few places

    def forward(self, x: Tensor) -> Tensor:
        side = x.shape[-1] // int(self.body.patch_embed.feat_ratio())
        tokens: Tensor = self.body.forward_features(x)
        return tokens.transpose(1, 2).reshape(tokens.shape[0], -1, side, side)


def _stem(inside: int, widths: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in widths:
        layers += [
            nn.Conv2d(inside, width, 3, 2, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        ]
        inside = width
    return nn.Sequential(*layers)
