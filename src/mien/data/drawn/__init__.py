"""Drawn faces: a small data set for those without FER-2013, and for tests.

A face is a `Person` (shape, hair, tones) with an `Actions` set (what the muscles do), seen
through a `View` (pose, light, camera). In a clip, actions and view follow a `Course`.
"""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from mien.data.drawn.anatomy import EXPRESSIONS, some_actions, some_person, some_view
from mien.data.drawn.motion import Course, draw_clip
from mien.data.drawn.painting import SIZE_PX, Grey, paint
from mien.errors import InputError
from mien.files import replacing_folder
from mien.labels import FER2013

__all__ = ["Course", "draw_clip", "draw_dataset", "draw_face", "write_gif"]

_FRAME_MS = 40
MIN_IMAGES = 10 * len(FER2013)
"""With fewer, a tenth could not hold every class."""


def draw_face(expression: str, rng: np.random.Generator, size_px: int = SIZE_PX) -> Grey:
    """(size_px, size_px) uint8 grey face that shows `expression`; InputError if it is unknown.

    `rng` decides person, pose, light and noise: the same state gives the same face.
    """
    if expression not in EXPRESSIONS:
        raise InputError(
            f"unknown expression {expression!r}; expected one of {', '.join(EXPRESSIONS)}"
        )
    if size_px < 8:
        raise InputError(f"expected a face of at least 8 px, got {size_px}")
    person, view = some_person(rng), some_view(rng)
    return paint(person, some_actions(EXPRESSIONS[expression], rng), view, size_px, rng)


def draw_dataset(
    out: Path,
    images: int,
    seed: int,
    *,
    clips: bool = False,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Write `images` drawn faces to `out` in the layout of Kaggle's FER-2013.

    `train/<class>/Training_000012.png`, and `test/<class>/` with `PublicTest_` and `PrivateTest_`
    (80, 10 and 10 %); every split holds every class, within one image of equally often. With
    `clips`, each is a film of a face that moves, `Training_000012.gif`. The same `seed` writes the
    same bytes. `progress` is called with 1 after each image. InputError if `images` is below 70 or
    `out` is there and not an empty folder.
    """
    if images < MIN_IMAGES:
        raise InputError(
            f"expected at least {MIN_IMAGES} images, so that each split holds each class; "
            f"got {images}"
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} is there and not an empty folder; choose another or remove it")
    if seed < 0:
        raise InputError(f"expected a seed of at least 0, got {seed}")
    with replacing_folder(out) as folder:
        for number, place in enumerate(_places(images)):
            _draw(folder / place, _rng(seed, number), clips)
            if progress:
                progress(1)


def _draw(place: Path, rng: np.random.Generator, clips: bool) -> None:
    """One face, of the class that its folder names."""
    expression = place.parent.name
    if not clips:
        _write_png(place, draw_face(expression, rng))
        return
    write_gif(place.with_suffix(".gif"), draw_clip(expression, rng))


def _rng(seed: int, number: int) -> np.random.Generator:
    """A generator of its own per image: the first 70 faces of 700 are those of 70."""
    return np.random.default_rng([seed, number])


def _places(images: int) -> list[str]:
    tenth = images // 10
    kinds = ["Training"] * (images - 2 * tenth) + ["PublicTest"] * tenth + ["PrivateTest"] * tenth
    return [
        f"{'train' if kind == 'Training' else 'test'}/{FER2013[number % len(FER2013)]}"
        f"/{kind}_{number:06d}.png"
        for number, kind in enumerate(kinds)
    ]


def write_gif(path: Path, frames: Grey) -> None:
    """Write (L, S, S) uint8 grey `frames` as a film of 25 a second, without loss."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    first, *others = map(Image.fromarray, frames)
    first.save(path, save_all=True, append_images=others, duration=_FRAME_MS, optimize=False)


def _write_png(path: Path, image: Grey) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", image)[1].tobytes())
