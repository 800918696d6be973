"""FERV39k (Wang et al. 2022): clips of 22 scenes."""

from collections.abc import Iterator

from mien.data.formats.format import Format, named, words_of
from mien.data.formats.frames import Frames, check_fold
from mien.data.records import Clip
from mien.data.tree import Tree
from mien.labels import FER2013

_LISTS = r"4_setups/All_scenes/(?P<split>train|test)_All\.csv"


def _clips(tree: Tree, fold: int) -> Iterator[Clip]:
    """A line of a list is `Action/Sad/0010 Sad`."""
    check_fold(tree, fold, 1)
    frames = Frames(tree, r"2_ClipsforFaceCrop/(?P<clip>[^/]+/[^/]+/[^/]+)")
    for listed in list(tree.match(_LISTS)):
        for where, words in tree.lines(listed[0]):
            label = named(FER2013, words_of(words, 2, where)[-1], where)
            yield frames.clip(" ".join(words[:-1]), listed["split"].lower(), label, where)


FORMATS = (
    Format(
        "ferv39k",
        "`4_setups/All_scenes/train_All.csv`, `2_ClipsforFaceCrop/`",
        lambda tree: tree.has(_LISTS),
        clips=_clips,
    ),
)
