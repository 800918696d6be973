"""Any folder of clips per class: a film, or a folder of frames, for each."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from re import split as split_text

from mien.data.formats.folder import check_classes, place_of
from mien.data.formats.format import Format
from mien.data.formats.frames import check_fold
from mien.data.records import Clip
from mien.data.tree import Tree
from mien.errors import DataError
from mien.labels import FER2013, canonical
from mien.sources import PICTURE_SUFFIXES
from mien.sources.frames import VIDEO_SUFFIXES

_FILMS = VIDEO_SUFFIXES - PICTURE_SUFFIXES


def _recognises(tree: Tree) -> bool:
    """Films, or pictures that lie a folder deeper than those of a folder per class."""
    if not tree.path.is_dir():
        return False
    if any(PurePosixPath(name).suffix.lower() in _FILMS for name in tree.names):
        return True
    if not tree.pictures:
        return False
    first = PurePosixPath(tree.pictures[0])
    folders, above = place_of(first)[1], place_of(first.parent)[1]
    return len(folders) > 1 or (_is_label(above) and not _is_label(folders))


def _is_label(folders: tuple[str, ...]) -> bool:
    return len(folders) == 1 and canonical(folders[0]) in FER2013


def _clips(tree: Tree, fold: int) -> Iterator[Clip]:
    """Those of `[split/]class/film` and `[split/]class/clip/frame`; DataError for any other file.

    Frames are in the order of the numbers in their names.
    """
    check_fold(tree, fold, 1)
    found: dict[PurePosixPath, list[Path]] = {}
    for name in tree.names:
        path = PurePosixPath(name)
        suffix = path.suffix.lower()
        if suffix not in _FILMS | PICTURE_SUFFIXES:
            raise DataError(
                f"{tree.path}: {name} is neither film nor picture; move it out of the data set"
            )
        found.setdefault(path if suffix in _FILMS else path.parent, []).append(tree.file(name))
    clips = [_clip(tree, place, files) for place, files in found.items()]
    check_classes({c.label: f"{tree.path}: {c.name}" for c in clips}, str(tree.path))
    yield from clips


def _clip(tree: Tree, place: PurePosixPath, files: list[Path]) -> Clip:
    split, inside = place_of(place)
    if len(inside) != 1:
        raise DataError(
            f"{tree.path}: {place} has no class folder; expected train/<class>/<clip>/frame.png or "
            "train/<class>/film.mp4"
        )
    is_film = files[0].suffix.lower() in _FILMS
    frames = files[0] if is_film else tuple(sorted(files, key=lambda file: _numbered(file.name)))
    return Clip(split, canonical(inside[0]), str(place), frames)


def _numbered(name: str) -> list[tuple[int, str]]:
    """A key that puts frame 9 before frame 10."""
    parts = split_text(r"(\d+)", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


FORMATS = (
    Format(
        "clips",
        "`train/<class>/film.mp4`, `train/<class>/<clip>/frame.png`, `val/`, `test/`, or classes "
        "alone",
        _recognises,
        clips=_clips,
    ),
)
