"""FER-2013-C: 19 corruptions of faces at five severities, the same images for every network.

After ImageNet-C (Hendrycks & Dietterich 2019, arXiv:1903.12261): its noise, blur, light and file,
without weather, and with what happens to faces: covered eyes, mouths and halves, and frames that
are turned, shifted, tight or loose. The strengths were chosen by looking at training faces, so
that most can still be read at severity 5.

`OCCLUSIONS` are scored apart: what covers faces in photos, of five sizes, as `mien.covers` draws it
in training, too.
"""

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mien.covers import COVERS, DRAWN, EYES_AT, MOUTH_AT
from mien.covers import covered as cover
from mien.errors import ShapeError

SEVERITIES = 5

Face = NDArray[np.float32]
Images = NDArray[np.uint8]
Rng = np.random.Generator


@dataclass(frozen=True, slots=True)
class Corruption:
    """One corruption, and its strength at each severity from 1 on.

    `apply` maps an (S, S) float32 face in 0-1, a strength and a generator to such a face; what
    leaves 0-1 is cut off afterwards.
    """

    name: str
    kind: str
    apply: Callable[[Face, float, Rng], Face]
    strengths: tuple[float, ...]

    def __call__(self, images: Images, severity: int, rows: NDArray[np.int64]) -> Images:
        """(N, S, S) uint8 from the same; `rows` (N,) are the images' numbers in their split.

        An image's randomness depends on corruption, severity and its number alone, so that every
        network sees the same pictures, in batches and subsets of any kind.
        """
        if images.ndim != 3 or images.dtype != np.uint8:
            raise ShapeError(f"expected (N, S, S) uint8 images, got {images.shape} {images.dtype}")
        if not 1 <= severity <= SEVERITIES:
            raise ShapeError(f"expected a severity from 1 to {SEVERITIES}, got {severity}")
        strength, code = self.strengths[severity - 1], zlib.crc32(self.name.encode())
        corrupted = np.empty_like(images)
        for out, image, row in zip(corrupted, images, rows, strict=True):
            rng = np.random.default_rng([code, severity, int(row)])
            found = self.apply(image.astype(np.float32) / 255, strength, rng)
            out[...] = np.rint(255 * np.clip(found, 0, 1))
        return corrupted


def gaussian_noise(face: Face, deviation: float, rng: Rng) -> Face:
    """Noise of a sensor in poor light, of that standard deviation."""
    return face + rng.normal(0, deviation, face.shape).astype(np.float32)


def shot_noise(face: Face, photons: float, rng: Rng) -> Face:
    """Noise of counting: a white pixel caught so many photons."""
    return (rng.poisson(face * photons) / photons).astype(np.float32)


def impulse_noise(face: Face, share: float, rng: Rng) -> Face:
    """That share of the pixels is black or white."""
    hit = rng.random(face.shape) < share
    return np.where(hit, rng.integers(0, 2, face.shape), face).astype(np.float32)


def defocus_blur(face: Face, radius: float, _: Rng) -> Face:
    """A disk; `radius` as a share of the side."""
    x, y = _grid(radius * len(face))
    return _filtered(face, radius * len(face) + 0.5 - np.hypot(x, y))


def motion_blur(face: Face, length: float, rng: Rng) -> Face:
    """A line in any direction; `length` as a share of the side."""
    half = length * len(face) / 2
    x, y = _grid(half)
    angle = rng.uniform(0, math.pi)
    along = x * math.cos(angle) + y * math.sin(angle)
    across = y * math.cos(angle) - x * math.sin(angle)
    return _filtered(face, np.minimum(half + 0.5 - abs(along), 1 - abs(across)))


def low_resolution(face: Face, share: float, _: Rng) -> Face:
    """Down to that share of the side and up again: a face far away."""
    import cv2

    side = len(face)
    small = cv2.resize(face, (max(round(share * side), 1),) * 2, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (side, side), interpolation=cv2.INTER_LINEAR))


def jpeg(face: Face, quality: float, _: Rng) -> Face:
    """Through a JPEG file of that quality."""
    import cv2

    pixels = np.rint(255 * face).astype(np.uint8)
    file = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])[1]
    return np.asarray(cv2.imdecode(file, cv2.IMREAD_GRAYSCALE), np.float32) / np.float32(255)


def contrast(face: Face, factor: float, _: Rng) -> Face:
    """Differences from the face's mean, times `factor`."""
    return np.asarray((face - face.mean()) * factor + face.mean(), np.float32)


def brightness(face: Face, step: float, _: Rng) -> Face:
    """Brighter by `step`; what is white then stays white."""
    return face + np.float32(step)


def darkness(face: Face, factor: float, _: Rng) -> Face:
    """So much of the light."""
    return face * np.float32(factor)


def uneven_light(face: Face, strength: float, rng: Rng) -> Face:
    """Light from a side, any: from 1 - strength to 1 + strength across the face."""
    line = np.linspace(-1, 1, len(face), dtype=np.float32)
    angle = rng.uniform(0, 2 * math.pi)
    x, y = math.cos(angle), math.sin(angle)
    ramp = (x * line + y * line[:, None]) / (abs(x) + abs(y))
    return np.asarray(face * (1 + strength * ramp), np.float32)


def covered_eyes(face: Face, height: float, rng: Rng) -> Face:
    """A bar over both eyes, of any tone; `height` as a share of the side. That of severity 5 hides
    both eyes of 90 % of 584 training faces; that of severity 1, of 61 %."""
    return _bar(face, EYES_AT, height, rng)


def covered_mouth(face: Face, height: float, rng: Rng) -> Face:
    """A bar over the mouth, of any tone; `height` as a share of the side. That of severity 5 hides
    the mouth of 94 % of these faces; that of severity 1, of 59 %."""
    return _bar(face, MOUTH_AT, height, rng)


def covered_side(face: Face, width: float, rng: Rng) -> Face:
    """From the left or the right edge, of any tone; `width` as a share of the side."""
    side = len(face)
    edge = round(width * side)
    left = 0 if rng.random() < 0.5 else side - edge
    return _covered(face, (0, side), (left, left + edge), rng)


def patch(face: Face, width: float, rng: Rng) -> Face:
    """A square anywhere inside, of any tone; `width` as a share of the side."""
    side = len(face)
    edge = round(width * side)
    top, left = rng.integers(0, side - edge + 1, 2)
    return _covered(face, (top, top + edge), (left, left + edge), rng)


def rotation(face: Face, degrees: float, rng: Rng) -> Face:
    """A head tilted to either side."""
    return _moved(face, rng.choice((-1, 1)) * degrees, 1, (0, 0))


def shift(face: Face, distance: float, rng: Rng) -> Face:
    """A frame that misses, in any direction; `distance` as a share of the side."""
    angle = rng.uniform(0, 2 * math.pi)
    length = distance * len(face)
    return _moved(face, 0, 1, (length * math.cos(angle), length * math.sin(angle)))


def scale(face: Face, factor: float, _: Rng) -> Face:
    """A face so many times as large in its frame."""
    return _moved(face, 0, factor, (0, 0))


CORRUPTIONS = (
    Corruption("gaussian noise", "noise", gaussian_noise, (0.03, 0.06, 0.09, 0.12, 0.15)),
    Corruption("shot noise", "noise", shot_noise, (150, 80, 45, 30, 20)),
    Corruption("impulse noise", "noise", impulse_noise, (0.01, 0.025, 0.045, 0.07, 0.1)),
    Corruption("defocus blur", "blur", defocus_blur, (0.015, 0.022, 0.03, 0.037, 0.045)),
    Corruption("motion blur", "blur", motion_blur, (0.04, 0.07, 0.1, 0.13, 0.16)),
    Corruption("low resolution", "file", low_resolution, (2 / 3, 1 / 2, 5 / 12, 3 / 8, 1 / 3)),
    Corruption("JPEG", "file", jpeg, (40, 25, 17, 12, 9)),
    Corruption("contrast", "light", contrast, (0.7, 0.5, 0.4, 0.3, 0.2)),
    Corruption("brightness", "light", brightness, (0.08, 0.16, 0.24, 0.32, 0.4)),
    Corruption("darkness", "light", darkness, (0.7, 0.5, 0.4, 0.3, 0.2)),
    Corruption("uneven light", "light", uneven_light, (0.2, 0.4, 0.6, 0.8, 1)),
    Corruption("covered eyes", "cover", covered_eyes, (0.12, 0.16, 0.2, 0.25, 0.3)),
    Corruption("covered mouth", "cover", covered_mouth, (0.12, 0.16, 0.2, 0.25, 0.3)),
    Corruption("covered side", "cover", covered_side, (0.1, 0.2, 0.3, 0.4, 0.5)),
    Corruption("patch", "cover", patch, (0.15, 0.22, 0.3, 0.37, 0.45)),
    Corruption("rotation", "frame", rotation, (8, 16, 24, 32, 40)),
    Corruption("shift", "frame", shift, (0.04, 0.08, 0.12, 0.16, 0.2)),
    Corruption("tight frame", "frame", scale, (1.08, 1.16, 1.24, 1.32, 1.4)),
    Corruption("loose frame", "frame", scale, (0.9, 0.8, 0.7, 0.6, 0.5)),
)


def occlusion(kind: str, face: Face, size: float, rng: Rng) -> Face:
    """A cover of `kind`, of that size in 0-1 between its smallest and its largest."""
    line = (np.arange(len(face), dtype=np.float32) + 0.5) / len(face)
    drawn = {name: rng.random() for name in DRAWN} | {"size": size}
    return np.asarray(cover(kind, face, line[None], line[:, None], drawn), np.float32)


OCCLUSIONS = tuple(
    Corruption(kind, "cover", partial(occlusion, kind), (0, 0.25, 0.5, 0.75, 1)) for kind in COVERS
)


def _grid(reach: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """x (1, K) and y (K, 1) in pixels from the middle of a kernel that reaches so far."""
    line = np.arange(-math.ceil(reach), math.ceil(reach) + 1, dtype=np.float64)
    return line[None], line[:, None]


def _filtered(face: Face, kernel: NDArray[np.float64]) -> Face:
    """By the part of `kernel` in 0-1, brought to the sum 1: its edge pixels count in part."""
    import cv2

    kernel = np.clip(kernel, 0, 1)
    return np.asarray(
        cv2.filter2D(face, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)
    )


def _bar(face: Face, middle: float, height: float, rng: Rng) -> Face:
    side = len(face)
    top, bottom = round((middle - height / 2) * side), round((middle + height / 2) * side)
    return _covered(face, (top, bottom), (0, side), rng)


def _covered(face: Face, rows: tuple[int, int], columns: tuple[int, int], rng: Rng) -> Face:
    out = face.copy()
    out[slice(*rows), slice(*columns)] = rng.random()
    return out


def _moved(face: Face, degrees: float, factor: float, shift: tuple[float, float]) -> Face:
    """Turned and scaled about the middle, then shifted by pixels; the border's pixels go on."""
    import cv2

    middle = (len(face) - 1) / 2
    matrix = cv2.getRotationMatrix2D((middle, middle), degrees, factor)
    matrix[:, 2] += np.asarray(shift)
    return np.asarray(
        cv2.warpAffine(face, matrix, face.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
    )
