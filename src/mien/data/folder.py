"""Folder-per-class data sets, unpacked or in a zip: Kaggle's FER-2013, or anyone's own."""

import os
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from mien.data.records import Record
from mien.errors import DataError, PictureError
from mien.labels import FER2013, canonical
from mien.sources import PICTURE_SUFFIXES, decode

_SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "public": "public",
    "publictest": "public",
    "private": "private",
    "privatetest": "private",
}
_HIDDEN = ("thumbs.db", "desktop.ini", "__macosx")


def read_folder(root: Path) -> Iterator[Record]:
    """Records of `root/[split/]class/picture`; DataError for anything that is no picture."""
    for name in list_files(root):
        yield record(name, (root / name).read_bytes(), str(root))


def read_zip(path: Path) -> Iterator[Record]:
    """The same from a zip, without unpacking it."""
    try:
        with zipfile.ZipFile(path) as archive:
            for name in sorted(n for n in archive.namelist() if wanted(n)):
                yield record(name, archive.read(name), str(path))
    except (zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} is not a whole zip file ({error}); fetch it again") from error
    except RuntimeError as error:  # zipfile's answer to encryption and to unknown compression
        raise DataError(f"{path} cannot be unpacked here ({error}); open it unpacked") from error


def list_files(root: Path) -> list[str]:
    """POSIX paths below `root` of all files that are not hidden, sorted."""
    found = []
    for folder, _, files in os.walk(root):
        inside = Path(folder).relative_to(root)
        found += [(inside / name).as_posix() for name in files]
    return sorted(name for name in found if wanted(name))


def wanted(name: str) -> bool:
    """Whether a file may be one of the data set's, and not what a system left beside them."""
    parts = [part.lower() for part in name.split("/")]
    return bool(parts[-1]) and not any(p in _HIDDEN or p.startswith(".") for p in parts)


def record(name: str, data: bytes, source: str) -> Record:
    """The picture in a file, with the split and label that its path tells; DataError otherwise."""
    path = PurePosixPath(name)
    if path.suffix.lower() not in PICTURE_SUFFIXES:
        raise DataError(f"{source}: {name} is not a picture; move it out of the data set")
    split, inside = _split_of(path)
    if len(inside) != 1:
        raise DataError(
            f"{source}: {name} has no class folder; expected train/<class>/picture.png "
            "and test/<class>/picture.png"
        )
    label = canonical(inside[0])
    if path.name.startswith(("PublicTest", "PrivateTest", "Training")) and label not in FER2013:
        raise DataError(f"{source}: {name}: unknown label {label!r}; expected {', '.join(FER2013)}")
    try:
        return Record(split, label, name, decode(data, name=name, grey=True))
    except PictureError as error:
        raise DataError(f"{source}: {error}; replace it or move it out of the data set") from error


def _split_of(path: PurePosixPath) -> tuple[str, tuple[str, ...]]:
    """The split a path belongs to, and the folders between the split's and the file."""
    folders = path.parts[:-1]
    for place, folder in enumerate(folders):
        if (split := _SPLITS.get(folder.lower())) is not None:
            return _by_prefix(split, path.name), folders[place + 1 :]
    return "train", folders[-1:]


def _by_prefix(split: str, name: str) -> str:
    """Kaggle's merged `test/` holds both test sets, told apart by the file name."""
    if split == "test" and name.startswith("PublicTest"):
        return "public"
    if split == "test" and name.startswith("PrivateTest"):
        return "private"
    return split
