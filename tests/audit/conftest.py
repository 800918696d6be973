"""A data set of drawn faces with planted faults, and what was planted."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mien.data.drawn import draw_face
from mien.labels import FER2013

Grey = NDArray[np.uint8]


def shift(image: Grey, rng: np.random.Generator) -> Grey:
    x, y = rng.integers(1, 4, 2) * rng.choice([-1, 1], 2)
    matrix = np.array([[1, 0, x], [0, 1, y]], np.float32)
    return cv2.warpAffine(image, matrix, (48, 48), borderMode=cv2.BORDER_REPLICATE)


def recompress(image: Grey, rng: np.random.Generator) -> Grey:
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 90))])[1]
    return cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)


def rescale(image: Grey, rng: np.random.Generator) -> Grey:
    side = int(rng.integers(32, 44))
    return cv2.resize(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), (48, 48))


def relight(image: Grey, rng: np.random.Generator) -> Grey:
    return (image * rng.uniform(0.6, 0.9) + rng.uniform(0, 20)).astype(np.uint8)


ALTERATIONS: dict[str, Callable[[Grey, np.random.Generator], Grey]] = {
    "copied": lambda image, rng: image,
    "shifted": shift,
    "recompressed": recompress,
    "rescaled": rescale,
    "brighter": relight,
    "mirrored": lambda image, rng: np.ascontiguousarray(image[:, ::-1]),
}
PLANTED_EACH = 12


@dataclass(frozen=True)
class Planted:
    """A folder, and the names in it: (original, copy) by alteration, and the unusable ones."""

    folder: Path
    copies: dict[str, list[tuple[str, str]]]
    blank: set[str]
    broken: set[str]


def write(folder: Path, name: str, image: Grey) -> str:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(cv2.imencode(".png", image)[1].tobytes())
    return name


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """210 drawn faces for training, 28 for the test, and copies: half in the test split."""
    folder = tmp_path_factory.mktemp("planted") / "faces"
    rng = np.random.default_rng(5)
    faces: dict[str, Grey] = {}
    for number in range(238):
        label = FER2013[number % 7]
        split = "train" if number < 210 else "test"
        image = draw_face(label, rng)
        faces[write(folder, f"{split}/{label}/face{number:03}.png", image)] = image
    training = [name for name in faces if name.startswith("train")]
    chosen = iter(rng.permutation(training))
    copies: dict[str, list[tuple[str, str]]] = {kind: [] for kind in ALTERATIONS}
    for kind, alter in ALTERATIONS.items():
        for number in range(PLANTED_EACH):
            original = str(next(chosen))
            label = original.split("/")[1]
            split = "test" if number % 2 else "train"
            copy = write(folder, f"{split}/{label}/{kind}{number}.png", alter(faces[original], rng))
            copies[kind].append((original, copy))
    blank = {
        write(folder, f"train/sad/blank{tone}.png", np.full((48, 48), tone, np.uint8))
        for tone in (0, 130, 255)
    }
    broken = {
        "train/sad/notes.txt": b"hello",
        "train/happy/text.png": b"hello",
        "train/happy/empty.png": b"",
        "test/fear/cut.png": (folder / training[0]).read_bytes()[:400],
        "stray.png": (folder / training[0]).read_bytes(),
    }
    for name, content in broken.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return Planted(folder, copies, blank, set(broken))
