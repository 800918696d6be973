"""Expression vocabularies and the names that data sets give them.

Orders follow the data sets' own files: the FER-2013 CSV numbers its classes 0-6 in an order that
differs from the alphabetical one of the Kaggle folders; mien uses the alphabetical one throughout.
"""

import difflib
from collections.abc import Collection, Iterable, Sequence

from mien.errors import DataError

FER2013 = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
FER2013_CSV = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""Meaning of 0-6 in the `emotion` column of fer2013.csv (Goodfellow et al. 2013)."""

FERPLUS = (
    "neutral",
    "happy",
    "surprise",
    "sad",
    "angry",
    "disgust",
    "fear",
    "contempt",
    "unknown",
    "no_face",
)
"""Columns of FER+'s vote table (Barsoum et al. 2016)."""
RAFDB = ("surprise", "fear", "disgust", "happy", "sad", "angry", "neutral")
"""Meaning of 1-7 in RAF-DB's list_patition_label.txt (Li et al. 2017)."""
AFFECTNET = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry", "contempt")
"""Meaning of 0-7 in AffectNet (Mollahosseini et al. 2017)."""

EIGHT = (*FER2013, "contempt")
DFEW = ("happy", "sad", "neutral", "angry", "surprise", "disgust", "fear")
"""Meaning of 1-7 in DFEW (Jiang et al. 2020)."""
CK_PLUS = ("neutral", "angry", "contempt", "disgust", "fear", "happy", "sad", "surprise")
"""Meaning of 0-7 in CK+ (Lucey et al. 2010)."""
MAFW = (*EIGHT, "anxiety", "helplessness", "disappointment")
"""The words of MAFW (Liu et al. 2022)."""

_ALIASES = {
    "afraid": "fear",
    "anger": "angry",
    "calm": "neutral",
    "disgusted": "disgust",
    "fearful": "fear",
    "happiness": "happy",
    "joy": "happy",
    "neutrality": "neutral",
    "sadness": "sad",
    "surprised": "surprise",
    "surprising": "surprise",
    "nf": "no_face",
}


KNOWN = frozenset(MAFW)
"""Every expression that a data set of those that mien reads has."""
_NEAR = 0.85
"""How alike a misspelt word is (difflib): hapy is 0.89, content to contempt 0.80."""


def canonical(name: str) -> str:
    """mien's spelling of a class name: lower case, and `anger` → `angry` and the like."""
    name = name.strip().lower()
    return _ALIASES.get(name, name)


def misspelt(labels: Collection[str]) -> tuple[str, str] | None:
    """A label that is nearly the word of a known expression, and that word; None if most labels are
    one's own."""
    own = sorted(set(labels) - KNOWN)
    words = sorted(KNOWN.union(_ALIASES))
    for label in own if 2 * len(own) <= len(set(labels)) else ():
        near = difflib.get_close_matches(label, words, 1, _NEAR)
        if near and not label.endswith(near[0]):  # unhappy is another word
            return label, near[0]
    return None


def vocabulary(names: Iterable[str]) -> tuple[str, ...]:
    """The labels of a folder data set: FER-2013's where its classes fit, else alphabetical."""
    found = sorted({canonical(name) for name in names})
    return FER2013 if set(found) <= set(FER2013) else tuple(found)


def chosen(present: Sequence[Sequence[str]], choice: int | str | None) -> tuple[str, ...]:
    """The labels to learn from data sets that have those `present`: the seven (7), with contempt
    (8), or those that all of them have (`common`).

    By default all of them, but for contempt beside the seven, which few data sets know. DataError
    if fewer than two are left, or one is nearly another.
    """
    if choice in (7, 8):
        return FER2013 if choice == 7 else EIGHT
    if choice == "common":
        both = set(present[0]).intersection(*present[1:])
        found = tuple(label for label in (*MAFW, *sorted(both - KNOWN)) if label in both)
        if len(found) < 2:
            raise DataError(
                f"the data sets have {len(found)} labels in common; expected two or more"
            )
        return found
    union = {label for labels in present for label in labels}
    if wrong := misspelt(union):
        raise DataError(f"the data sets have the label {wrong[0]!r}; did you mean {wrong[1]}?")
    return FER2013 if union <= set(EIGHT) else vocabulary(union)


def label_index(labels: Sequence[str], name: str, *, where: str) -> int:
    """Index of `name` in `labels`; DataError names the place (`where`) if it is unknown."""
    try:
        return labels.index(canonical(name))
    except ValueError:
        known = ", ".join(labels)
        raise DataError(f"{where}: unknown label {name!r}; expected one of {known}") from None
