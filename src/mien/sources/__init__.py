"""Anything with pictures in it → frames: what to read, told from what is given."""

import glob
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien.errors import InputError, MienError
from mien.files import existing
from mien.sources.frames import LIVE, REMOTE, Cut, Frame, is_live, is_video
from mien.sources.pictures import (
    MAX_PIXELS,
    PICTURE_SUFFIXES,
    Color,
    decode,
    from_array,
    from_base64,
    from_pil,
    read_picture,
)

__all__ = [
    "MAX_PIXELS",
    "PICTURE_SUFFIXES",
    "Cut",
    "Frame",
    "Items",
    "Pending",
    "decode",
    "files_of",
    "from_array",
    "is_live",
    "is_video",
    "list_pictures",
    "load",
    "open_items",
    "read_picture",
]

_BASE64 = re.compile(r"[A-Za-z0-9+/\s]{64,}={0,2}\s*")  # no dot: a name with a suffix is a path


@dataclass(frozen=True, slots=True, eq=False)
class Pending:
    """A picture yet to be read: a path, an address, bytes, base64, an array or a PIL image."""

    source: Any
    color: Color = "rgb"
    private: bool = False
    """Whether an address may lead into a private network."""

    @property
    def name(self) -> str | None:
        """The path or address; None for what is in memory."""
        is_name = isinstance(self.source, Path) or _is_name(self.source)
        # A name that is no UTF-8 could be neither printed nor written into a table.
        return str(self.source).encode("utf-8", "backslashreplace").decode() if is_name else None

    def read(self) -> Frame:
        """The picture, or a frame with the error."""
        try:
            return Frame(self.name, load(self.source, color=self.color, private=self.private))
        except MienError as error:
            return Frame(self.name, None, error=str(error))
        except OSError as error:
            return Frame(self.name, None, error=f"{self.name}: {error.strerror or error}")


@dataclass(frozen=True, slots=True, eq=False)
class Items:
    """What a source holds: pictures still to be read, or the frames of a video (`film`)."""

    items: Iterable[Frame | Pending]
    total: int | None
    film: bool


def open_items(
    source: Any,
    *,
    color: Color = "rgb",
    private: bool = False,
    cut: Cut | None = None,
    most_pixels: int = MAX_PIXELS,
) -> Items:
    """The pictures or frames of any source, in order; InputError or PictureError.

    Cameras and streams give the newest frame, and drop what comes too fast. `most_pixels` is the
    limit of a video's frames.
    """
    if is_live(source):
        if cut is not None and cut != Cut():
            raise InputError("every, fps, start and end are for files; see mien watch --seconds")
        from mien.sources.live import Live

        return Items(Live(source), None, True)
    if is_video(source):
        from mien.sources.video import open_video

        video = open_video(source, cut, private=private, most_pixels=most_pixels)
        return Items(video, getattr(video, "expected", None), True)
    if cut is not None and cut != Cut():
        raise InputError(f"{source} is no video: every, fps, start and end choose its frames")
    if isinstance(source, Iterator):  # taken one by one: it may be long
        return Items((Pending(s, color, private) for s in _flat(source)), None, False)
    many = list_pictures(source)
    pictures = [Pending(s, color, private) for s in ([source] if many is None else many)]
    return Items(pictures, len(pictures), False)


def load(source: Any, *, color: Color = "rgb", private: bool = False) -> Any:
    """(H, W, 3) uint8 RGB of one picture; InputError, PictureError or ShapeError.

    `source` is a path, an http(s) address, bytes, base64 text, a PIL image or an array, whose
    channels are in the order of `color`.
    """
    if isinstance(source, Path):
        return read_picture(source)
    if isinstance(source, str):
        return _load_text(source, private)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return decode(bytes(source), name="the picture")
    if hasattr(source, "getexif"):  # PIL.Image, without importing PIL
        return from_pil(source)
    if hasattr(source, "__array__"):
        return from_array(source, color)
    raise InputError(
        f"expected a path, address, bytes, base64, PIL image or array, got {type(source).__name__}"
    )


def _load_text(text: str, private: bool) -> Any:
    if text.startswith(REMOTE):
        from mien.sources.remote import fetch

        return decode(fetch(text, private=private), name=text)
    if _is_name(text):
        return read_picture(text)
    return decode(from_base64(text), name="the picture")


def _is_name(source: Any) -> bool:
    """Whether text is a path or an address rather than base64."""
    if not isinstance(source, str) or source.startswith("data:"):
        return False
    return not _BASE64.fullmatch(source) or _exists(source)


def _exists(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):  # too long for a name, or with a zero byte
        return False


def list_pictures(source: Any) -> list[Any] | None:
    """The single pictures that `source` stands for, in a fixed order; None if it is one picture.

    A list or another iterable gives its members, a folder its pictures (those of its folders too),
    a text with * or ? that is no path what it matches. InputError where there is none.
    """
    if isinstance(source, (str, Path)):
        return _list_named(source)
    if isinstance(source, (bytes, bytearray, memoryview)) or hasattr(source, "__array__"):
        return None
    if isinstance(source, Iterable) and not hasattr(source, "getexif"):
        return list(_flat(source))
    return None


def files_of(source: Any) -> Iterator[str | Path]:
    """The files that `open_items` would read; none for what is live, on the web or in memory.

    An iterator is passed over: to list it would use it up. InputError as from `list_pictures`.
    """
    if is_live(source) or isinstance(source, Iterator):
        return
    many = None if is_video(source) else list_pictures(source)
    for one in [source] if many is None else many:
        if isinstance(one, Path) or (_is_name(one) and not one.startswith(REMOTE)):
            yield one


def _flat(sources: Iterable[Any]) -> Iterator[Any]:
    for source in sources:
        if is_video(source) or is_live(source):
            raise InputError(f"{source} is a video; give one video at a time, alone")
        inner = list_pictures(source) if isinstance(source, (str, Path)) else None
        yield from [source] if inner is None else inner


def _list_named(source: str | Path) -> list[Any] | None:
    text = str(source)
    if isinstance(source, str) and (not _is_name(text) or text.startswith((*REMOTE, *LIVE))):
        return None
    if not Path(text).exists() and glob.has_magic(text):
        matches = glob.glob(text, recursive=True)  # noqa: PTH207  (a pattern from anywhere)
        if not (names := sorted(p for p in matches if Path(p).is_file())):
            raise InputError(f"nothing matches {text}; check the pattern")
        return list(names)
    folder = existing(source, "picture")
    if not folder.is_dir():
        return None
    found = sorted(
        p
        for p in folder.rglob("*")
        if p.suffix.lower() in PICTURE_SUFFIXES and not p.name.startswith(".") and p.is_file()
    )
    if not found:
        raise InputError(f"{folder} has no pictures ({', '.join(sorted(PICTURE_SUFFIXES))})")
    return list(found)
