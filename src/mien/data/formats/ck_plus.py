"""CK+ (Lucey et al. 2010) as sequences with codes, and CK+48, its three last frames by class."""

from collections import defaultdict

from mien.data.formats.format import Format, Records, label_of, named, numbered
from mien.data.records import LeftOut
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
    for found in tree.match(_FRAME):
        frames[found["person"], found["sequence"]].append(found[0])
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


def _small(tree: Tree) -> Records:
    for found in tree.match(_SMALL):
        label = named(EIGHT, found["label"], f"{tree.path}: {found[0]}")
        yield tree.record(found[0], "train", label, person=found["person"])


FORMATS = (
    Format(
        "ck+",
        "`cohn-kanade-images/S005/001/*.png`, `Emotion/S005/001/*_emotion.txt`",
        lambda tree: tree.has(_FRAME),
        _sequences,
    ),
    Format("ck+48", "`happy/S010_004_00000017.png`", lambda tree: tree.has(_SMALL), _small),
)
