"""One picture that is yet to be read, in whatever form it was given."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien.errors import InputError, MienError
from mien.sources.frames import REMOTE, Frame
from mien.sources.pictures import (
    Color,
    decode,
    from_array,
    from_base64,
    from_pil,
    printable,
    read_picture,
)

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
    error: MienError | None = None
    """Why it cannot be read, where that is known already."""

    @property
    def name(self) -> str | None:
        """The path or address; None for what is in memory."""
        return name_of(self.source)

    def load(self) -> Frame:
        """The picture; InputError, PictureError or ShapeError."""
        if self.error is not None:
            raise self.error
        pixels = load(self.source, color=self.color, private=self.private)
        return Frame(self.name, pixels, index=self.index)


def name_of(source: Any) -> str | None:
    """The path or address of a source; None for what is in memory."""
    if hasattr(source, "read"):  # an open file
        source = getattr(source, "name", None)
    return printable(source) if isinstance(source, Path) or is_name(source) else None


def load(source: Any, *, color: Color = "rgb", private: bool = False) -> Any:
    """(H, W, 3) uint8 RGB of one picture; InputError, PictureError or ShapeError.

    `source` is a path, an http(s) address, bytes, base64 text, an open file, a PIL image or an
    array, whose channels are in the order of `color`.
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
    if hasattr(source, "read"):
        return decode(read_open(source), name=name_of(source) or "the picture")
    raise InputError(
        f"expected a path, address, bytes, base64, PIL image or array, got {type(source).__name__}"
    )


def read_open(file: Any) -> bytes:
    """The bytes of an open file, from where it stands; InputError for text."""
    try:
        data = file.read()
    except (OSError, ValueError) as error:  # closed
        raise InputError(f"the open file cannot be read: {error}") from error
    if not isinstance(data, bytes):
        kind = type(data).__name__
        raise InputError(f"expected a file of bytes, got one of {kind}; open it with mode 'rb'")
    return data


def _load_text(text: str, private: bool) -> Any:
    if not text.strip():
        raise InputError("expected a path or an address, got an empty text")
    if text.startswith(REMOTE):
        from mien.sources.remote import fetch

        return decode(fetch(text, private=private), name=text)
    if is_name(text):
        return read_picture(text)
    return decode(from_base64(text), name="the picture")


def is_name(source: Any) -> bool:
    """Whether text is a path or an address rather than base64."""
    if not isinstance(source, str) or source.startswith("data:"):
        return False
    return not _BASE64.fullmatch(source) or is_there(source)


def is_there(path: str | Path) -> bool:
    """Whether something lies at the path; no name too long and no zero byte is an error."""
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False
