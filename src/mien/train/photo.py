"""Flaws of real photos, in the order in which light, lens, sensor and file bring them in.

The kinds are those of common corruptions (Hendrycks & Dietterich 2019, arXiv:1903.12261), so a
network trained with them is no longer a stranger to a test of its robustness to such.
"""

import functools
import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import conv2d, interpolate, pad

Values = dict[str, Tensor]
"""(N, 1, 1, 1) each: what was drawn of each image, by name."""
Flaw = Callable[[Tensor, Values], Tensor]

STRENGTHS = {
    "uneven_light": (0.2, 0.6),
    "gamma": (-0.7, 0.7),
    "defocus": (0.01, 0.03),
    "shake": (0.02, 0.045),
    "few_pixels": (1 / 3, 2 / 3),
    "noise": (0.01, 0.06),
    "jpeg": (15, 60),
}
"""The range each flaw's strength is drawn from: such that people still read the face."""
NONE = {"few_pixels": 1.0, "jpeg": 100.0}
"""The strength of a flaw that is not there; 0 where nothing is said."""
COLUMNS = (*STRENGTHS, "light_angle", "shake_angle", "noise_right", "noise_down")
"""What is drawn of an image; angles in radians, places as shares."""

_LUMINANCE = torch.tensor(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
"""JPEG's table of quantisation at quality 50 (ITU-T T.81, table K.1)."""


def draw(probability: float, uniform: Callable[[float, float], Tensor]) -> Values:
    """(N,) of each of `COLUMNS`: each flaw falls on each image with that probability."""
    drawn = {}
    for name, (low, high) in STRENGTHS.items():
        there, strength = uniform(0, 1) < probability, uniform(low, high)
        drawn[name] = torch.where(there, strength, NONE.get(name, 0.0))
    ends = (2 * math.pi, 2 * math.pi, 1, 1)
    return drawn | {
        name: uniform(0, end) for name, end in zip(COLUMNS[len(STRENGTHS) :], ends, strict=True)
    }


def spoil(images: Tensor, values: Values) -> Tensor:
    """(N, 1 or 3, S, S) float32 in 0-1 → the same, with every flaw that was drawn, the same in
    every channel."""
    if (channels := images.shape[1]) > 1:
        each = {name: value.repeat_interleave(channels, 0) for name, value in values.items()}
        return spoil(images.flatten(0, 1)[:, None], each).reshape(images.shape)
    for names, flaw in _FLAWS:
        none = NONE.get(names[0], 0.0)
        there = functools.reduce(torch.logical_or, (values[n] != none for n in names))
        images = some(images, there, flaw, values)
    return images


def some(images: Tensor, there: Tensor, flaw: Flaw, values: Values) -> Tensor:
    """`flaw` on the images where it is `there`: on a CPU they alone are computed; a graphics card
    computes all, because to choose would be to wait for it."""
    if images.device.type != "cpu":
        return everywhere(images, there, flaw, values)
    rows = there.flatten().nonzero().flatten()
    if len(rows) == 0:
        return images
    images = images.clone()
    chosen = {name: value[rows] for name, value in values.items()}
    images[rows] = flaw(images[rows], chosen).clamp(0, 1)
    return images


def everywhere(images: Tensor, there: Tensor, flaw: Flaw, values: Values) -> Tensor:
    """`flaw` computed on every image, and taken where it is `there`."""
    return torch.where(there, flaw(images, values).clamp(0, 1), images)


def uneven_light(images: Tensor, values: Values) -> Tensor:
    """Light that rises across the face, from 1 - strength to 1 + strength."""
    line = torch.linspace(-1, 1, images.shape[-1], device=images.device)
    x, y = values["light_angle"].cos(), values["light_angle"].sin()
    ramp = (x * line + y * line[:, None]) / (x.abs() + y.abs())
    return images * (1 + values["uneven_light"] * ramp)


def gamma(images: Tensor, values: Values) -> Tensor:
    """Intensities to the power 2^gamma."""
    return images ** (2 ** values["gamma"])


def blur(images: Tensor, values: Values) -> Tensor:
    """Each image by a Gaussian of its own: round, and longer along a line of any direction.

    The deviations are fractions of the side; both blurs together are one, as variances add.
    """
    side = images.shape[-1]
    radius = math.ceil(2.5 * side * math.hypot(STRENGTHS["shake"][1], STRENGTHS["defocus"][1]))
    line = torch.arange(-radius, radius + 1, device=images.device) / side
    defocus, shake, angle = (values[name] for name in ("defocus", "shake", "shake_angle"))
    x, y = angle.cos(), angle.sin()
    u, v = x * line + y * line[:, None], y * line - x * line[:, None]
    along = (defocus**2 + shake**2).sqrt().clamp(min=1e-3)
    across = (defocus**2 + (shake / 8) ** 2).sqrt().clamp(min=1e-3)
    kernels = torch.exp(-((u / along) ** 2 + (v / across) ** 2) / 2)
    kernels = kernels / kernels.sum((2, 3), keepdim=True)
    padded = pad(images, [radius] * 4, mode="replicate")
    return conv2d(padded.transpose(0, 1), kernels, groups=len(images)).transpose(0, 1)


def few_pixels(images: Tensor, values: Values) -> Tensor:
    """Down to that fraction of the side, and up again; 1 leaves all."""
    side = images.shape[-1]
    sizes = (values["few_pixels"] * side).round().long().flatten()
    through = _through(side, images.device)[sizes - 1]
    return (through @ images[:, 0] @ through.mT)[:, None]


@functools.cache
def _through(side: int, device: torch.device) -> Tensor:
    """(side, side, side): for each number of pixels from 1 on, the matrix that a line of `side`
    pixels is multiplied with to go down to so many (area) and up again (bilinear)."""
    lines = torch.eye(side, device=device)[:, None]
    ways = [
        interpolate(interpolate(lines, n, mode="area"), side, mode="linear")[:, 0].T
        for n in range(1, side + 1)
    ]
    return torch.stack(ways)


def noise(images: Tensor, values: Values) -> Tensor:
    """Gaussian noise of that standard deviation: the square at a place that was drawn of a larger
    one, so that it repeats with the draw."""
    side = images.shape[-1]
    plane = _noise(4 * side, images.device)
    right, down = ((values[name] * 3 * side).long() for name in ("noise_right", "noise_down"))
    line = torch.arange(side, device=images.device)
    return images + plane[down + line[:, None], right + line] * values["noise"]


@functools.cache
def _noise(side: int, device: torch.device) -> Tensor:
    """(side, side) of mean 0 and deviation 1, the same on every device."""
    return torch.randn(side, side, generator=torch.Generator().manual_seed(0)).to(device)


def jpeg(images: Tensor, values: Values) -> Tensor:
    """What JPEG of that quality keeps of a grey picture (ITU-T T.81): the cosine transform of each
    8 x 8 pixels, rounded to multiples of its table; 100 keeps nearly all."""
    quality, side = values["jpeg"], images.shape[-1]
    more = -side % 8
    blocks = pad(images * 255 - 128, [0, more, 0, more], mode="replicate")
    rows = blocks.shape[2] // 8
    blocks = blocks.reshape(-1, 1, rows, 8, rows, 8).transpose(3, 4)
    cosines, table = _cosines_and_table(images.device)
    scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50)[:, :, :, :, None, None]
    steps = (table * scale + 0.5).floor().clamp(1, 255)
    kept = (cosines @ blocks @ cosines.T / steps).round() * steps
    pixels: Tensor = (cosines.T @ kept @ cosines).transpose(3, 4).flatten(4, 5).flatten(2, 3)
    return (pixels[..., :side, :side] + 128) / 255


_FLAWS: tuple[tuple[tuple[str, ...], Flaw], ...] = (
    (("uneven_light",), uneven_light),
    (("gamma",), gamma),
    (("defocus", "shake"), blur),
    (("few_pixels",), few_pixels),
    (("noise",), noise),
    (("jpeg",), jpeg),
)


@functools.cache
def _cosines_and_table(device: torch.device) -> tuple[Tensor, Tensor]:
    """(8, 8) each: the cosine transform (DCT-II) of eight numbers, orthonormal, and the table of
    quantisation. Copied to a device once: it would wait for each copy."""
    n = torch.arange(8)
    rows = torch.cos((2 * n + 1) * n[:, None] * math.pi / 16) / 2
    rows[0] /= math.sqrt(2)
    return rows.to(device), _LUMINANCE.to(device)
