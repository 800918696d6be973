"""DFEW (Jiang et al. 2020): clips of films, in five folds."""

from collections.abc import Iterator

from mien.data.formats.format import Format, label_of, numbered
from mien.data.formats.frames import Frames, check_fold
from mien.data.records import Clip
from mien.data.tree import Tree
from mien.labels import DFEW

_LISTS = r"EmoLabel_DataSplit/(?P<split>train|test)\(single-labeled\)/set_{fold}\.csv"
_CODES = numbered(DFEW, 1)


def _clips(tree: Tree, fold: int) -> Iterator[Clip]:
    check_fold(tree, fold, 5)
    frames = Frames(tree, r"Clip/(clip_224x224_16f|clip_224x224|jpg_256)/(?P<clip>\d+)")
    for listed in list(tree.match(_LISTS.format(fold=fold))):
        for where, row in tree.rows(listed[0], ("video_name", "label")):
            label = label_of(_CODES, row.get("label", ""), where)
            yield frames.clip(row["video_name"].zfill(5), listed["split"].lower(), label, where)


FORMATS = (
    Format(
        "dfew",
        "`EmoLabel_DataSplit/train(single-labeled)/set_1.csv`, `Clip/`",
        lambda tree: tree.has(_LISTS.format(fold=r"\d")),
        clips=_clips,
    ),
)
