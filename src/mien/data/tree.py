"""The files of a data set, in a folder, a zip or alone, whatever folder they were unpacked to."""

import contextlib
import csv
import io
import os
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.records import Record
from mien.errors import DataError, PictureError
from mien.files import columns_of
from mien.sources import PICTURE_SUFFIXES, decode
from mien.types import Box

LEFT_OUT = "left-out.csv"
"""What `mien data crop` found no face in; it lies among the pictures and is none."""
_HIDDEN = ("thumbs.db", "desktop.ini", "__macosx", LEFT_OUT)


@dataclass(frozen=True)
class Tree:
    """The files of the data set at `path`, by their POSIX paths inside it, sorted."""

    path: Path
    names: tuple[str, ...]

    @classmethod
    def open(cls, path: Path) -> "Tree":
        """Of a folder, a zip, or a single file; DataError for a zip that is not whole."""
        if path.is_dir():
            return cls(path, tuple(list_files(path)))
        if path.suffix.lower() != ".zip":
            return cls(path, (path.name,))
        with _damage_of(path), zipfile.ZipFile(path) as archive:
            return cls(path, tuple(sorted(n for n in archive.namelist() if wanted(n))))

    @property
    def root(self) -> Path | None:
        """The folder that the names start from; None in a zip."""
        if self.path.is_dir():
            return self.path
        return None if self.path.suffix.lower() == ".zip" else self.path.parent

    @cached_property
    def pictures(self) -> tuple[str, ...]:
        """The names that end like a picture's."""
        return tuple(
            n for n in self.names if f".{n.rpartition('.')[2].lower()}" in PICTURE_SUFFIXES
        )

    def match(self, pattern: str) -> Iterator[re.Match[str]]:
        """Matches of a whole path from any folder on: `pattern` may begin below the top folders."""
        found = re.compile(rf"(?:.*/)?{pattern}", re.IGNORECASE)
        return (match for name in self.names if (match := found.fullmatch(name)))

    def has(self, pattern: str) -> bool:
        """Whether a path matches."""
        return next(self.match(pattern), None) is not None

    def mostly(self, pattern: str) -> bool:
        """Whether most pictures match: some names of another data set do not make it one."""
        named = {match[0] for match in self.match(pattern)}
        return 2 * len(named.intersection(self.pictures)) > len(self.pictures)

    def above(self, ending: str, shown: str) -> str:
        """The folders above the first path that matches `ending`, with a slash at the end;
        DataError without one tells what was expected as it is `shown`."""
        found = next(self.match(f"(?P<ending>{ending})"), None)
        if found is None:
            raise DataError(
                f"{self.path} lacks {shown}; unpack the data set whole, or name another --format"
            )
        return found[0][: found.start("ending")]

    def read(self, name: str) -> bytes:
        """The bytes of a file; DataError if it is not there or cannot be unpacked."""
        if self.root is None:
            with _damage_of(self.path):
                return self._archive.read(name)
        return self.file(name).read_bytes()

    def file(self, name: str) -> Path:
        """The path of a file; DataError if it is not there, or lies in a zip."""
        if self.root is None:
            raise DataError(f"{self.path}: {name} cannot be read from a zip; unpack it")
        return self.root / name

    def text(self, name: str) -> str:
        """The text of a file."""
        return self.read(name).decode("utf-8-sig", errors="replace")

    def lines(self, name: str) -> Iterator[tuple[str, list[str]]]:
        """Place and words of each line of a list that is not empty."""
        for number, line in enumerate(self.text(name).splitlines(), 1):
            if words := line.split():
                yield f"{self.path}: {name}, line {number}", words

    def rows(self, name: str, columns: tuple[str, ...]) -> Iterator[tuple[str, dict[str, str]]]:
        """Place and cells of each row of a CSV that has these columns, in lower case; without a
        header where its first row holds none of their names. DataError for other columns."""
        text = self.text(name)
        separator, _ = columns_of(text.partition("\n")[0], columns)
        table = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        try:
            for number, row in enumerate(filter(None, table), 1):
                words = [cell.strip() for cell in row]
                lower = tuple(word.lower() for word in words)
                if number == 1 and set(columns) & set(lower):
                    columns = _checked(lower, columns, f"{self.path}: {name}")
                    continue
                cells = zip_longest(columns, words[: len(columns)], fillvalue="")
                yield f"{self.path}: {name}, line {number}", dict(cells)
        except csv.Error as error:
            raise DataError(f"{self.path}: {name} is not a readable table ({error})") from error

    def record(
        self, name: str, split: str, label: str, box: Box | None = None, **more: Any
    ) -> Record:
        """The record of a picture, or of the `box` in it; DataError if it is not there."""
        if not self.holds(name):
            raise DataError(f"{self.path} lacks the picture {name}; unpack the data set whole")
        return Record(split, label, name, partial(_pixels, self, name, box), **more)

    def holds(self, name: str) -> bool:
        """Whether a file is there; of a table alone, beside it."""
        if self.path.is_file() and self.root is not None:
            return (self.root / name).is_file()
        return name in self._known

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.names)

    @cached_property
    def _archive(self) -> zipfile.ZipFile:
        return zipfile.ZipFile(self.path)


def list_files(root: Path) -> list[str]:
    """POSIX paths below `root` of all files that are not hidden, sorted. Links are followed, but
    not back to a folder that they lie in."""
    found, above = list[str](), {str(root): frozenset[str]()}
    for folder, folders, files in os.walk(root, followlinks=True):
        around = above.pop(folder)
        if (real := os.path.realpath(folder)) in around:
            folders.clear()
            continue
        folders[:] = filter(wanted, folders)
        above.update((os.path.join(folder, name), around | {real}) for name in folders)  # noqa: PTH118
        inside = Path(folder).relative_to(root)
        found += [(inside / name).as_posix() for name in files if wanted(name)]
    return sorted(found)


def wanted(name: str) -> bool:
    """Whether a file may be one of the data set's, and not what a system left beside them."""
    parts = [part.lower() for part in name.split("/")]
    return bool(parts[-1]) and not any(p in _HIDDEN or p.startswith(".") for p in parts)


def _pixels(tree: Tree, name: str, box: Box | None, color: bool) -> NDArray[np.uint8]:
    """What `Record.decoded` gives of a file."""
    try:
        picture = decode(tree.read(name), name=name, grey=not color)
    except PictureError as error:
        remedy = "replace it or move it out of the data set"
        raise DataError(f"{tree.path}: {error}; {remedy}") from error
    if box is None:
        return picture
    height, width = picture.shape[:2]
    if (inside := box.within(width, height)) is None:
        raise DataError(f"{tree.path}: {name} has {width}x{height} px, its face lies beyond: {box}")
    bottom, right = inside.y + inside.height, inside.x + inside.width
    return np.ascontiguousarray(picture[inside.y : bottom, inside.x : right])


def _checked(found: tuple[str, ...], columns: tuple[str, ...], where: str) -> tuple[str, ...]:
    if missing := [column for column in columns if column not in found]:
        raise DataError(
            f"{where} has no column {missing[0]} (it has: {', '.join(found)}); expected "
            f"{', '.join(columns)}"
        )
    return found


@contextlib.contextmanager
def _damage_of(path: Path) -> Iterator[None]:
    """Turn what zipfile raises into a DataError that names the file."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} is not a whole zip file ({error}); fetch it again") from error
    except RuntimeError as error:  # zipfile's answer to encryption and to unknown compression
        raise DataError(f"{path} cannot be unpacked here ({error}); open it unpacked") from error
