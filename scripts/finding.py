"""Which faces are found: small, dark, covered and turned ones, none where there is none; how fast.

    python scripts/finding.py fer2013.zip [--images 300] [--faceless FOLDER]

PublicTest faces are laid on scikit-image's photos without faces, 1 to a picture of 640x480. False
faces are sought in these, or in a FOLDER of pictures without any, and in their quarters. Time is
processor time in units of one pass of the network over 640x640 px, both measured in turns.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import skimage
from numpy.typing import NDArray
from scipy.stats import binomtest

from mien.data import open_dataset
from mien.faces.yunet import YuNet
from mien.sources import read_picture
from mien.types import Box, Face

Pixels = NDArray[np.uint8]
WIDTH, HEIGHT = 640, 480
FACELESS = (
    *("brick.png", "chelsea.png", "clock_motion.png", "coffee.png", "coins.png", "color.png"),
    *("grass.png", "gravel.png", "horse.png", "hubble_deep_field.jpg", "ihc.png", "logo.png"),
    *("moon.png", "motorcycle_left.png", "page.png", "retina.jpg", "rocket.jpg", "text.png"),
)
SIDES = {f"{side} px": side for side in (24, 32, 40, 64, 120, 240)}
CHANGES: dict[str, Callable[[Pixels], Pixels]] = {
    "in 35 % of the light": lambda face: (0.35 * face).astype(np.uint8),
    "sunglasses": lambda face: covered(face, 0.28, 0.48),
    "mask": lambda face: covered(face, 0.6, 1.0),
    "turned by 20 degrees": lambda face: turned(face, 20),
    "turned by 45 degrees": lambda face: turned(face, 45),
    "upside down": lambda face: np.ascontiguousarray(face[::-1, ::-1]),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path, help="FER-2013")
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--faceless", type=Path, help="a folder")
    given = parser.parse_args()
    public = open_dataset(given.data).split("public")
    rows = np.random.default_rng(0).choice(len(public), given.images, replace=False)
    faces = [public.images[row] for row in rows]
    scenes = [scene(name) for name in FACELESS]
    detector = YuNet()
    print("| face | found, % |", "|---|---|", sep="\n")
    cases = {name: (side, lambda face: face) for name, side in SIDES.items()}
    cases |= {f"120 px, {name}": (120, change) for name, change in CHANGES.items()}
    for name, (side, change) in cases.items():
        found = sum(
            finds(detector, scenes[number % len(scenes)], change(face), side, number)
            for number, face in enumerate(faces)
        )
        low, high = binomtest(found, len(faces)).proportion_ci(method="wilson")
        share = 100 * found / len(faces)
        print(f"| {name} | {share:.1f} [{100 * low:.1f}, {100 * high:.1f}] |", flush=True)
    files = sorted(given.faceless.iterdir()) if given.faceless else []
    wholes = [read_picture(file) for file in files] or scenes
    false = [bool(detector.detect_in_photo(part)) for whole in wholes for part in parts(whole)]
    low, high = binomtest(sum(false), len(false)).proportion_ci(method="wilson")
    print(f"\nof {len(false)} pictures without a face, {sum(false)} have one", end=" ")
    print(f"[{100 * low:.1f}, {100 * high:.1f}] %")
    print(speed(detector, faces[0], scenes[3]))


def scene(name: str) -> Pixels:
    picture = read_picture(Path(skimage.__file__).parent / "data" / name)
    return np.asarray(cv2.resize(picture, (WIDTH, HEIGHT)), np.uint8)


def parts(whole: Pixels) -> list[Pixels]:
    """The picture and its four quarters, their longer side in 640 px."""
    down, right = whole.shape[0] // 2, whole.shape[1] // 2
    quarters = [whole[y : y + down, x : x + right] for y in (0, down) for x in (0, right)]
    return [in_640_px(part) for part in (whole, *quarters)]


def in_640_px(picture: Pixels) -> Pixels:
    scale = WIDTH / max(picture.shape[:2])
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=kind), np.uint8)


def covered(face: Pixels, top: float, bottom: float) -> Pixels:
    face, side = face.copy(), face.shape[0]
    face[round(top * side) : round(bottom * side), side // 8 : -side // 8] = 40
    return face


def turned(face: Pixels, degrees: float) -> Pixels:
    middle = (face.shape[1] / 2 - 0.5, face.shape[0] / 2 - 0.5)
    turn = cv2.getRotationMatrix2D(middle, -degrees, 1)
    return np.asarray(cv2.warpAffine(face, turn, face.shape, borderMode=cv2.BORDER_REPLICATE))


def laid(scene: Pixels, face: Pixels, side: int, number: int) -> tuple[Pixels, Box]:
    """The scene with a face of `side` px whose edges fade, and where it lies."""
    rng = np.random.default_rng(number)
    kind = cv2.INTER_AREA if side < face.shape[0] else cv2.INTER_CUBIC
    large = cv2.resize(face, (side, side), interpolation=kind)[:, :, None].astype(float)
    line = np.minimum(1, 8 * (0.5 - np.abs((np.arange(side) + 0.5) / side - 0.5)))
    alpha = np.minimum.outer(line, line)[:, :, None]
    x, y = rng.integers(0, WIDTH - side), rng.integers(0, HEIGHT - side)
    picture = scene.copy()
    part = picture[y : y + side, x : x + side]
    part[...] = (alpha * large + (1 - alpha) * part).astype(np.uint8)
    return picture, Box(int(x), int(y), side, side)


def finds(detector: YuNet, scene: Pixels, face: Pixels, side: int, number: int) -> bool:
    picture, place = laid(scene, face, side, number)
    return any(f.box.overlap(place) > 0.3 for f in detector.detect_in_photo(picture))


def speed(detector: YuNet, face: Pixels, scene: Pixels) -> str:
    picture, place = laid(scene, face, 120, 0)
    whole = np.zeros((640, 640, 3), np.uint8)
    asked: dict[str, Callable[[], object]] = {
        "one pass": lambda: detector._answers([whole], 0.9),
        "detect": lambda: detector.detect(picture),
        "look": lambda: detector.look(picture, [Face(place, 0.9)]),
    }
    taken: dict[str, list[float]] = {name: [] for name in asked}
    for _ in range(40):
        for name, ask in asked.items():
            begun = time.process_time()
            ask()
            taken[name].append(time.process_time() - begun)
    one, *others = (float(np.median(times)) for times in taken.values())
    told = [
        f"{name} {other / one:.2f}" for name, other in zip(("detect", "look"), others, strict=True)
    ]
    return f"640x480, one face, in passes of {1000 * one:.1f} ms: {', '.join(told)}"


if __name__ == "__main__":
    main()
