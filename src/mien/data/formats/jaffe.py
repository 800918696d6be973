"""JAFFE (Lyons et al. 1998): file names tell person and expression."""

from mien.data.formats.format import Format, Records, label_of
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


def _records(tree: Tree) -> Records:
    for found in tree.match(_NAME):
        label = label_of(_CODES, found["code"].upper(), f"{tree.path}: {found[0]}")
        yield tree.record(found[0], "train", label, person=found["person"].upper())


FORMATS = (
    Format("jaffe", "file names such as `KA.AN1.39.tiff`", lambda tree: tree.has(_NAME), _records),
)
