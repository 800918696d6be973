"""Whether a source is a film, and the frames of one: of a video, or of an animated picture."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien.errors import MienError
from mien.sources.formats import HEAD_BYTES, picture_format
from mien.sources.frames import REMOTE, Cut, Source, is_video
from mien.sources.pending import is_name
from mien.sources.pictures import MAX_PIXELS, Color, frames_of, opened, printable, read_file
from mien.sources.stored import Stored

_LONG_HEAD_BYTES = 2**16


@dataclass(frozen=True, slots=True)
class How:
    """How sources are read: the order of an array's channels, whether addresses may lead into a
    private network, which frames of a film, and of how many pixels at the most."""

    color: Color = "rgb"
    private: bool = False
    cut: Cut | None = None
    most_pixels: int = MAX_PIXELS


def film_of(source: Any, how: How) -> Source | None:
    """The frames of a film; None for what is none. PictureError or InputError for a broken one."""
    if isinstance(source, Stored):
        return source.film(how)
    if is_video(source):
        from mien.sources.video import open_video

        return open_video(source, how.cut, private=how.private, most_pixels=how.most_pixels)
    if (data := animated(source)) is None:
        return None
    from mien.sources.animation import Animation

    name = None if isinstance(source, bytes) else printable(source)
    return Animation(data, name, how.cut, most_pixels=how.most_pixels)


def is_film(source: Any) -> bool:
    """Whether `film_of` would open it."""
    return is_video(source) or animated(source) is not None


def animated(source: Any) -> bytes | None:
    """The data of an animated picture, or of a TIFF of several pages; None for any other source."""
    if isinstance(source, bytes):
        return source if _may_move(source[:_LONG_HEAD_BYTES]) and _moves(source) else None
    if not isinstance(source, Path) and not is_name(source):
        return None
    if str(source).startswith(REMOTE) or not _may_move(_head(source)):
        return None
    try:
        data = read_file(source)
    except MienError:
        return None
    return data if _moves(data) else None


def _head(path: str | Path) -> bytes:
    """As much of a file as tells whether it moves; nothing of most photos."""
    try:
        if not Path(path).is_file():
            return b""
        with Path(path).open("rb") as file:
            head = file.read(HEAD_BYTES)
            return head + file.read(_LONG_HEAD_BYTES) if _may_move(head, whole=False) else b""
    except (OSError, ValueError):
        return b""


def _may_move(head: bytes, whole: bool = True) -> bool:
    """Whether a file that begins so can hold several frames; unless `whole`, its head goes on."""
    kind = picture_format(head[:HEAD_BYTES])
    if kind == "WebP":
        return head[12:16] == b"VP8X" and bool(head[20:21] and head[20] & 0x02)
    if kind == "Png":
        return not whole or b"acTL" in head.partition(b"IDAT")[0]
    return kind in ("Tiff", "Gif") or (kind == "Avif" and b"avis" in head[:HEAD_BYTES])


def _moves(data: bytes) -> bool:
    """Whether there are several frames; False for a damaged file, which is told when it is read."""
    try:
        return len(frames_of(opened(data, "the picture"))) > 1
    except (MienError, OSError, ValueError, EOFError, SyntaxError, IndexError, KeyError):
        return False
