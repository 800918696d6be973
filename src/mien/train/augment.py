"""Random changes of training images, drawn per image and computed per batch on the device.

What is drawn is a row of numbers an image, so a draw can be stored and repeated: teachers answer
for the very picture that the student sees. Nothing here is read back from a graphics card.
"""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import grid_sample

from mien.covers import COVERS, covered
from mien.covers import DRAWN as COVER_VALUES
from mien.recipes.schema import Augment, Mix
from mien.train import photo

_PADDING = {"nearest": "border", "zeros": "zeros", "reflect": "reflection"}
_GEOMETRY = ("angle", "shear", "zoom_x", "zoom_y", "right", "down")
_LIGHT = ("brightness", "contrast")
_ERASED = ("erase_x", "erase_y", "erase_width", "erase_height")
_COVER = ("cover", *(f"cover_{name}" for name in COVER_VALUES))
COLUMNS = (*_GEOMETRY, "mirrored", *_LIGHT, *_ERASED, *photo.COLUMNS, *_COVER)
"""What is drawn of an image: angles in radians, lengths in sides of the picture."""


class Augmentation(nn.Module):
    """(N, 1 or 3, S, S) float32 in 0-1 → the same: covers, geometry, light, flaws, erasing,
    mirroring."""

    def __init__(self, ranges: Augment) -> None:
        super().__init__()
        self.ranges = ranges
        self.moves = bool(
            ranges.rotation_deg or ranges.shift or ranges.shear_deg or ranges.zoom != (1, 1)
        )
        self.lights = (ranges.brightness, ranges.contrast) != ((1, 1), (1, 1))

    def draw(self, number: int, generator: torch.Generator | None = None) -> Tensor:
        """(number, len(COLUMNS)) float32 on the CPU: the changes of so many images."""

        def uniform(low: float, high: float) -> Tensor:
            return torch.empty(number).uniform_(low, high, generator=generator)

        ranges, turn = self.ranges, math.radians(self.ranges.rotation_deg)
        lean, zoom = math.radians(ranges.shear_deg), uniform(*ranges.zoom)
        drawn = {
            "angle": uniform(-turn, turn),
            "shear": uniform(-lean, lean),
            "zoom_x": zoom,
            "zoom_y": uniform(*ranges.zoom) if ranges.zoom_axes == "each" else zoom,
            "right": uniform(-ranges.shift, ranges.shift),
            "down": uniform(-ranges.shift, ranges.shift),
            "mirrored": (uniform(0, 1) < 0.5 * ranges.flip).float(),
            "brightness": uniform(*ranges.brightness),
            "contrast": uniform(*ranges.contrast),
            **_rectangles(ranges.erase, uniform),
            **photo.draw(ranges.photo, uniform),
            **_covers(ranges.cover, uniform),
        }
        return torch.stack([drawn[name] for name in COLUMNS], 1)

    @torch.no_grad()
    def forward(self, images: Tensor, drawn: Tensor | None = None) -> Tensor:
        """The images, changed as `drawn` (N, len(COLUMNS)) says; by default, by a fresh draw."""
        if drawn is None:
            drawn = self.draw(len(images)).to(images.device)
        values = dict(zip(COLUMNS, drawn.T[:, :, None, None, None], strict=True))
        if self.ranges.cover:  # first: what covers a face moves with it
            images = _cover(images, values)
        if self.moves:
            images = self._geometry(images, values)
        if self.lights:
            mean = images.mean((1, 2, 3), keepdim=True)
            images = ((images - mean) * values["contrast"] + mean) * values["brightness"]
            images = images.clamp(0, 1)
        if self.ranges.photo:
            images = photo.spoil(images, values)
        if self.ranges.erase:
            images = _erase(images, values)
        # Last, so that it is the exact mirror image of the picture that teachers were asked about.
        return torch.where(values["mirrored"] > 0, images.flip(3), images)

    def _geometry(self, images: Tensor, values: dict[str, Tensor]) -> Tensor:
        """One affine for all of it."""
        x, y = _places(images)
        x, y = x - 2 * values["right"], y - 2 * values["down"]
        cos, sin = values["angle"].cos(), values["angle"].sin()
        x, y = x * cos + y * sin, y * cos - x * sin
        x = (x - values["shear"].tan() * y) / values["zoom_x"]
        grid = torch.stack([x, y / values["zoom_y"]], 4)[:, 0]
        fill = _PADDING[self.ranges.fill]
        return grid_sample(images, grid, padding_mode=fill, align_corners=False)


def mixup(mix: Mix) -> nn.Module | None:
    """(N, C, S, S) images and (N, classes) probabilities → the same, in pairs; None if off."""
    if not mix.mixup:
        return None
    from torchvision.transforms import v2  # type: ignore[import-untyped]

    layer: nn.Module = v2.MixUp(alpha=mix.mixup)
    return layer


def _places(images: Tensor) -> tuple[Tensor, Tensor]:
    """x (1, 1, 1, S) and y (1, 1, S, 1) of the pixels; the picture spans -1 to 1."""
    side = images.shape[-1]
    line = (torch.arange(side, device=images.device) * 2 + 1) / side - 1
    return line[None, None, None, :], line[None, None, :, None]


def _covers(share: float, uniform: Callable[[float, float], Tensor]) -> dict[str, Tensor]:
    """The number of a cover, from 1 on, for that share of the images, else 0; its looks."""
    there = uniform(0, 1) < share
    kinds = uniform(1, len(COVERS) + 1).floor().clamp(max=len(COVERS))
    looks = {f"cover_{name}": uniform(0, 1) for name in COVER_VALUES}
    return {"cover": kinds * there, **looks}


def _cover(images: Tensor, values: dict[str, Tensor]) -> Tensor:
    """Draw what covers each face."""
    x, y = ((place + 1) / 2 for place in _places(images))

    def drawn(kind: str, images: Tensor, values: dict[str, Tensor]) -> Tensor:
        looks = {name: values[f"cover_{name}"] for name in COVER_VALUES}
        return covered(kind, images, x, y, looks)  # type: ignore[no-any-return]

    for number, kind in enumerate(COVERS, 1):
        images = photo.some(images, values["cover"] == number, partial(drawn, kind), values)
    return images


def _rectangles(share: float, uniform: Callable[[float, float], Tensor]) -> dict[str, Tensor]:
    """A rectangle of 2-25 % of the area and sides of 0.3 to 3.3 to one another (Zhong et al. 2020,
    arXiv:1708.04896) for that share of the images, a size of 0 for the others."""
    area, ratio = uniform(0.02, 0.25), uniform(math.log(0.3), math.log(3.3)).exp()
    there = (uniform(0, 1) < share).float()
    width, height = ((area * r).sqrt().clamp(max=1) for r in (ratio, 1 / ratio))
    return {
        "erase_x": width / 2 + uniform(0, 1) * (1 - width),
        "erase_y": height / 2 + uniform(0, 1) * (1 - height),
        "erase_width": width * there,
        "erase_height": height * there,
    }


def _erase(images: Tensor, values: dict[str, Tensor]) -> Tensor:
    """Blank a rectangle with grey."""
    x, y = ((place + 1) / 2 for place in _places(images))
    across = (x - values["erase_x"]).abs() * 2 < values["erase_width"]
    down = (y - values["erase_y"]).abs() * 2 < values["erase_height"]
    return images.masked_fill(across & down, 0.5)
