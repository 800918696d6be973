"""Open anything that has pictures: `open_source`."""

import glob
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mien.errors import InputError
from mien.files import existing
from mien.sources.frames import LIVE, REMOTE, Cut, Frame, Item, Kind, Source, is_live, is_video
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
from mien.types import Readings

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
    index: int | None = None
    """Its place among several, from 0."""

    @property
    def name(self) -> str | None:
        """The path or address; None for what is in memory."""
        is_name = isinstance(self.source, Path) or _is_name(self.source)
        return _printable(self.source) if is_name else None

    def load(self) -> Frame:
        """The picture; InputError, PictureError or ShapeError."""
        pixels = load(self.source, color=self.color, private=self.private)
        return Frame(self.name, pixels, index=self.index)


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """A single picture, or several in a fixed order."""

    name: str
    kind: Kind
    pictures: Iterable[Pending]
    warnings: Sequence[str] = ()
    rate: float | None = None
    live: bool = False

    @property
    def length(self) -> int | None:
        """How many; None for an iterator, which is taken one by one."""
        return len(self.pictures) if isinstance(self.pictures, list) else None

    @property
    def files(self) -> Sequence[str | Path]:
        """The paths. An iterator has none, as listing would use it up."""
        listed = self.pictures if isinstance(self.pictures, list) else []
        return [p.source for p in listed if p.name and not p.name.startswith(REMOTE)]

    def __iter__(self) -> Iterator[Pending]:
        return iter(self.pictures)

    def rest(self, done: Readings) -> "Pictures":
        """The pictures that have no reading in `done`."""
        names = {reading.path for reading in done if reading.path}
        return replace(self, pictures=[p for p in self.pictures if p.name not in names])


def open_source(
    source: Any,
    *,
    color: Color = "rgb",
    private: bool = False,
    cut: Cut | None = None,
    most_pixels: int = MAX_PIXELS,
) -> Source:
    """The pictures or frames of anything, in order; InputError or PictureError.

    A path, address, bytes, base64 text, PIL image or array is one picture. A list, an iterator, a
    folder (with its folders) and a text with * or ? that is no path are several. A path or address
    with the suffix of a video is its frames: `cut` chooses some, and none may have more than
    `most_pixels`. Cameras (a number) and streams give the newest frame and drop what comes too
    fast. A `Source` is taken as it is.
    """
    if isinstance(source, Source):
        return source
    if is_live(source):
        if cut is not None and cut != Cut():
            raise InputError("every, fps, start and end are for files; see mien watch --seconds")
        from mien.sources.live import Live

        return Live(source)
    if is_video(source):
        from mien.sources.video import open_video

        return open_video(source, cut, private=private, most_pixels=most_pixels)
    pictures = _open_pictures(source, color, private)
    if cut is not None and cut != Cut():
        raise InputError(f"{pictures.name} is no video: every, fps, start and end choose frames")
    return pictures


def _open_pictures(source: Any, color: Color, private: bool) -> Pictures:
    name = _printable(source) if isinstance(source, (str, Path)) else "the pictures"
    warnings: list[str] = []
    if (sources := _several(source, warnings)) is None:
        return Pictures(name, "picture", [Pending(source, color, private)])
    pictures = (Pending(one, color, private, index) for index, one in enumerate(sources))
    if isinstance(source, Iterator):  # taken one by one: it may be long
        return Pictures(name, "pictures", pictures, warnings)
    return Pictures(name, "pictures", list(pictures), warnings)


def _printable(name: object) -> str:
    """A name as text that can be printed and written into a table, UTF-8 or not."""
    return str(name).encode("utf-8", "backslashreplace").decode()


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


def _several(source: Any, warnings: list[str]) -> Iterable[Any] | None:
    """The single pictures that `source` stands for; None if it is one picture."""
    if isinstance(source, (str, Path)):
        return _named(source, warnings)
    if isinstance(source, (bytes, bytearray, memoryview)) or hasattr(source, "__array__"):
        return None
    if isinstance(source, Iterable) and not hasattr(source, "getexif"):
        return _flat(source, warnings)
    return None


def _flat(sources: Iterable[Any], warnings: list[str]) -> Iterator[Any]:
    for source in sources:
        if is_video(source) or is_live(source):
            raise InputError(f"{source} is a video; give one video at a time, alone")
        named = _named(source, warnings) if isinstance(source, (str, Path)) else None
        yield from [source] if named is None else named


def _named(source: str | Path, warnings: list[str]) -> list[Any] | None:
    """The pictures of a folder or a pattern; None for the path or address of one picture."""
    text = str(source)
    if isinstance(source, str) and (not _is_name(text) or text.startswith((*REMOTE, *LIVE))):
        return None
    if not Path(text).exists() and glob.has_magic(text):
        matches = glob.glob(text, recursive=True)  # noqa: PTH207  (a pattern from anywhere)
        if not (names := sorted(p for p in matches if Path(p).is_file())):
            raise InputError(f"nothing matches {text}; check the pattern")
        return list(names)
    folder = existing(source, "picture")
    return _of_folder(folder, warnings) if folder.is_dir() else None


def _of_folder(folder: Path, warnings: list[str]) -> list[Any]:
    files = [p for p in folder.rglob("*") if not p.name.startswith(".") and p.is_file()]
    found = sorted(p for p in files if p.suffix.lower() in PICTURE_SUFFIXES)
    if not found:
        raise InputError(f"{folder} has no pictures ({', '.join(sorted(PICTURE_SUFFIXES))})")
    if others := sorted(p.name for p in files if p.suffix.lower() not in PICTURE_SUFFIXES):
        shown = ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")
        warnings.append(f"{folder}: files left out as no pictures: {len(others)} ({shown})")
    return list(found)
