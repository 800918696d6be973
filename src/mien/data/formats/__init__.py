"""Every data set that mien reads: a file each, recognised by its layout or named."""

import difflib
from collections.abc import Iterable
from pathlib import Path

from mien.data.formats import (
    afew,
    affectnet,
    ck_plus,
    clips,
    dfew,
    expw,
    fer2013,
    ferv39k,
    folder,
    jaffe,
    kdef,
    mafw,
    parquet,
    raf_db,
    table,
)
from mien.data.formats.format import Format
from mien.data.records import Clip
from mien.data.tree import Tree
from mien.errors import DataError, InputError

_MODULES = (
    *(table, fer2013, raf_db, affectnet, expw, kdef, jaffe, ck_plus),
    *(dfew, ferv39k, mafw, afew, clips, parquet, folder),
)
FORMATS: tuple[Format, ...] = tuple(f for module in _MODULES for f in module.FORMATS)
"""In the order in which they are tried; any folder is a folder per class."""


def find(tree: Tree, name: str | None = None) -> Format:
    """The format of that name, or the first that recognises the files.

    InputError for an unknown name, DataError if none does.
    """
    if name is not None:
        return _named(name)
    found = next((f for f in FORMATS if f.recognises(tree)), None)
    if found is None:
        raise DataError(f"{tree.path} is no data set that mien knows; {_known()}")
    return found


def open_clips(path: Path | str, format: str | None = None, fold: int = 1) -> tuple[Clip, ...]:
    """The clips of a data set of films; no file but its lists is opened.

    `fold` is one of the data set's own, from 1 on. InputError for an unknown format or fold,
    DataError for a data set of pictures, an unknown label or a clip that is not there.
    """
    tree = Tree.open(Path(path))
    chosen = find(tree, format)
    if chosen.clips is None:
        films = _names(f for f in FORMATS if f.clips)
        raise DataError(
            f"{path} is a data set of pictures ({chosen.name}); expected clips: one of {films}"
        )
    clips = tuple(chosen.clips(tree, fold))
    if not clips:
        raise DataError(f"{path} holds no clips of {chosen.name}; expected {chosen.about}")
    return clips


def _named(name: str) -> Format:
    formats = {f.name: f for f in FORMATS}
    if name not in formats:
        near = difflib.get_close_matches(name, formats, 1)
        hint = f"did you mean {near[0]}?" if near else _known()
        raise InputError(f"no format {name!r}; {hint}")
    return formats[name]


def _known() -> str:
    return f"there are: {_names(FORMATS)}"


def _names(formats: Iterable[Format]) -> str:
    return ", ".join(f.name for f in formats)
