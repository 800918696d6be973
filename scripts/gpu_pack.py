"""Pack what a graphics card's machine needs for `scripts/gpu_sprint.sh`.

    python scripts/gpu_pack.py fer2013.zip ferplus_votes.csv .sprint

PublicTest lossless, targets of labels and votes, FaceNet's weights to start from, packages that the
machine lacks, and the training faces as one WebP mosaic of the best quality that fits: with the
working tree, all is at most 63 MiB. No data-set image goes into the repository: tell git to ignore
the folder (`echo /.sprint/ >> .git/info/exclude`).
"""

import argparse
import importlib.metadata
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from mien.data import open_dataset
from mien.data.ferplus import join_votes
from mien.models import build
from mien.train.targets import one_hot, translate

COLUMNS = 170
VOTES = 0.4  # their share of the target, as in the recipes
QUALITIES = range(60, 97)
LEVELS = 31  # either way, of FaceNet's weights: 14 MB
WHEELS = ("pydantic", "pydantic-core", "annotated-types", "typing-inspection", "typing-extensions")
PYTHON, PLATFORM = "3.12", "manylinux_2_17_x86_64"  # of the machine
ROOT = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("votes", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--limit", type=float, default=63, help="MiB, with the working tree")
    given = parser.parse_args()

    given.out.mkdir(parents=True, exist_ok=True)
    for old in (given.out / "wheels").glob("*.whl"):
        old.unlink()
    (given.out / "train.webp").unlink(missing_ok=True)  # its room is what the others leave
    data = open_dataset(given.data)
    training, public = data.split("train"), data.split("public")
    (given.out / "public.webp").write_bytes(webp(mosaic(public.images), 101))
    targets = one_hot(training.labels, len(data.labels))
    votes = translate(join_votes(training, given.votes), training.labels, targets)
    np.savez_compressed(
        given.out / "facts.npz",
        classes=np.array(data.labels),
        targets=((1 - VOTES) * targets + VOTES * votes).astype(np.float16),
        public=public.labels,
        fresh=without_copies(public.names),
    )
    model = build("facenet", classes=len(data.labels), channels=1, weights="faces")
    save_start(model, given.out / "facenet.npz")
    fetch_wheels(given.out / "wheels")
    room = given.limit * 2**20 - size(given.out) - size_of_tree()
    quality, content = best_fit(mosaic(training.images), int(room))
    (given.out / "train.webp").write_bytes(content)
    print(
        f"{given.out}: {size(given.out) / 2**20:.1f} MiB, training faces in quality {quality}; "
        f"with the tree {(size(given.out) + size_of_tree()) / 2**20:.1f} MiB"
    )


def size(folder: Path) -> int:
    """Bytes of its files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def size_of_tree() -> int:
    """Bytes of all files here that git does not ignore."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    paths = [ROOT / name for name in names.split("\0") if name]
    return sum(path.stat().st_size for path in paths if path.is_file())


def without_copies(names: Sequence[str]) -> NDArray[np.bool_]:
    """(N,) whether an image has no copy in training, also not an altered one."""
    with np.load(ROOT / "results" / "predictions.npz") as found:
        fresh = dict(zip(found["names"].tolist(), found["copies"] == 0, strict=True))
    return np.array([fresh[name] for name in names])


def fetch_wheels(folder: Path) -> None:
    """The versions installed here, for the machine's Python."""
    wanted = [f"{name}=={importlib.metadata.version(name)}" for name in WHEELS]
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder)]
    command += ["--only-binary=:all:", "--python-version", PYTHON, "--platform", PLATFORM]
    subprocess.run([*command, "--implementation", "cp", *wanted], check=True)


def best_fit(sheet: NDArray[np.uint8], room: int) -> tuple[int, bytes]:
    """The best quality that takes at most `room` bytes, and the picture (by bisection)."""
    low, high = QUALITIES.start, QUALITIES.stop
    found = webp(sheet, low)
    if len(found) > room:
        raise SystemExit(
            f"the training faces take {len(found):,} bytes; there is room for {room:,}"
        )
    while high - low > 1:
        middle = (low + high) // 2
        tried = webp(sheet, middle)
        low, high, found = (low, middle, found) if len(tried) > room else (middle, high, tried)
    return low, found


def webp(sheet: NDArray[np.uint8], quality: int) -> bytes:
    """The content of a file; above 100 lossless."""
    return cv2.imencode(".webp", sheet, [cv2.IMWRITE_WEBP_QUALITY, quality])[1].tobytes()


def mosaic(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N, S, S) → one picture, 170 faces a row."""
    side = images.shape[1]
    rows = -(-len(images) // COLUMNS)
    full = np.zeros((rows * COLUMNS, side, side), np.uint8)
    full[: len(images)] = images
    sheet = full.reshape(rows, COLUMNS, side, side).swapaxes(1, 2)
    return np.ascontiguousarray(sheet.reshape(rows * side, COLUMNS * side))


def save_start(model: torch.nn.Module, path: Path) -> None:
    """Matrices in 6 bits with a scale for each output channel, all else in 16."""
    arrays: dict[str, NDArray[np.generic]] = {}
    for name, value in model.state_dict().items():
        array = value.numpy()
        if array.ndim > 1:
            flat = np.abs(array.reshape(len(array), -1)).max(1)
            scale = np.maximum(flat, 1e-12) / LEVELS
            turned = array / scale.reshape(-1, *[1] * (array.ndim - 1))
            arrays[name] = np.round(turned).astype(np.int8)
            arrays[f"{name}//scale"] = scale.astype(np.float32)
        else:
            arrays[name] = array.astype(np.float16 if array.dtype == np.float32 else array.dtype)
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
