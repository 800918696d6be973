"""ExpW (Zhang et al. 2015): photos with several faces each, listed with their boxes."""

from dataclasses import replace

from mien.data.formats.format import Format, Records, box_of, label_of, numbered, words_of
from mien.data.tree import Tree
from mien.labels import FER2013_CSV

_LIST = r"label/label\.lst"
_CODES = numbered(FER2013_CSV)


def _records(tree: Tree) -> Records:
    """Each face; faces of one photo are one `person`, so that no photo is in two splits."""
    top = tree.above(_LIST, "label/label.lst")
    for where, words in tree.lines(f"{top}label/label.lst"):
        file, face, upper, left, right, lower, _, code = words_of(words, 8, where)[:8]
        box = box_of(left, upper, right, lower, where)
        label, name = label_of(_CODES, code, where), f"{top}image/origin/{file}"
        found = tree.record(name, "train", label, box, person=file)
        yield replace(found, name=f"{name}#{face}")


FORMATS = (
    Format("expw", "`label/label.lst`, `image/origin/`", lambda tree: tree.has(_LIST), _records),
)
