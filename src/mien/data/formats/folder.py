"""Folder-per-class data sets, unpacked or in a zip: Kaggle's FER-2013, or anyone's own."""

from collections.abc import Mapping
from pathlib import PurePosixPath

from mien.data.formats.format import Format, Records
from mien.data.records import Record
from mien.data.tree import Tree
from mien.errors import DataError
from mien.labels import FER2013, KNOWN, canonical, misspelt
from mien.sources import PICTURE_SUFFIXES

SPLITS = {
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
"""The split that a folder, or a cell of a table, stands for."""
_MOST_CLASSES = 12


def read(tree: Tree) -> Records:
    """Records of `[split/]class/[person/]picture`; DataError for anything that is no picture, and
    for classes that are numbers or people."""
    names = sorted(tree.names, key=lambda name: not _is_table(name))  # which are told of first
    records = [record(name, tree) for name in names]
    check_classes({r.label: f"{tree.path}: {r.name}" for r in records}, str(tree.path))
    yield from records


def record(name: str, tree: Tree) -> Record:
    """The picture in a file, with the split and label that its path tells; DataError otherwise."""
    path = PurePosixPath(name)
    if _is_table(name):
        give = f"give it itself (--data {(tree.root or tree.path.with_suffix('')) / name})"
        raise DataError(
            f"{tree.path}: {name} is a table, not a picture; if it has path and label of the "
            f"pictures, {'' if tree.root else 'unpack the zip and '}{give}, else move it out of "
            "the data set"
        )
    if path.suffix.lower() not in PICTURE_SUFFIXES:
        raise DataError(f"{tree.path}: {name} is not a picture; move it out of the data set")
    split, inside = place_of(path)
    person = ""
    if inside and len(inside) < 3 and _is_class(path.parent.parent) and not _is_class(path.parent):
        inside, person = path.parts[-3:-2], path.parts[-2]
    if len(inside) != 1:
        raise DataError(
            f"{tree.path}: {name} has no class folder; expected train/<class>/picture.png "
            "and test/<class>/picture.png"
        )
    label = canonical(inside[0])
    if path.name.startswith(("PublicTest", "PrivateTest", "Training")) and label not in FER2013:
        expected = ", ".join(FER2013)
        raise DataError(f"{tree.path}: {name}: unknown label {label!r}; expected {expected}")
    return tree.record(name, split, label, person=person)


def _is_class(folder: PurePosixPath) -> bool:
    return canonical(folder.name) in KNOWN


def _is_table(name: str) -> bool:
    return name.lower().endswith((".csv", ".parquet"))


def check_classes(places: Mapping[str, str], where: str) -> None:
    """DataError for classes that cannot be expressions: numbers, the people of a data set, or one
    that is misspelt; `places` has a place of each."""
    check_spelling(places)
    found = sorted(places)
    shown = ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")
    if strange := [name for name in found if any(c.isdigit() for c in name)]:
        what = "numbers" if strange[0].isdigit() else "numbered, as people are"
    elif len(found) > _MOST_CLASSES and not KNOWN & set(found):
        what = "no expressions that mien knows, perhaps people"
    else:
        return
    raise DataError(
        f"{where}: its {len(found)} classes ({shown}) are {what}; expected names such as happy: "
        "rename them, or name the data set with --format"
    )


def check_spelling(places: Mapping[str, str]) -> None:
    """DataError for a class that is nearly a known expression; `places` has a place of each."""
    if found := misspelt(places):
        label, near = found
        raise DataError(
            f"{places[label]} has the label {label!r}; did you mean {near}? Correct it, or give a "
            "class of your own another name"
        )


def place_of(path: PurePosixPath) -> tuple[str, tuple[str, ...]]:
    """The split a path belongs to, and the folders between the split's and the file, or clip."""
    folders = path.parts[:-1]
    for place, folder in enumerate(folders):
        if (split := SPLITS.get(folder.lower())) is not None:
            return _by_prefix(split, path.name), folders[place + 1 :]
    return "train", folders[-1:]


def split_of(name: str) -> str:
    """The split that the folders above a picture tell; train without one."""
    return place_of(PurePosixPath(name))[0]


def _by_prefix(split: str, name: str) -> str:
    """Kaggle's merged `test/` holds both test sets, told apart by the file name."""
    if split == "test" and name.startswith("PublicTest"):
        return "public"
    if split == "test" and name.startswith("PrivateTest"):
        return "private"
    return split


FORMATS = (
    Format(
        "folder",
        "`train/<class>/`, `val/`, `test/`, or classes alone (FER-2013 of Kaggle, your own)",
        lambda tree: tree.path.is_dir() or tree.path.suffix.lower() == ".zip",
        read,
    ),
)
