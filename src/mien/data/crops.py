"""Photos of a data set → a data set of their faces, cut as recognition cuts them."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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
        _write(self.out, self._left_out)  # from here on, the folder is known as ours
        faces, left_out = 0, list(self._left_out)
        for cut in in_order(self.photos, self._cut):
            faces += cut.faces
            if not cut.faces:
                left_out.append(LeftOut(cut.name, cut.reason))
            if progress:
                progress(1)
        _write(self.out, left_out)
        return Crops(faces, tuple(left_out))

    def _cut(self, photo: Photo) -> Cut:
        name, target = photo.record.name, photo.target
        if target.is_file():
            return Cut(name, 1 + sum(1 for _ in _others(target)))
        try:
            faces = find_faces(photo.record.decoded(color=True), self._detector)[1]
        except (InputError, OSError) as error:
            return Cut(name, 0, " ".join(str(error).split()))
        kept = faces if self.every else faces[:1]
        for number, face in reversed([*enumerate(kept, 1)]):  # the first last: it says all are
            _save(target if number == 1 else _numbered(target, number), face)
        return Cut(name, len(kept), "" if kept else _NO_FACE)


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
    """Where the face of each goes: a path that no other one has, however the files are called."""
    short = [_target(r, PurePosixPath(r.name).stem) for r in records]
    often = Counter(name.lower() for name in short)
    for record, name in zip(records, short, strict=True):
        whole = PurePosixPath(record.name).name if not record.split else record.name
        alone = often[name.lower()] == 1
        yield name if alone else _target(record, whole.replace("/", "_"))


def _target(record: Record, stem: str) -> str:
    if record.split:
        return f"{record.split}/{record.label}/{stem}.png"
    return (PurePosixPath(record.name).parent / f"{stem}.png").as_posix()


def _numbered(target: Path, number: int) -> Path:
    return target.with_name(f"{target.stem}.face{number}.png")


def _others(target: Path) -> Iterator[Path]:
    number = 2
    while (path := _numbered(target, number)).is_file():
        yield path
        number += 1


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
