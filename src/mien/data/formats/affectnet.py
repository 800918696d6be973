"""AffectNet (Mollahosseini et al. 2017) as of 2017, AffectNet-8 and AffectNet+ (Fard et al. 2024).

The validation list serves as the test set: AffectNet's own was never published.
"""

import io
import json

import numpy as np

from mien.data.formats.format import Format, Records, box_of, label_of, numbered
from mien.data.records import LeftOut, Record
from mien.data.tree import Tree
from mien.errors import DataError
from mien.labels import AFFECTNET

_COLUMNS = (
    *("subdirectory_filepath", "face_x", "face_y", "face_width", "face_height"),
    *("facial_landmarks", "expression", "valence", "arousal"),
)
_LISTS = r"Manually_Annotated_file_lists/(?P<split>training|validation)\.csv"
_EIGHT = r"(?P<split>train|val)_set/annotations/(?P<id>[^/]+)_exp\.npy"
_PLUS = r"human_annotated/(?P<split>train|validation)_set/annotations/(?P<id>[^/]+)\.json"
_CODES = numbered(AFFECTNET)
_NONE = {"8": "no expression", "9": "uncertain", "10": "no face"}
_SPLITS = {"train": "train", "training": "train", "val": "test", "validation": "test"}

Row = dict[str, str]


def _of_2017(tree: Tree) -> Records:
    top = (
        tree.above(_LISTS, "Manually_Annotated_file_lists/training.csv")
        + "Manually_Annotated_Images/"
    )
    for listed in list(tree.match(_LISTS)):
        split = _SPLITS[listed["split"].lower()]
        for where, row in tree.rows(listed[0], _COLUMNS):
            yield _listed(tree, top, split, row, where)


def _listed(tree: Tree, top: str, split: str, row: Row, where: str) -> Record | LeftOut:
    name, code = top + row["subdirectory_filepath"], row.get("expression", "")
    if code in _NONE:
        return LeftOut(name, _NONE[code])
    label = label_of(_CODES, code, where)
    try:
        x, y, width, height = (float(row[f"face_{key}"]) for key in ("x", "y", "width", "height"))
    except ValueError:
        x = y = width = height = 0
    box = box_of(str(x), str(y), str(x + width), str(y + height), where)
    return tree.record(name, split, label, box)


def _of_eight(tree: Tree) -> Records:
    for found in tree.match(_EIGHT):
        where = f"{tree.path}: {found[0]}"
        yield _annotated(tree, found[0], found["split"], found["id"], _code(tree, found[0], where))


def _code(tree: Tree, name: str, where: str) -> str:
    """The number in a 0-d array, which may hold it as a string."""
    try:
        return str(int(np.load(io.BytesIO(tree.read(name)), allow_pickle=False).item()))
    except (ValueError, EOFError) as error:
        raise DataError(
            f"{where} is not an array of one number ({error}); fetch it again"
        ) from error


def _of_plus(tree: Tree) -> Records:
    for found in tree.match(_PLUS):
        where = f"{tree.path}: {found[0]}"
        try:
            code = str(json.loads(tree.text(found[0]))["human-label"])
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{where} has no human-label ({error}); fetch it again") from error
        yield _annotated(tree, found[0], found["split"], found["id"], code)


def _annotated(tree: Tree, name: str, split: str, id_: str, code: str) -> Record | LeftOut:
    """The picture that an annotation stands for: images/ID beside annotations/."""
    if code in _NONE:
        return LeftOut(name, _NONE[code])
    folder = name.rpartition("annotations/")[0] + "images/"
    label = label_of(_CODES, code, f"{tree.path}: {name}")
    file = next((f for f in (f"{folder}{id_}.jpg", f"{folder}{id_}.png") if tree.holds(f)), "")
    return tree.record(file or f"{folder}{id_}.jpg", _SPLITS[split.lower()], label)


FORMATS = (
    Format(
        "affectnet",
        "`Manually_Annotated_file_lists/*.csv`, `Manually_Annotated_Images/`",
        lambda tree: tree.has(_LISTS),
        _of_2017,
    ),
    Format(
        "affectnet-8",
        "`train_set/images/ID.jpg`, `train_set/annotations/ID_exp.npy`",
        lambda tree: tree.has(_EIGHT),
        _of_eight,
    ),
    Format(
        "affectnet+",
        "`human_annotated/train_set/{images,annotations}/`",
        lambda tree: tree.has(_PLUS),
        _of_plus,
    ),
)
