"""Decode once: a data set as memory-mapped arrays, kept under a key of its content."""

import hashlib
import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mien.data.dataset import Dataset, Split
from mien.data.folder import list_files
from mien.data.records import Record
from mien.errors import DataError
from mien.files import home, replacing_folder, sha256, write_json
from mien.labels import vocabulary

FORMAT = "1"
_MIXED_SIDE_PX = 96
_ORDER = ("train", "val", "public", "private", "test")


def key_of(path: Path) -> str:
    """Key of a data set: a file's SHA-256; of a folder, one over all paths, sizes and times.

    Reading 32,000 small files to hash them would cost more than the cache saves, hence the times.
    """
    if path.is_file():
        return f"{FORMAT}-{sha256(path)[:32]}"
    total = hashlib.sha256()
    for name in list_files(path):
        stat = (path / name).stat()
        total.update(f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return f"{FORMAT}-{total.hexdigest()[:32]}"


def load(key: str, name: str) -> Dataset | None:
    """The data set kept under `key`, memory-mapped, or None."""
    folder = home() / "data" / key
    if not (folder / "splits.json").is_file():
        return None
    try:
        facts = json.loads((folder / "splits.json").read_text())
        images = np.load(folder / "images.npy", mmap_mode="r")
        labels = np.load(folder / "labels.npy")
        names = np.load(folder / "names.npy")
    except (ValueError, OSError, EOFError):
        return None  # damaged: it will be decoded again
    splits, start = {}, 0
    for split, size, digest in facts["splits"]:
        rows = slice(start, start + size)
        splits[split] = Split(split, images[rows], labels[rows], names[rows])
        splits[split].__dict__["digest"] = digest  # spares hashing 83 MB at every start
        start += size
    return Dataset(name, tuple(facts["labels"]), splits)


def store(key: str, name: str, records: Iterable[Record]) -> Dataset:
    """Decode all `records` into the cache and open them from there; DataError if there are none."""
    found = sorted(records, key=lambda r: _ORDER.index(r.split))
    if not found:
        raise DataError(f"{name} holds no pictures; expected train/<class>/*.png or fer2013.csv")
    labels = vocabulary(r.label for r in found)
    images = _stack(found)
    numbers = np.array([labels.index(r.label) for r in found], np.int64)
    names = np.array([r.name for r in found])
    facts, start = [], 0
    for split in _ORDER:
        size = sum(r.split == split for r in found)
        if size:
            rows = slice(start, start + size)
            digest = Split(split, images[rows], numbers[rows], names[rows]).digest
            facts.append((split, size, digest))
            start += size
    place = home() / "data" / key
    if place.exists() and load(key, name) is None:
        shutil.rmtree(place, ignore_errors=True)
    try:
        with replacing_folder(place, keep=True) as folder:
            np.save(folder / "images.npy", images)
            np.save(folder / "labels.npy", numbers)
            np.save(folder / "names.npy", names)
            write_json(folder / "splits.json", {"labels": labels, "splits": facts})
    except OSError:
        if load(key, name) is None:  # else another process was faster
            raise
    loaded = load(key, name)
    assert loaded is not None
    return loaded


def _stack(records: list[Record]) -> np.ndarray:
    """(N, S, S) uint8; pictures of one square size keep it, others become 96 px."""
    shapes = {r.pixels.shape for r in records}
    height, width = next(iter(shapes))
    if len(shapes) == 1 and height == width and height <= 256:
        return np.stack([r.pixels for r in records])
    from mien.preprocess import scale

    return np.stack([scale(r.pixels, _MIXED_SIDE_PX) for r in records])
