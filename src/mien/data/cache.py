"""Decode once: a data set as memory-mapped arrays, kept under a key of its content."""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from mien.data.dataset import Dataset, Split
from mien.data.formats import table
from mien.data.gathered import kept
from mien.data.records import LeftOut, Record
from mien.data.tree import Tree
from mien.errors import DataError
from mien.files import home, replacing_folder, sha256, write_json
from mien.labels import FER2013, vocabulary
from mien.preprocess import scale

FORMAT = "1"
MIXED_SIDE_PX = 96
LARGEST_PX = 224
"""Side that pictures of several sizes get at most, whatever a model asks."""
_NATIVE_PX = 256
_ORDER = ("train", "val", "public", "private", "test")


@dataclass(frozen=True, slots=True)
class Asked:
    """How a data set is to be read: its format, None to recognise it; in colour or grey; the side
    in pixels that pictures of several sizes get."""

    format: str | None = None
    color: bool = False
    side_px: int = MIXED_SIDE_PX

    @property
    def mixed_px(self) -> int:
        """That side, within what is kept."""
        return min(max(self.side_px, MIXED_SIDE_PX), LARGEST_PX)

    def place(self, key: str) -> Path:
        """Folder of the cache for it."""
        how = "".join(f"-{word}" for word in (self.format, self.color and "color") if word)
        size = "" if self.mixed_px == MIXED_SIDE_PX else f"@{self.mixed_px}px"
        return home() / "data" / f"{key}{how}{size}"


PLAIN = Asked()


def key_of(path: Path) -> str:
    """Key of a data set: a file's SHA-256; of a folder, one over all paths, sizes and times.

    Reading 32,000 small files to hash them would cost more than the cache saves, hence the times.
    A table of pictures counts with them.
    """
    if path.is_dir():
        return f"{FORMAT}-{_seen((name, path / name) for name in Tree.open(path).names)}"
    key, tree = sha256(path)[:32], Tree(path, (path.name,))
    if table.recognises(tree):
        key = f"{key}-{_seen((str(file), file) for file in table.files(tree))}"
    return f"{FORMAT}-{key}"


def _seen(files: Iterable[tuple[str, Path]]) -> str:
    total = hashlib.sha256()
    for name, file in files:
        if file.exists():
            stat = file.stat()
            total.update(f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return total.hexdigest()[:32]


def load(key: str, name: str, asked: Asked = PLAIN) -> Dataset | None:
    """The data set kept under `key` as it is `asked`, memory-mapped, or None."""
    place = asked.place(key)
    for folder in (place, *sorted(place.parent.glob(f"{place.name.partition('@')[0]}@*"))):
        if (data := _load(folder, name, asked)) is not None:
            return data
    return None


def _load(folder: Path, name: str, asked: Asked) -> Dataset | None:
    if not (folder / "splits.json").is_file():
        return None
    try:
        facts = json.loads((folder / "splits.json").read_text())
        images = np.load(folder / "images.npy", mmap_mode="r")
        labels, names = np.load(folder / "labels.npy"), np.load(folder / "names.npy")
        persons = np.load(folder / "persons.npy") if facts.get("persons") else None
    except (ValueError, OSError, EOFError):
        return None  # damaged: it will be decoded again
    side_px = images.shape[1]
    if not facts.get("native", side_px != MIXED_SIDE_PX) and side_px != asked.mixed_px:
        return None
    if "left_out" not in facts and set(facts["labels"]) != set(FER2013):
        return None  # of mien 0.1, which took people for classes
    splits, start = {}, 0
    for split, size, digest in facts["splits"]:
        rows = slice(start, start + size)
        whose = None if persons is None else persons[rows]
        splits[split] = Split(split, kept(images[rows]), labels[rows], names[rows], whose)
        splits[split].__dict__["digest"] = digest  # spares hashing 83 MB at every start
        start += size
    return Dataset(name, tuple(facts["labels"]), splits, facts.get("left_out", {}))


def store(
    key: str, name: str, records: Iterable[Record | LeftOut], asked: Asked = PLAIN
) -> Dataset:
    """Decode all `records` into the cache and open them from there; DataError if there are none.

    One picture at a time is in memory, however many there are.
    """
    everything = list(records)
    found = [r for r in everything if isinstance(r, Record)]
    left_out = Counter(r.reason for r in everything if isinstance(r, LeftOut))
    if not found:
        raise DataError(f"{name} holds no pictures; expected train/<class>/*.png or fer2013.csv")
    found.sort(key=lambda r: _ORDER.index(r.split))
    place = asked.place(key)
    if place.exists() and load(key, name, asked) is None:
        shutil.rmtree(place, ignore_errors=True)
    try:
        with replacing_folder(place, keep=True) as folder:
            facts = _write(folder, found, asked)
            write_json(folder / "splits.json", {**facts, "left_out": left_out})
    except OSError:
        if load(key, name, asked) is None:  # else another process was faster
            raise
    loaded = load(key, name, asked)
    assert loaded is not None
    return loaded


def _write(folder: Path, records: Sequence[Record], asked: Asked) -> dict[str, object]:
    """The arrays of the cache; what splits.json says of them."""
    labels = vocabulary(r.label for r in records)
    numbers = np.array([labels.index(r.label) for r in records], np.int64)
    np.save(folder / "labels.npy", numbers)
    np.save(folder / "names.npy", np.array([r.name for r in records]))
    if told := any(r.person for r in records):
        np.save(folder / "persons.npy", np.array([r.person for r in records]))
    file = folder / "images.npy"
    native = _write_images(file, records, asked.color, None)
    if not native:
        _write_images(file, records, asked.color, asked.mixed_px)
    splits = list(_digests(np.load(file, mmap_mode="r"), numbers, records))
    return {"labels": labels, "splits": splits, "native": native, "persons": told}


def _write_images(path: Path, records: Sequence[Record], color: bool, side_px: int | None) -> bool:
    """Write (N, S, S) or, in colour, (N, S, S, 3) uint8 as NumPy's file; by default as they are,
    False if they are not of one square size up to 256 px."""
    with path.open("wb") as file:
        for row, record in enumerate(records):
            pixels = record.decoded(color=color)
            if row == 0:
                side = side_px or pixels.shape[0]
                shape = (len(records), side, side, *pixels.shape[2:])
                head = {"descr": "|u1", "fortran_order": False, "shape": shape}
                npy.write_array_header_1_0(file, head)
            if side_px is None and (pixels.shape[:2] != (side, side) or side > _NATIVE_PX):
                return False
            file.write(np.ascontiguousarray(scale(pixels, side)).data)
    return True


def _digests(
    images: NDArray[np.uint8], labels: NDArray[np.int64], records: Sequence[Record]
) -> Iterator[tuple[str, int, str]]:
    """Name, size and digest of each split."""
    start = 0
    for split, size in Counter(r.split for r in records).items():
        rows = slice(start, start + size)
        names = np.empty(size, np.str_)
        yield split, size, Split(split, images[rows], labels[rows], names).digest
        start += size
