"""A CSV or Parquet with the columns path and label, and perhaps split: pictures lie beside it."""

from collections.abc import Iterator
from pathlib import Path

from mien.data.formats.fer2013 import has_pixels
from mien.data.formats.folder import SPLITS, check_classes
from mien.data.formats.format import Format, Records
from mien.data.formats.parquet import open_parquet
from mien.data.tree import Tree
from mien.errors import DataError
from mien.files import columns_of, first_line
from mien.labels import canonical

_COLUMNS = ("path", "label")

Row = dict[str, str]


def files(tree: Tree) -> Iterator[Path]:
    """The pictures that the table names."""
    return (tree.path.parent / row["path"].replace("\\", "/") for _, row in _rows(tree))


def recognises(tree: Tree) -> bool:
    """Whether it is a table of pictures: any CSV but FER-2013's, so that its columns are told."""
    suffix = tree.path.suffix.lower()
    if not tree.path.is_file() or suffix not in (".csv", ".parquet"):
        return False
    if suffix == ".parquet":
        return set(_COLUMNS) <= set(open_parquet(tree.path).schema_arrow.names)
    return not has_pixels(tree.path)


def _records(tree: Tree) -> Records:
    rows = list(_rows(tree))
    check_classes({canonical(row["label"]): where for where, row in rows}, str(tree.path))
    for where, row in rows:
        name, label = row["path"].replace("\\", "/"), canonical(row["label"])
        if not name or not label:
            raise DataError(f"{where}: expected a path and a label, got {name!r} and {label!r}")
        yield tree.record(name, _split(row.get("split", ""), where), label)


def _split(word: str, where: str) -> str:
    if (split := SPLITS.get(word.lower() or "train")) is None:
        raise DataError(f"{where}: unknown split {word!r}; expected train, val or test")
    return split


def _rows(tree: Tree) -> Iterator[tuple[str, Row]]:
    if tree.path.suffix.lower() == ".csv":
        heading = first_line(tree.path).strip()
        if missing := [c for c in _COLUMNS if c not in columns_of(heading, _COLUMNS)[1]]:
            raise DataError(
                f"{tree.path} has no column {' and '.join(missing)} (it begins with "
                f"{heading[:60]!r}); expected the columns path,label[,split], or those of "
                "fer2013.csv: emotion,pixels[,Usage]"
            )
        yield from tree.rows(tree.path.name, _COLUMNS)
        return
    table = open_parquet(tree.path)
    columns = [c for c in (*_COLUMNS, "split") if c in table.schema_arrow.names]
    for number, row in enumerate(table.read(columns).to_pylist()):
        cells = {name: "" if cell is None else str(cell).strip() for name, cell in row.items()}
        yield f"{tree.path}, row {number}", cells


FORMATS = (Format("table", "a CSV or Parquet of `path,label[,split]`", recognises, _records),)
