"""KDEF (Lundqvist et al. 1998): file names tell session, sex, person, expression and angle."""

import re

from mien.data.formats.format import Format, Records, label_of
from mien.data.records import LeftOut
from mien.data.tree import Tree

_NAME = re.compile(
    r"(?P<session>[AB])(?P<sex>[FM])(?P<number>\d\d)(?P<code>[A-Z]{2})(?P<angle>S|[HF][LR])\.\w+",
    re.IGNORECASE,
)
_CODES = {
    "AF": "fear",
    "AN": "angry",
    "DI": "disgust",
    "HA": "happy",
    "NE": "neutral",
    "SA": "sad",
    "SU": "surprise",
}
_SEX = {"F": "female", "M": "male"}
_ANGLES = {
    "S": "straight",
    "HL": "half left",
    "HR": "half right",
    "FL": "full left",
    "FR": "full right",
}


def _recognises(tree: Tree) -> bool:
    """Whether most pictures are called so: some copies hold a few misnamed files."""
    named = sum(_NAME.fullmatch(name.rpartition("/")[2]) is not None for name in tree.pictures)
    return 2 * named > len(tree.pictures)


def _records(tree: Tree) -> Records:
    for name in tree.pictures:
        found = _NAME.fullmatch(name.rpartition("/")[2])
        if found is None:
            yield LeftOut(name, "not named as KDEF names its pictures")
            continue
        sex = found["sex"].upper()
        yield tree.record(
            name,
            "train",
            label_of(_CODES, found["code"].upper(), f"{tree.path}: {name}"),
            person=sex + found["number"],
            groups={"sex": _SEX[sex], "angle": _ANGLES[found["angle"].upper()]},
        )


FORMATS = (Format("kdef", "file names such as `AF01AFS.JPG`", _recognises, _records),)
