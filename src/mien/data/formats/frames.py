"""Where the frames of a data set's clips lie."""

import re
from collections import defaultdict

from mien.data.records import Clip
from mien.data.tree import Tree
from mien.errors import DataError, InputError
from mien.sources.frames import VIDEO_SUFFIXES


class Frames:
    """The frames of each clip: files in a folder whose path, from any folder on, matches `place`,
    which names the `(?P<clip>...)`; or else the film of that name."""

    def __init__(self, tree: Tree, place: str) -> None:
        self.tree = tree
        files: dict[str, list[str]] = defaultdict(list)
        for name in tree.pictures:
            files[name.rpartition("/")[0]].append(name)
        found = re.compile(rf"(?:.*/)?{place}", re.IGNORECASE)
        self._frames: dict[str, list[str]] = {}
        for folder in files:  # of several copies of a clip's frames, the first
            if match := found.fullmatch(folder):
                self._frames.setdefault(match["clip"], files[folder])
        self._films = {
            name.rpartition("/")[2].rpartition(".")[0]: name
            for name in tree.names
            if f".{name.rpartition('.')[2].lower()}" in VIDEO_SUFFIXES
        }

    def clip(self, clip: str, split: str, label: str, where: str) -> Clip:
        """The clip of that name; DataError, with the place of the list that names it, if neither
        frames nor a film are there."""
        if names := self._frames.get(clip):
            folder = names[0].rpartition("/")[0]
            return Clip(split, label, folder, tuple(map(self.tree.file, names)))
        if (film := self._films.get(clip)) is not None:
            return Clip(split, label, film, self.tree.file(film))
        raise DataError(f"{where}: no frames and no film of clip {clip!r}; unpack the clips whole")


def check_fold(tree: Tree, fold: int, folds: int) -> None:
    """InputError for a fold that the data set does not have."""
    if not 1 <= fold <= folds:
        raise InputError(f"{tree.path} has folds 1 to {folds}, got {fold}; choose one of them")
