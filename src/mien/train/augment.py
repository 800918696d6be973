"""Random changes of training images, drawn per image and computed per batch on the device."""

import kornia.augmentation as K
import torch
from torch import Tensor, nn

from mien.recipes.schema import Augment, Mix, Range
from mien.train.photo import Photo

_PADDING = {"nearest": "border", "zeros": "zeros", "reflect": "reflection"}


class Augmentation(nn.Module):
    """(N, 1, S, S) float32 in 0-1 → the same: geometry, light, flaws of photos, erasing."""

    def __init__(self, ranges: Augment) -> None:
        super().__init__()
        self.ranges = ranges
        self.geometry = nn.Sequential(*_geometry(ranges))
        self.photo = Photo(ranges.photo) if ranges.photo else None
        self.erase = (
            K.RandomErasing(p=ranges.erase, scale=(0.02, 0.25), value=0.5) if ranges.erase else None
        )

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        images = self.geometry(images)
        images = _light(images, self.ranges.brightness, self.ranges.contrast)
        images = self.photo(images) if self.photo else images
        return self.erase(images) if self.erase else images


def mixup(mix: Mix) -> nn.Module | None:
    """(N, C, S, S) images and (N, classes) probabilities → the same, in pairs; None if off."""
    if not mix.mixup:
        return None
    from torchvision.transforms import v2  # type: ignore[import-untyped]

    layer: nn.Module = v2.MixUp(alpha=mix.mixup)
    return layer


def _geometry(ranges: Augment) -> list[nn.Module]:
    layers: list[nn.Module] = []
    zooms = ranges.zoom if ranges.zoom_axes == "both" else ranges.zoom * 2
    if ranges.rotation_deg or ranges.shift or ranges.shear_deg or ranges.zoom != (1, 1):
        layers.append(
            K.RandomAffine(
                degrees=ranges.rotation_deg,
                translate=(ranges.shift, ranges.shift),
                scale=zooms,
                shear=(-ranges.shear_deg, ranges.shear_deg) if ranges.shear_deg else None,
                padding_mode=_PADDING[ranges.fill],
                p=1.0,
            )
        )
    if ranges.flip:
        layers.append(K.RandomHorizontalFlip(p=0.5))
    return layers


def _light(images: Tensor, brightness: Range, contrast: Range) -> Tensor:
    """Intensities times a brightness factor, and spread about each image's mean by a contrast."""
    if brightness == (1, 1) and contrast == (1, 1):
        return images
    gain = _draw(brightness, images)
    spread = _draw(contrast, images)
    mean = images.mean((1, 2, 3), keepdim=True)
    return (((images - mean) * spread + mean) * gain).clamp(0, 1)


def _draw(limits: Range, images: Tensor) -> Tensor:
    low, high = limits
    return torch.empty(len(images), 1, 1, 1, device=images.device).uniform_(low, high)
