"""Draw the clips on which networks for clips are compared: KIND is order, noisy or faces.

    python scripts/draw_clips.py order OUT [--clips 600]
    python scripts/draw_clips.py noisy OUT
    python scripts/draw_clips.py faces OUT --data fer2013.zip

order: a smile that appears, or fades: the label is in the order of the frames alone.
noisy: seven expressions that come and go behind strong noise, with frames that are all noise.
faces: FER-2013's images, shaken, noisy and with dropped frames; public clips are of PublicTest.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data import open_dataset
from mien.data.drawn import Course, draw_clip, write_gif
from mien.framing import reframe
from mien.labels import FER2013

Frames = NDArray[np.uint8]
FRAMES = 12


def order(clips: int, rng: np.random.Generator) -> Iterator[tuple[str, Frames]]:
    """A clip that appears, and another one backwards: nothing but the order tells them apart."""
    for number in range(clips):
        start = rng.uniform(0.1, 0.5)
        course = Course((start, start + rng.uniform(0.2, 0.4)))
        frames = draw_clip("happy", rng, FRAMES, course=course)
        yield ("fades", frames[::-1]) if number % 2 else ("appears", frames)


def noisy(clips: int, rng: np.random.Generator) -> Iterator[tuple[str, Frames]]:
    """Drawn expressions with a short apex behind noise; a fifth of the frames shows none at all."""
    for number in range(clips):
        label = FER2013[number % len(FER2013)]
        yield label, noised(draw_clip(label, rng, FRAMES), rng, 35.0, 0.2)


def noised(frames: Frames, rng: np.random.Generator, level: float, lost: float) -> Frames:
    """With noise of that standard deviation, and that share of the frames lost to noise."""
    values = frames + rng.normal(0, level, frames.shape)
    gone = rng.random(len(frames)) < lost
    values[gone] = rng.uniform(0, 255, values[gone].shape)
    return np.clip(values, 0, 255).astype(np.uint8)


def shaken(image: Frames, rng: np.random.Generator) -> Frames:
    """(L, S, S): the image as a clip: it drifts and shakes, with noise and dropped frames."""
    walk = np.cumsum(rng.normal(0, (0.02, 0.015, 0.015, 0.015), (FRAMES, 4)), 0)
    framing = np.array([0, 1, 0, 0]) + walk + rng.normal(0, 0.01, (FRAMES, 4))
    frames = reframe(np.repeat(image[None], FRAMES, 0), framing.astype(np.float32))
    kept = np.flatnonzero(rng.random(FRAMES) > 0.25)
    return noised(frames[kept if len(kept) else [0]], rng, 20.0, 0.0)


def write(out: Path, clips: Iterator[tuple[str, Frames]], numbers: dict[str, int]) -> None:
    for split, number in numbers.items():
        for row in range(number):
            label, frames = next(clips)
            write_gif(out / split / label / f"{row:05}.gif", frames)


def write_faces(out: Path, data: Path, clips: int, rng: np.random.Generator) -> None:
    """As many training clips, and half as many of PublicTest."""
    dataset = open_dataset(data)
    for name, number in (("train", clips), ("public", clips // 2)):
        split = dataset.split(name)
        rows = rng.permutation(len(split))[:number]
        for row in rows:
            label = dataset.labels[split.labels[row]]
            write_gif(out / name / label / f"{row:05}.gif", shaken(split.images[row], rng))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("kind", choices=["order", "noisy", "faces"])
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, help="FER-2013, for faces")
    parser.add_argument("--clips", type=int, default=600, help="training clips")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng = np.random.default_rng(given.seed)
    if given.kind == "faces":
        write_faces(given.out, given.data, given.clips, rng)
        return
    each = {"train": given.clips, "public": given.clips // 2}
    clips = {"order": order, "noisy": noisy}[given.kind](sum(each.values()), rng)
    write(given.out, clips, each)


if __name__ == "__main__":
    main()
