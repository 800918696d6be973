"""What a picture's file is, by its first bytes, and the class of Pillow that reads it.

Pillow's own `Image.open` would also try what is no photo (EPS starts Ghostscript), and warns of
large pictures instead of refusing them.
"""

import contextlib
import functools
import importlib
import io
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from typing import Any

from mien.errors import MienError, PictureError
from mien.extras import need

HEAD_BYTES = 64
"""So many of the first bytes tell the format."""

_MAGIC = {
    "Jpeg": rb"\xff\xd8",
    "Png": rb"\x89PNG",
    "WebP": rb"RIFF....WEBP",
    "Gif": rb"GIF8[79]a",
    "Bmp": rb"BM",
    "Tiff": rb"II[*+]\0|MM\0[*+]",
    "Ppm": rb"P[1-6][\s#]",
    "Jpeg2K": rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51",
}
"""Pillow's name of a format → how its files begin."""
_AVIF = {b"avif", b"avis"}
_HEIF = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
"""Brands of a file of ISO/IEC 23008-12."""
_VITAL = {b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"IDAT", b"acTL", b"fcTL", b"fdAT"}
"""Parts of a PNG that say something of its pixels; damage to another must not matter."""
_IEND = b"\0\0\0\0IEND\xaeB`\x82"
DAMAGE = (
    *(OSError, SyntaxError, ValueError, EOFError, MemoryError, RuntimeError, OverflowError),
    *(struct.error, IndexError, KeyError, TypeError, AttributeError, ZeroDivisionError, zlib.error),
)
"""What Pillow raises for files that are damaged."""


def picture_format(head: bytes) -> str | None:
    """Pillow's name of the format that begins with these bytes; None for what is no picture."""
    if head[4:8] == b"ftyp":
        end = min(int.from_bytes(head[:4], "big"), len(head))
        brands = {head[place : place + 4] for place in range(8, end, 4)}
        if brands & _AVIF:
            return "Avif"
        return "Heif" if head[8:12] in _HEIF else None
    found = (name for name, magic in _MAGIC.items() if re.match(magic, head, re.DOTALL))
    return next(found, None)


def open_image(data: bytes, name: str) -> Any:
    """A PIL image of which no pixel has been decoded; PictureError, or MissingExtra for HEIC."""
    kind = picture_format(data[:HEAD_BYTES])
    if kind is None:
        raise PictureError(f"{name} is not a readable picture (png, jpeg, webp, bmp, tiff, heic)")
    if kind == "Heif":
        reader = need("pillow_heif", extra="heic").HeifImageFile
    else:
        reader = getattr(importlib.import_module(f"PIL.{kind}ImagePlugin"), f"{kind}ImageFile")
    _silence()
    with damage_of(name):
        if kind != "Png":
            return reader(io.BytesIO(data))
        image = reader(io.BytesIO(_png_pixels(data, name)))
    if image.mode == "L" and "transparency" in image.info:  # Pillow scales the pixels, not this
        image.info["transparency"] *= 255 // ((1 << min(data[24], 8)) - 1)
    return image


@functools.cache
def _silence() -> None:
    """Pillow's warnings say nothing that a reading does not: of EXIF data that ends too soon."""
    warnings.filterwarnings("ignore", module=r"PIL\.")


@contextlib.contextmanager
def damage_of(name: str) -> Iterator[None]:
    """Turn what Pillow raises for a damaged picture into a PictureError that names it."""
    from PIL.Image import DecompressionBombError

    try:
        yield
    except MienError:
        raise
    except DecompressionBombError as error:
        raise PictureError(f"{name} has too many pixels ({error})") from error
    except DAMAGE as error:
        if "truncated" in str(error):
            raise truncated(name) from error
        words = " ".join(str(error).split())  # libheif's has two lines
        raise PictureError(f"{name} is not a readable picture; it is damaged ({words})") from error


def truncated(name: str) -> PictureError:
    """The error of a file without its end."""
    return PictureError(f"{name} is truncated: its end is missing; fetch it again")


def _png_pixels(data: bytes, name: str) -> bytes:
    """A PNG with only the parts that say something of its pixels, their checksums right."""
    kept = [data[:8]]
    for kind, part in _parts(data):
        if kind == b"IEND":
            return b"".join([*kept, _IEND])
        if kind in _VITAL and zlib.crc32(part[4:-4]) != int.from_bytes(part[-4:], "big"):
            raise PictureError(f"{name} is damaged: a checksum is wrong; fetch it again")
        if kind in _VITAL:
            kept.append(part)
    raise truncated(name)


def _parts(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and bytes of each whole part of a PNG."""
    place = 8
    while place + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        if (end := place + 12 + length) > len(data):
            return
        yield kind, data[place:end]
        place = end
