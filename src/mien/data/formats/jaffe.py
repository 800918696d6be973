"""JAFFE (Lyons et al. 1998): file names tell person and expression."""

import re

from mien.data.formats.folder import split_of
from mien.data.formats.format import Format, by_names, label_of
from mien.data.records import Record
from mien.data.tree import Tree

_NAME = r"(?P<person>[A-Z]{2})\.(?P<code>[A-Z]{2})\d+\.\d+\.(tiff?|png|jpe?g|bmp)"
_CODES = {
    "AN": "angry",
    "DI": "disgust",
    "FE": "fear",
    "HA": "happy",
    "NE": "neutral",
    "SA": "sad",
    "SU": "surprise",
}


def _record(tree: Tree, found: re.Match[str]) -> Record:
    label = label_of(_CODES, found["code"].upper(), f"{tree.path}: {found[0]}")
    return tree.record(found[0], split_of(found[0]), label, person=found["person"].upper())


FORMATS = (
    Format(
        "jaffe",
        "file names such as `KA.AN1.39.tiff`",
        lambda tree: tree.mostly(_NAME),
        lambda tree: by_names(tree, _NAME, "JAFFE", _record),
    ),
)
