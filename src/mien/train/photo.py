"""Flaws of real photos, in the order in which light, lens, sensor and file bring them in.

The kinds are those of common corruptions (Hendrycks & Dietterich 2019, arXiv:1903.12261), so a
network trained with them is no longer a stranger to a test of its robustness to such.
"""

import math

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate, pad


class Photo(nn.Module):
    """(N, 1, S, S) float32 in 0-1 → the same: each of `FLAWS` on each image with `probability`.

    Which images, and how strongly, is drawn on the CPU: only JPEG waits for a graphics card.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, images: Tensor) -> Tensor:
        """Only the images that a flaw falls on are computed."""
        images = images.clone()
        for flaw, low, high in FLAWS:
            rows = (torch.rand(len(images)) < self.probability).nonzero().flatten()
            strength = torch.empty(len(rows)).uniform_(low, high)
            if len(rows):
                rows = rows.to(images.device, non_blocking=True)
                images[rows] = flaw(images[rows], strength).clamp(0, 1)
        return images


def uneven_light(images: Tensor, strength: Tensor) -> Tensor:
    """Light that rises across the face, from 1 - strength to 1 + strength."""
    x, y = _directions(strength)
    line = torch.linspace(-1, 1, images.shape[-1])
    ramp = (x * line + y * line[:, None]) / (x.abs() + y.abs())
    return images * (1 + _each(strength) * ramp).to(images, non_blocking=True)


def gamma(images: Tensor, octaves: Tensor) -> Tensor:
    """Intensities to the power 2^octaves."""
    return images ** _each(2**octaves).to(images, non_blocking=True)


def defocus(images: Tensor, sigma: Tensor) -> Tensor:
    """A round Gaussian; `sigma` as a fraction of the side."""
    return _blur(images, sigma, sigma)


def shake(images: Tensor, sigma: Tensor) -> Tensor:
    """A Gaussian along a line of any direction; `sigma` as a fraction of the side."""
    return _blur(images, sigma, sigma / 8)


def few_pixels(images: Tensor, fraction: Tensor) -> Tensor:
    """Down to that fraction of the side and up again."""
    side = images.shape[-1]
    sizes = (fraction * side).round().int().tolist()
    small = [interpolate(i[None], n, mode="area") for i, n in zip(images, sizes, strict=True)]
    return torch.cat([interpolate(i, side, mode="bilinear") for i in small])


def noise(images: Tensor, deviation: Tensor) -> Tensor:
    """Gaussian noise of that standard deviation."""
    return images + torch.randn_like(images) * _each(deviation).to(images, non_blocking=True)


def jpeg(images: Tensor, quality: Tensor) -> Tensor:
    """JPEG of that quality, as if the crop itself had been the file."""
    pixels = (images[:, 0] * 255).round().byte().cpu().numpy()
    out = [_through_jpeg(i, round(q)) for i, q in zip(pixels, quality.tolist(), strict=True)]
    return torch.from_numpy(np.stack(out))[:, None].to(images) / 255


FLAWS = (
    (uneven_light, 0.2, 0.6),
    (gamma, -0.7, 0.7),
    (defocus, 0.01, 0.03),
    (shake, 0.02, 0.045),
    (few_pixels, 1 / 3, 2 / 3),
    (noise, 0.01, 0.06),
    (jpeg, 15, 60),
)
"""What is done, and the range its strength is drawn from: such that people still read the face."""


def _each(values: Tensor) -> Tensor:
    return values[:, None, None, None]


def _directions(like: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine, (n, 1, 1, 1) each, of a random angle for each of `like` (n,)."""
    angle = _each(torch.rand_like(like) * 2 * math.pi)
    return angle.cos(), angle.sin()


def _blur(images: Tensor, along: Tensor, across: Tensor) -> Tensor:
    """Each image by a Gaussian of its own, `along` and `across` a random direction."""
    side = images.shape[-1]
    radius = math.ceil(2.5 * side * float(along.max()))
    line = torch.arange(-radius, radius + 1) / side
    x, y = _directions(along)
    u, v = x * line + y * line[:, None], y * line - x * line[:, None]
    kernels = torch.exp(-((u / _each(along)) ** 2 + (v / _each(across)) ** 2) / 2)
    kernels = (kernels / kernels.sum((2, 3), keepdim=True)).to(images, non_blocking=True)
    padded = pad(images, [radius] * 4, mode="replicate")
    return conv2d(padded.transpose(0, 1), kernels, groups=len(images)).transpose(0, 1)


def _through_jpeg(image: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    _, file = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(file, cv2.IMREAD_GRAYSCALE), np.uint8)
