"""Data sets: every format in, one `Dataset` out."""

from collections.abc import Iterator
from pathlib import Path

from mien.data import cache
from mien.data.dataset import Dataset, Split, class_weights
from mien.data.folder import read_folder, read_zip, wanted
from mien.data.records import Record
from mien.data.tables import read_pair, read_table
from mien.errors import DataError, InputError
from mien.files import check_folder, existing

__all__ = [
    "Dataset",
    "Split",
    "check_outside",
    "check_source",
    "class_weights",
    "open_dataset",
]

TABLES = ("fer2013.csv", "icml_face_data.csv", "train.csv")
"""A folder with one of these is read from it, and its other files are not."""


def open_dataset(path: Path | str) -> Dataset:
    """A data set from a folder, a zip or a CSV; decoded on first use, memory-mapped after.

    Formats: Kaggle's FER-2013 (`train/<class>/`, `test/<class>/`, as folder or zip), fer2013.csv,
    icml_face_data.csv, a folder with train.csv and test.csv, and any folder per class. Raises
    InputError if nothing is there and DataError for a file that cannot be read.
    """
    path = check_source(path)
    key = cache.key_of(path)
    name = path.name or str(path)
    return cache.load(key, name) or cache.store(key, name, _records(path))


def check_source(path: Path | str) -> Path:
    """The path of a data set, unread. InputError if nothing is there, DataError if it is neither a
    folder nor a .zip or .csv file."""
    path = existing(path, "data set")
    if not path.is_dir() and path.suffix.lower() not in (".zip", ".csv"):
        raise DataError(f"{path} is not a data set; expected a folder, a .zip or a .csv")
    return path


def check_outside(out: Path, source: Path | str) -> None:
    """InputError if the output folder `out` is the data set `source`, or lies among its pictures.

    What is written there would be read with them.
    """
    check_folder("--out", out, [source])
    inside, root = out.resolve(), Path(source).resolve()
    if not root.is_dir() or any((root / table).is_file() for table in TABLES):
        return
    if inside.is_relative_to(root) and wanted((inside / "x").relative_to(root).as_posix()):
        raise InputError(
            f"--out {out} lies among the pictures of the data set {source}, and would be read with "
            "them; expected a folder outside"
        )


def _records(path: Path) -> Iterator[Record]:
    if path.is_dir():
        for table in ("fer2013.csv", "icml_face_data.csv"):
            if (path / table).is_file():
                return read_table(path / table)
        return read_pair(path) if (path / "train.csv").is_file() else read_folder(path)
    return read_table(path) if path.suffix.lower() == ".csv" else read_zip(path)
