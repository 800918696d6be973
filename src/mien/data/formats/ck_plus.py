"""CK+ (Lucey et al. 2010) as sequences with codes, and CK+48, its three last frames by class."""

import re
from collections import defaultdict

from mien.data.formats.folder import split_of
from mien.data.formats.format import Format, Records, by_names, label_of, named, numbered
from mien.data.records import LeftOut, Record
from mien.data.tree import Tree
from mien.errors import DataError
from mien.labels import CK_PLUS, EIGHT

_FRAME = r"cohn-kanade-images/(?P<person>S\d+)/(?P<sequence>\d+)/[^/]+\.png"
_CODE = r"Emotion/(?P<person>S\d+)/(?P<sequence>\d+)/[^/]+_emotion\.txt"
_SMALL = r"(?P<label>[^/]+)/(?P<person>S\d+)_\d+_\d+\.png"
_CODES = numbered(CK_PLUS)


def _sequences(tree: Tree) -> Records:
    """The last frame of each sequence with its label, and the first as neutral, by convention."""
    codes = {(m["person"], m["sequence"]): m[0] for m in tree.match(_CODE)}
    frames: dict[tuple[str, str], list[str]] = defaultdict(list)
    named_so = {found[0]: found for found in tree.match(_FRAME)}
    for name in tree.pictures:
        if (found := named_so.get(name)) is None:
            yield LeftOut(name, "not named as CK+ names its pictures")
        else:
            frames[found["person"], found["sequence"]].append(name)
    for (person, sequence), names in frames.items():
        if (file := codes.get((person, sequence))) is None:
            yield LeftOut(names[-1], "sequence without a label")
            continue
        yield tree.record(names[-1], "train", _label(tree, file), person=person)
        if len(names) > 1:
            yield tree.record(names[0], "train", "neutral", person=person)


def _label(tree: Tree, file: str) -> str:
    """The label of a code that is written as a float."""
    where, text = f"{tree.path}: {file}", tree.text(file).strip()
    try:
        return label_of(_CODES, str(int(float(text))), where)
    except (ValueError, OverflowError):
        raise DataError(f"{where}: expected a number of 0-7, got {text[:40]!r}") from None


def _small(tree: Tree, found: re.Match[str]) -> Record:
    label = named(EIGHT, found["label"], f"{tree.path}: {found[0]}")
    return tree.record(found[0], split_of(found[0]), label, person=found["person"])


FORMATS = (
    Format(
        "ck+",
        "`cohn-kanade-images/S005/001/*.png`, `Emotion/S005/001/*_emotion.txt`",
        lambda tree: tree.mostly(_FRAME),
        _sequences,
    ),
    Format(
        "ck+48",
        "`happy/S010_004_00000017.png`",
        lambda tree: tree.mostly(_SMALL),
        lambda tree: by_names(tree, _SMALL, "CK+48", _small),
    ),
)
