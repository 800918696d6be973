"""AFEW (Dhall et al. 2012): films by class, and the faces in them where they were unpacked."""

from collections.abc import Iterator

from mien.data.formats.format import Format, named
from mien.data.formats.frames import Frames, check_fold
from mien.data.records import Clip
from mien.data.tree import Tree
from mien.labels import FER2013

_FILMS = r"(?P<split>Train|Val)_AFEW/(?P<label>[^/]+)/(?P<clip>[^/]+)\.avi"


def _clips(tree: Tree, fold: int) -> Iterator[Clip]:
    check_fold(tree, fold, 1)
    frames = Frames(tree, r"AlignedFaces_LBPTOP_Points[^/]*/Faces/(?P<clip>[^/]+)")
    for found in list(tree.match(_FILMS)):
        where = f"{tree.path}: {found[0]}"
        label = named(FER2013, found["label"], where)
        yield frames.clip(found["clip"], found["split"].lower(), label, where)


FORMATS = (
    Format(
        "afew", "`Train_AFEW/Angry/*.avi`, `Val_AFEW/`", lambda tree: tree.has(_FILMS), clips=_clips
    ),
)
