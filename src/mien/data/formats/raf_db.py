"""RAF-DB (Li et al. 2017): its own lists, or Kaggle's mirror of folders that are numbers."""

import re
from collections.abc import Iterator

from mien.data.formats.format import Format, Records, by_names, label_of, numbered, words_of
from mien.data.records import Record
from mien.data.tree import Tree
from mien.errors import DataError
from mien.labels import RAFDB

_LIST = r"EmoLabel/list_par?tition_label\.txt"
_MIRROR = (
    r"(?P<split>train|test)/(?P<code>[^/]+)/(?P<file>(train|test)_\d+(_aligned)?\.(jpe?g|png))"
)
_CODES = numbered(RAFDB, 1)
_SEX = numbered(("male", "female", "unsure"))
_RACE = numbered(("Caucasian", "African-American", "Asian"))
_AGE = numbered(("0-3", "4-19", "20-39", "40-69", "70+"))


def _records(tree: Tree) -> Records:
    top, attributes = tree.above(_LIST, "EmoLabel/list_patition_label.txt"), dict(_attributes(tree))
    for where, words in tree.lines(next(tree.match(_LIST))[0]):
        file, code = words_of(words, 2, where)[:2]
        stem = file.rpartition(".")[0]
        yield tree.record(
            f"{top}Image/aligned/{stem}_aligned.jpg",
            _split(stem, where),
            label_of(_CODES, code, where),
            groups=attributes.get(stem, {}),
        )


def _split(stem: str, where: str) -> str:
    split = stem.partition("_")[0]
    if split not in ("train", "test"):
        raise DataError(f"{where}: expected a name such as train_00001.jpg, got {stem!r}")
    return split


def _attributes(tree: Tree) -> Iterator[tuple[str, dict[str, str]]]:
    """Picture, and its sex, race and age, where Annotation/manual is there."""
    for match in tree.match(r"Annotation/manual/(?P<stem>[^/]+)_manu_attri\.txt"):
        numbers = tree.text(match[0]).split()[10:]  # after five landmarks
        where = f"{tree.path}: {match[0]}"
        sex, race, age = words_of(numbers, 3, where)[:3]
        yield (
            match["stem"],
            {
                "sex": label_of(_SEX, sex, where),
                "race": label_of(_RACE, race, where),
                "age": label_of(_AGE, age, where),
            },
        )


def _mirrored(tree: Tree, found: re.Match[str]) -> Record:
    label = label_of(_CODES, found["code"], f"{tree.path}: {found[0]}")
    return tree.record(found[0], found["split"].lower(), label)


FORMATS = (
    Format(
        "raf-db",
        "`EmoLabel/list_patition_label.txt`, `Image/aligned/`",
        lambda t: t.has(_LIST),
        _records,
    ),
    Format(
        "raf-db-folder",
        "Kaggle's mirror: `train/1/` ... `test/7/`",
        lambda t: t.mostly(_MIRROR.replace("[^/]+)/", r"[1-7])/", 1)),
        lambda t: by_names(t, _MIRROR, "RAF-DB's mirror", _mirrored),
    ),
)
