"""KDEF (Lundqvist et al. 1998): file names tell session, sex, person, expression and angle."""

import re

from mien.data.formats.folder import split_of
from mien.data.formats.format import Format, by_names, label_of
from mien.data.records import Record
from mien.data.tree import Tree

_NAME = (
    r"(?P<session>[AB])(?P<sex>[FM])(?P<number>\d\d)(?P<code>[A-Z]{2})(?P<angle>S|[HF][LR])\.\w+"
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


def _record(tree: Tree, found: re.Match[str]) -> Record:
    sex = found["sex"].upper()
    return tree.record(
        found[0],
        split_of(found[0]),
        label_of(_CODES, found["code"].upper(), f"{tree.path}: {found[0]}"),
        person=sex + found["number"],
        groups={"sex": _SEX[sex], "angle": _ANGLES[found["angle"].upper()]},
    )


FORMATS = (
    Format(
        "kdef",
        "file names such as `AF01AFS.JPG`",
        lambda tree: tree.mostly(_NAME),  # some copies hold a few misnamed files
        lambda tree: by_names(tree, _NAME, "KDEF", _record),
    ),
)
