"""How much memory a large data set takes: decoding it, opening it again, and an epoch of batches.

    python scripts/data_memory.py [--images 300000] [--side 224] [--color] [--place DIR]

Draws 64 faces, links them into a folder per class under other names, and runs each step as a
process of its own. Prints its time, the peak of its own memory (RssAnon of Linux: what it cannot
give back) and the peak that counts the mapped files, whose pages the system takes back at will.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import cv2
import numpy as np

from mien.data.drawn import draw_face
from mien.labels import FER2013

BATCH, STEPS = 64, 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=300_000)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--color", action="store_true")
    parser.add_argument("--place", type=Path, help="where there is room; default: a temporary one")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    parser.add_argument("--data", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        measured(given)
        return
    with tempfile.TemporaryDirectory(dir=given.place) as folder:
        data = Path(folder) / "faces"
        draw(data, given.images, given.side)
        os.environ["MIEN_HOME"] = str(Path(folder) / "home")
        print(
            f"{given.images:,} pictures of {given.side} px, {'colour' if given.color else 'grey'}"
        )
        for step in ("decode", "open", "batches"):
            command = [sys.executable, __file__, "--step", step, "--data", str(data)]
            command += ["--color"] if given.color else []
            subprocess.run(command, check=True)


def draw(root: Path, images: int, side: int) -> None:
    """`images` names of 64 JPEG files of drawn faces."""
    rng = np.random.default_rng(0)
    faces = []
    for number in range(64):
        label = FER2013[number % len(FER2013)]
        grey = cv2.resize(draw_face(label, rng), (side, side), interpolation=cv2.INTER_CUBIC)
        noise = rng.integers(0, 20, (side, side, 3))
        file = root / "train" / label / f"drawn{chr(97 + number // 8)}{chr(97 + number % 8)}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(file), np.clip(grey[..., None] + noise, 0, 255).astype(np.uint8))
        faces.append(file)
    for number in range(len(faces), images):
        face = faces[number % len(faces)]
        os.link(face, face.with_name(f"{number:07d}.jpg"))


def measured(given: argparse.Namespace) -> None:
    """Run a step and print what it took."""
    peak, over = [0], threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            peak[0] = max(peak[0], own_kb())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    started = time.perf_counter()
    STEPS_BY_NAME[given.step](given)
    seconds = time.perf_counter() - started
    over.set()
    whole = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{given.step:<8} {seconds:8.1f} s  own memory {max(peak[0], own_kb()) / 2**20:5.2f} GiB  "
        f"with mapped files {whole / 2**20:6.2f} GiB",
        flush=True,
    )


def own_kb() -> int:
    """Anonymous memory of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon")).split()[1])


def opened(given: argparse.Namespace):
    from mien.data import Asked, open_dataset

    return open_dataset(given.data, Asked(color=given.color))


def batches(given: argparse.Namespace) -> None:
    """What a training holds: nine tenths of the images, shuffled, a tenth to validate."""
    from mien.train.batches import training_batches
    from mien.train.lessons import Lessons

    recipe = recipe_of(given.color)
    training, validation = opened(given).for_training("train", "auto", 0)
    preprocess = recipe.input.preprocess(training.images.shape[1])
    lessons = Lessons(recipe, len(training))
    loader = training_batches(training, preprocess, BATCH, 0, lessons)
    loader.sampler.set_epoch(0)
    for step, _ in enumerate(loader, 1):
        if step == STEPS:
            break
    assert len(validation.images[:BATCH])


def recipe_of(color: bool):
    from mien.recipes import load_recipe

    means = "mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5], color: true" if color else "mean: [0.5]"
    std = "" if color else ", std: [0.5]"
    return load_recipe("efficientnet-lite0", [f"input={{size_px: 224, {means}{std}}}"])


STEPS_BY_NAME = {"decode": opened, "open": opened, "batches": batches}

if __name__ == "__main__":
    main()
