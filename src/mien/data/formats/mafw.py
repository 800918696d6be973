"""MAFW (Liu et al. 2022): clips of films in eleven single classes, in five folds."""

from collections.abc import Iterator

from mien.data.formats.format import Format, named, words_of
from mien.data.formats.frames import Frames, check_fold
from mien.data.records import Clip
from mien.data.tree import Tree
from mien.labels import MAFW

_LISTS = r"Train & Test Set/single/no_caption/set_{fold}/(?P<split>train|test)\.txt"


def _clips(tree: Tree, fold: int) -> Iterator[Clip]:
    """A line of a list is `00001.mp4 anger`; frames lie in a folder of that name, or the film."""
    check_fold(tree, fold, 5)
    frames = Frames(tree, r"(?P<clip>\d{5})")
    for listed in list(tree.match(_LISTS.format(fold=fold))):
        for where, words in tree.lines(listed[0]):
            file, word = words_of(words, 2, where)[:2]
            label = named(MAFW, word, where)
            yield frames.clip(file.partition(".")[0], listed["split"].lower(), label, where)


FORMATS = (
    Format(
        "mafw",
        "`Train & Test Set/single/no_caption/set_1/train.txt`, frames or films",
        lambda tree: tree.has(_LISTS.format(fold=r"\d")),
        clips=_clips,
    ),
)
