"""Decode once: a data set as memory-mapped arrays, kept under a key of its content."""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from mien.data.dataset import Clips, Dataset, Split
from mien.data.formats import table
from mien.data.gathered import kept
from mien.data.records import Clip, LeftOut, Record
from mien.data.tree import Tree
from mien.errors import DataError
from mien.files import home, replacing_folder, sha256, write_json
from mien.labels import vocabulary
from mien.preprocess import scale

FORMAT = "2"
"""Counted up when a data set is read otherwise than before: it is decoded again."""
MIXED_SIDE_PX = 96
LARGEST_PX = 224
"""Side that pictures of several sizes get at most, whatever a model asks."""
_NATIVE_PX = 256
_FRAMES = "frames.u8"
"""The frames of all clips, one after the other, without a header."""
_ORDER = ("train", "val", "public", "private", "test")


@dataclass(frozen=True, slots=True)
class Asked:
    """How a data set is to be read: its format, None to recognise it; in colour or grey; the side
    in pixels that pictures of several sizes get."""

    format: str | None = None
    color: bool = False
    side_px: int = MIXED_SIDE_PX
    clips: bool | None = False
    """Whether clips are expected, or images; None: either."""
    fold: int = 1
    """Which of its own folds, of a data set of clips that has several."""

    @property
    def mixed_px(self) -> int:
        """That side, within what is kept."""
        return min(max(self.side_px, MIXED_SIDE_PX), LARGEST_PX)

    def place(self, key: str) -> Path:
        """Folder of the cache for it."""
        words = (
            self.format,
            self.color and "color",
            self.clips and "clips",
            self.fold > 1 and f"fold{self.fold}",
        )
        how = "".join(f"-{word}" for word in words if word)
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
        if (shape := facts.get("frames")) is not None:
            return _clips(folder, name, facts, tuple(shape))
        images = np.load(folder / "images.npy", mmap_mode="r")
        labels, names = np.load(folder / "labels.npy"), np.load(folder / "names.npy")
        persons = np.load(folder / "persons.npy") if facts.get("persons") else None
    except (ValueError, OSError, EOFError):
        return None  # damaged: it will be decoded again
    side_px = images.shape[1]
    if not facts.get("native", side_px != MIXED_SIDE_PX) and side_px != asked.mixed_px:
        return None
    splits, start = {}, 0
    for split, size, digest in facts["splits"]:
        rows = slice(start, start + size)
        whose = None if persons is None else persons[rows]
        splits[split] = Split(split, kept(images[rows]), labels[rows], names[rows], whose)
        splits[split].__dict__["digest"] = digest  # spares hashing 83 MB at every start
        start += size
    return Dataset(name, tuple(facts["labels"]), splits, facts.get("left_out", {}))


def _clips(
    folder: Path, name: str, facts: Mapping[str, Any], shape: tuple[int, int, int]
) -> Dataset:
    """A data set of clips, whose frames are of that `shape` (F, S, S)."""
    lengths = np.load(folder / "lengths.npy")
    whole = Clips(
        "all",
        np.memmap(folder / _FRAMES, np.uint8, "r", shape=shape),
        np.load(folder / "labels.npy"),
        np.load(folder / "names.npy"),
        np.load(folder / "persons.npy") if facts["persons"] else None,
        starts=np.cumsum(lengths) - lengths,
        lengths=lengths,
        rates=np.load(folder / "rates.npy"),
    )
    splits, start = dict[str, Split](), 0
    for split, size, digest in facts["splits"]:
        part = whole.take(np.arange(start, start + size))
        splits[split] = replace(part, name=split)
        splits[split].__dict__["digest"] = digest
        start += size
    return Dataset(name, tuple(facts["labels"]), splits)


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

    def write(folder: Path) -> dict[str, object]:
        return {**_write(folder, found, asked), "left_out": left_out}

    return _keep(key, name, asked, write)


def store_clips(
    key: str,
    name: str,
    clips: Iterable[Clip],
    faces_of: Callable[[Clip], tuple[NDArray[np.uint8], float]],
    asked: Asked = PLAIN,
) -> Dataset:
    """The same for clips, of which `faces_of` gives the (L, S, S) uint8 frames, and how many there
    are in a second. One clip at a time is in memory."""
    found = sorted(clips, key=lambda clip: _ORDER.index(clip.split))
    return _keep(key, name, asked, lambda folder: _write_clips(folder, found, faces_of))


def _keep(key: str, name: str, asked: Asked, write: Callable[[Path], dict[str, object]]) -> Dataset:
    """Open what `write` puts into a new folder of the cache; it returns what splits.json tells."""
    place = asked.place(key)
    if place.exists() and load(key, name, asked) is None:
        shutil.rmtree(place, ignore_errors=True)
    try:
        with replacing_folder(place, keep=True) as folder:
            write_json(folder / "splits.json", write(folder))
    except OSError:
        if load(key, name, asked) is None:  # else another process was faster
            raise
    loaded = load(key, name, asked)
    assert loaded is not None
    return loaded


def _write_columns(folder: Path, records: Sequence[Record | Clip]) -> dict[str, Any]:
    """Labels, names and persons; what splits.json says of them."""
    labels = vocabulary(r.label for r in records)
    np.save(folder / "labels.npy", np.array([labels.index(r.label) for r in records], np.int64))
    np.save(folder / "names.npy", np.array([r.name for r in records]))
    if told := any(r.person for r in records):
        np.save(folder / "persons.npy", np.array([r.person for r in records]))
    return {"labels": labels, "persons": told}


def _write_clips(
    folder: Path,
    clips: Sequence[Clip],
    faces_of: Callable[[Clip], tuple[NDArray[np.uint8], float]],
) -> dict[str, object]:
    """The arrays of clips; what splits.json says of them."""
    lengths, rates, shape = [], [], (0, 0)
    with (folder / _FRAMES).open("wb") as file:
        for clip in clips:
            frames, rate = faces_of(clip)
            file.write(frames.tobytes())
            lengths.append(len(frames))
            rates.append(rate)
            shape = frames.shape[1:]
    np.save(folder / "lengths.npy", np.array(lengths, np.int64))
    np.save(folder / "rates.npy", np.array(rates, np.float64))
    facts = _write_columns(folder, clips) | {"frames": (sum(lengths), *shape)}
    sizes = Counter(clip.split for clip in clips)
    parts = [(split, size, "") for split, size in sizes.items()]
    opened = _clips(folder, "", facts | {"splits": parts}, facts["frames"]).splits
    splits = []
    for split, size in sizes.items():
        del opened[split].__dict__["digest"]
        splits.append((split, size, opened[split].digest))
    return facts | {"splits": splits}


def _write(folder: Path, records: Sequence[Record], asked: Asked) -> dict[str, object]:
    """The arrays of the cache; what splits.json says of them."""
    facts = _write_columns(folder, records)
    numbers = np.load(folder / "labels.npy")
    file = folder / "images.npy"
    native = _write_images(file, records, asked.color, None)
    if not native:
        _write_images(file, records, asked.color, asked.mixed_px)
    splits = list(_digests(np.load(file, mmap_mode="r"), numbers, records))
    return {**facts, "splits": splits, "native": native}


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
