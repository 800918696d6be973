"""Data sets: every format in, one `Dataset` out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mien.data import cache
from mien.data.cache import PLAIN, Asked
from mien.data.clips import faces_of
from mien.data.dataset import Clips, Dataset, Split, class_weights, seen
from mien.data.formats import find, open_clips
from mien.data.formats.fer2013 import TABLES, has_pixels
from mien.data.records import LeftOut, Record
from mien.data.tree import Tree, wanted
from mien.errors import DataError, InputError
from mien.files import check_folder, existing

__all__ = [
    "Asked",
    "Clips",
    "Dataset",
    "Split",
    "attributes",
    "check_outside",
    "check_source",
    "class_weights",
    "matched",
    "open_dataset",
    "seen",
]

SUFFIXES = (".zip", ".csv", ".parquet")


def open_dataset(path: Path | str, asked: Asked = PLAIN) -> Dataset:
    """A data set from a folder, a zip or a table; decoded on first use, memory-mapped after.

    The formats are those of `mien.data.formats`, recognised by their layout unless one is `asked`
    for. Raises InputError if nothing is there and DataError for a file that cannot be read, an
    unknown label, or classes that are no expressions, and where clips are not `asked` for and come,
    or are and do not.
    """
    path = check_source(path)
    of_clips = _is_of_clips(path, asked)
    asked = replace(asked, clips=of_clips)
    key = cache.key_of(path)
    name = path.name or str(path)
    if (kept := cache.load(key, name, asked)) is not None:
        return kept
    if of_clips:
        clips = open_clips(path, asked.format, asked.fold)
        return cache.store_clips(key, name, clips, faces_of, asked)
    return cache.store(key, name, records(path, asked), asked)


def records(path: Path, asked: Asked = PLAIN) -> Iterator[Record | LeftOut]:
    """The pictures of a data set, none of them decoded; the errors of `open_dataset`."""
    tree = Tree.open(path)
    chosen = find(tree, asked.format)
    if chosen.records is None:
        raise DataError(
            f"{path} is a data set of films ({chosen.name}); expected pictures: films train "
            "recipes of clips"
        )
    return chosen.records(tree)


def matched(path: Path | str, asked: Asked, labels: Sequence[str]) -> tuple[Dataset, str]:
    """The data set in the order of the `labels` that a network knows, and how theirs differ: a
    line, empty where they do not.

    Pictures of other labels are left out, and counted. DataError if none is left.
    """
    whole = open_dataset(path, asked)
    data = whole.only(labels)
    parts = [f"left out: {told}"] if (told := data.told) else []
    if missing := [label for label in labels if label not in data.present]:
        parts.append(f"{data.name} has no picture of: {', '.join(missing)}")
    return data, "; ".join(parts)


def attributes(path: Path, asked: Asked = PLAIN) -> dict[str, Mapping[str, str]]:
    """What a data set tells of each picture, by its name: sex, age, ...; DataError if nothing."""
    pictures = (r for r in records(check_source(path), asked) if isinstance(r, Record))
    found = {r.name: r.groups for r in pictures if r.groups}
    if not found:
        raise DataError(
            f"{path} tells nothing of its people; expected RAF-DB's Annotation/manual, KDEF, or a "
            "table with a column name or path"
        )
    return found


def check_source(path: Path | str, asked: Asked | None = None) -> Path:
    """The path of a data set, of which at most lists are read. InputError if nothing is there,
    DataError if it is neither a folder nor a .zip, .csv or .parquet file, or of clips where images
    are `asked` for, or the other way round."""
    path = existing(path, "data set")
    if not path.is_dir() and path.suffix.lower() not in SUFFIXES:
        raise DataError(f"{path} is not a data set; expected a folder, a .zip, .csv or .parquet")
    if asked is not None:
        _is_of_clips(path, asked)
    return path


def _is_of_clips(path: Path, asked: Asked) -> bool:
    """Whether it is; DataError if that is not what is `asked` for."""
    chosen, wanted = find(Tree.open(path), asked.format), asked.clips
    found = chosen.clips is not None
    if found and wanted is False:
        photos = ", or read a folder per person with --format folder"
        raise DataError(
            f"{path} is a data set of clips, and still images are expected here; train a recipe "
            f"for clips on it, such as cnn-lstm{photos if chosen.name == 'clips' else ''}"
        )
    if wanted and not found:
        raise DataError(
            f"{path} is a data set of still images, and clips are expected here: a folder of films "
            "or of folders of frames per class; train a recipe for images on it, such as mien-s"
        )
    return found


def check_outside(out: Path, source: Path | str, option: str = "--out") -> None:
    """InputError if the output folder `out` is the data set `source`, or lies among its pictures.

    What is written there would be read with them.
    """
    check_folder(option, out, [source])
    inside, root = out.resolve(), Path(source).resolve()
    tables = (root / name for name in TABLES)
    if not root.is_dir() or any(table.is_file() and has_pixels(table) for table in tables):
        return
    if inside.is_relative_to(root) and wanted((inside / "x").relative_to(root).as_posix()):
        raise InputError(
            f"{option} {out} lies among the pictures of the data set {source}, and would be read "
            "with them; expected a folder outside"
        )
