"""Photos of a data set → a data set of their faces, cut as recognition cuts them."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.data.cache import LARGEST_PX, PLAIN, Asked
from mien.data.formats import find
from mien.data.records import LeftOut, Record
from mien.data.tree import LEFT_OUT, Tree
from mien.errors import DataError, InputError
from mien.faces import Detector, as_detector
from mien.faces import find as find_faces
from mien.files import csv_text, replacing, write_text
from mien.preprocess import scale
from mien.stream import in_order

_NO_FACE = "no face"
_ALL = ".all-faces"


@dataclass(frozen=True, slots=True)
class Photo:
    """A picture of the source, and where its face goes."""

    record: Record
    target: Path


@dataclass(frozen=True, slots=True)
class Cut:
    """What came of a photo: faces written, or why there are none."""

    name: str
    faces: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Crops:
    """What a source gave."""

    faces: int
    """Written, now or by an interrupted run before."""
    left_out: tuple[LeftOut, ...]


class Cropper:
    """Cuts the largest face of each photo of `source`, or with `every` all of them, into `out`.

    Faces are aligned upright and framed as recognition frames them, PNG, `LARGEST_PX` at most.
    Folders are those of the source; of a data set that has none, `split/label/`.
    """

    def __init__(
        self,
        source: Path,
        out: Path,
        *,
        every: bool = False,
        asked: Asked = PLAIN,
        detector: str | Detector = "yunet",
    ) -> None:
        """InputError if `out` holds anything but an earlier run; the errors of the data set."""
        if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not _begun(out))):
            raise InputError(
                f"{out} is there and was not made by mien data crop; expected a new folder, or "
                "that of an interrupted run: choose another OUT"
            )
        self.out, self.every, self._detector = out, every, as_detector(detector)
        self.photos, self._left_out = _photos(Tree.open(source), asked, out)
        if not self.photos:
            raise DataError(f"{source} holds no pictures; expected a folder or zip of photos")

    def run(self, progress: Callable[[int], None] | None = None) -> Crops:
        """Cut what is not cut yet, and write left-out.csv; `progress` is told the photos done."""
        begun = _begun(self.out)
        _write(self.out, self._left_out)  # from here on, the folder is known as ours
        self._mark(whole=not begun)
        faces, left_out = 0, list(self._left_out)
        for cut in in_order(self.photos, self._cut):
            faces += cut.faces
            if not cut.faces:
                left_out.append(LeftOut(cut.name, cut.reason))
            if progress:
                progress(1)
        _write(self.out, left_out)
        self._mark(whole=True)
        return Crops(faces, tuple(left_out))

    def _mark(self, *, whole: bool) -> None:
        """Note whether photos that are cut have all their faces here."""
        mark = self.out / _ALL
        if not self.every:
            mark.unlink(missing_ok=True)
        elif whole:
            write_text(mark, "")

    def _cut(self, photo: Photo) -> Cut:
        name, target = photo.record.name, photo.target
        if target.is_file() and (not self.every or (self.out / _ALL).is_file()):
            return Cut(name, _written(target))
        try:
            faces = find_faces(photo.record.decoded(color=True), self._detector)[1]
        except (InputError, OSError) as error:
            return Cut(name, 0, " ".join(str(error).split()))
        if not faces:
            return Cut(name, 0, _NO_FACE)
        for number, face in enumerate(faces[1:] if self.every else [], 2):
            _save(_numbered(target, number), face)
        if not target.is_file():
            _save(target, faces[0])  # the last: it says that all are written
        return Cut(name, _written(target))


def _photos(tree: Tree, asked: Asked, out: Path) -> tuple[list[Photo], list[LeftOut]]:
    chosen = find(tree, asked.format)
    if chosen.name == "clips" and asked.format is None and tree.pictures:
        chosen = find(tree, "folder")  # of persons, or with films among the photos
    if chosen.records is None:
        raise DataError(f"{tree.path} is a data set of films ({chosen.name}); expected photos")
    if chosen.name == "folder":
        found: list[Record | LeftOut] = [tree.record(name, "", "") for name in tree.pictures]
        strangers = sorted(set(tree.names) - set(tree.pictures))
        found += [LeftOut(name, "not a picture") for name in strangers]
    else:
        found = list(chosen.records(tree))
    records = [record for record in found if isinstance(record, Record)]
    targets = _targets(records)
    photos = [Photo(r, out / target) for r, target in zip(records, targets, strict=True)]
    return photos, [each for each in found if isinstance(each, LeftOut)]


def _targets(records: list[Record]) -> Iterator[str]:
    """Where the face of each goes: a path that no other one has, however the files are called, and
    that is no further face of another (`_numbered`)."""
    pairs = []
    for record in records:
        path = PurePosixPath(record.name)
        whole = record.name.replace("/", "_") if record.split else path.name
        pairs.append((_target(record, path.stem), _target(record, whole)))
    often = Counter(place for pair in pairs for place in {_place(name) for name in pair})
    taken: set[str] = set()
    for short, whole in pairs:
        name = short if often[_place(short)] == 1 else whole
        numbers = count(2)
        while _place(name) in taken:
            name = f"{whole.removesuffix('.png')}-{next(numbers)}.png"
        taken.add(_place(name))
        yield name


def _place(target: str) -> str:
    """Equal for targets whose faces could be one file, also where capitals do not count."""
    return re.sub(r"(\.face\d+)+\.png$", ".png", target.lower())


def _target(record: Record, stem: str) -> str:
    if record.split:
        return f"{record.split}/{record.label}/{stem}.png"
    return (PurePosixPath(record.name).parent / f"{stem}.png").as_posix()


def _numbered(target: Path, number: int) -> Path:
    return target.with_name(f"{target.stem}.face{number}.png")


def _written(target: Path) -> int:
    """How many faces of its photo there are."""
    return next(n for n in count(1) if not _numbered(target, n + 1).is_file())


def _save(path: Path, face: NDArray[np.uint8]) -> None:
    small = scale(face, LARGEST_PX) if max(face.shape[:2]) > LARGEST_PX else face
    done, data = cv2.imencode(".png", np.ascontiguousarray(small[..., ::-1]))
    if not done:
        raise InputError(f"{path}: a face of {face.shape} cannot be written as PNG")
    with replacing(path) as file:
        file.write(data.tobytes())


def _begun(out: Path) -> bool:
    return (out / LEFT_OUT).is_file()


def _write(out: Path, left_out: list[LeftOut]) -> None:
    rows = [(each.name, each.reason) for each in left_out]
    write_text(out / LEFT_OUT, csv_text([("name", "reason"), *rows]))
