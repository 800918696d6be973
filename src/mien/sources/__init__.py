"""Open anything that has pictures: `open_source`."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mien.errors import InputError, MienError
from mien.sources.batch import Pictures
from mien.sources.films import How, film_of
from mien.sources.frames import Cut, Frame, Item, Source, is_live, primed
from mien.sources.listing import named, several
from mien.sources.pending import Pending, load, name_of, read_open
from mien.sources.pictures import (
    MAX_PIXELS,
    PICTURE_SUFFIXES,
    Color,
    decode,
    from_array,
    read_picture,
)

__all__ = [
    "MAX_PIXELS",
    "PICTURE_SUFFIXES",
    "Cut",
    "Frame",
    "Item",
    "Pending",
    "Pictures",
    "Source",
    "decode",
    "from_array",
    "load",
    "open_source",
    "primed",
    "read_picture",
]

_MOST_CAMERAS = 1000


def open_source(
    source: Any,
    *,
    color: Color = "rgb",
    private: bool = False,
    cut: Cut | None = None,
    most_pixels: int = MAX_PIXELS,
) -> Source:
    """The pictures or frames of anything, in order; InputError, PictureError or ShapeError.

    A path, address, bytes, base64 text, open file, PIL image or array is one picture, or one film:
    `cut` chooses some of its frames, and none may have more than `most_pixels`. A list, an
    iterator, a Series, an (N, H, W, 3) array, a folder (with its folders) and a text with * or ?
    that is no path are several photos and films; one that cannot be read is told in its place.
    Cameras (a number) and streams give the newest frame and drop what comes too fast. A `Source` is
    taken as it is.
    """
    if isinstance(source, Source):
        return source
    source = _plain(source)
    if is_live(source):
        return _live(source, cut)
    how, left_out = How(color, private, cut, most_pixels), list[str]()
    if (many := several(source, left_out)) is not None:
        return _many(source, many, how, left_out)
    name = name_of(source) or "the picture"
    if hasattr(source, "read"):
        source = read_open(source)
    if (film := film_of(source, how)) is not None:
        return film
    return _checked(Pictures(name, [Pending(source, color, private)], how, single=True))


def _plain(source: Any) -> Any:
    """A path as `Path` or text, all bytes as `bytes`; InputError for an empty text."""
    if isinstance(source, str) and not source.strip():
        raise InputError("expected a path or an address, got an empty text")
    if isinstance(source, os.PathLike) and not isinstance(source, Path):
        return Path(os.fsdecode(source))
    return bytes(source) if isinstance(source, (bytearray, memoryview)) else source


def _live(source: Any, cut: Cut | None) -> Source:
    if cut is not None and cut != Cut():
        raise InputError("every, fps, start and end are for files; see mien watch --seconds")
    if isinstance(source, int) and not 0 <= source < _MOST_CAMERAS:
        raise InputError(f"expected a camera's number, 0 or a little more, got {source}")
    from mien.sources.live import Live

    return Live(source)


def _many(source: Any, many: Iterable[Any], how: How, left_out: list[str]) -> Pictures:
    pending = (
        Pending(one, how.color, how.private, index, error)
        for index, (one, error) in enumerate(_flat(many, left_out))
    )
    name = name_of(source) or "the pictures"
    if isinstance(source, Iterator):  # taken one by one: it may be long
        return Pictures(name, pending, how, left_out=left_out)
    return _checked(Pictures(name, list(pending), how, left_out=left_out))


def _checked(pictures: Pictures) -> Pictures:
    cut = pictures.how.cut
    if cut is not None and cut != Cut() and pictures.kind != "mixed":
        raise InputError(f"{pictures.name} is no video: every, fps, start and end choose frames")
    return pictures


def _flat(sources: Iterable[Any], left_out: list[str]) -> Iterator[tuple[Any, MienError | None]]:
    """Each picture or film, those of folders and patterns too; with why it cannot be read."""
    for source in sources:
        try:
            one = _plain(source)
            if isinstance(one, str) and is_live(one):
                raise InputError(f"{one} is a live stream; read it alone")
            found = named(one, left_out) if isinstance(one, (str, Path)) else None
        except InputError as error:
            yield source, error
            continue
        yield from [(one, None)] if found is None else ((file, None) for file in found)
