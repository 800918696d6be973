"""Transparent pictures on a white background.

OpenCV gives an alpha channel only with the picture as it is stored, so that the EXIF tag that turns
it upright is read here.
"""

import struct
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

_PNG, _JPEG, _TIFF = b"\x89PNG", b"\xff\xd8", (b"II*\0", b"MM\0*")
_WITH_ALPHA = (b"\x04", b"\x06")  # colour types of PNG: grey and colour, with alpha
_WEBP_ALPHA = 0x10  # a flag of VP8X
_ORIENTATION = 0x0112
_MOST_CHUNKS = 4096  # a real picture has some hundreds at most

_UPRIGHT: dict[int, Callable[[Pixels], Pixels]] = {
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: p[::-1].swapaxes(0, 1),
    7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
    8: lambda p: p[:, ::-1].swapaxes(0, 1),
}
"""What turns a picture upright whose EXIF tag says this (EXIF 2.32, 4.6.4 A, Orientation)."""


def over_white(picture: Pixels) -> Pixels:
    """(H, W, 3) uint8, from (H, W, 4) uint8 whose last channel is alpha, 255 for opaque."""
    alpha = picture[:, :, 3:].astype(np.uint16)
    return ((picture[:, :, :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def decode_over_white(data: bytes) -> Pixels | None:
    """(H, W, 3) uint8 RGB, upright; None for a file without a transparent pixel."""
    if not _may_be_clear(data):
        return None
    import cv2

    stored: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if stored is None or stored.dtype not in (np.uint8, np.uint16):
        return None
    if stored.dtype == np.uint16:
        stored = (stored >> 8).astype(np.uint8)
    if stored.ndim == 2 and (clear := _clear_grey(data)) is not None:
        stored = np.dstack([stored] * 3 + [np.where(stored == clear, np.uint8(0), np.uint8(255))])
    if stored.shape[2:] != (4,) or stored[:, :, 3].min() == 255:
        return None
    picture = np.asarray(stored[:, :, [2, 1, 0, 3]], np.uint8)
    if data.startswith(_TIFF):
        return _over_white_if_multiplied(picture)
    return np.ascontiguousarray(_UPRIGHT.get(_orientation(data), np.asarray)(over_white(picture)))


def _over_white_if_multiplied(picture: Pixels) -> Pixels:
    """libtiff multiplies colours by alpha in most TIFFs: then no colour exceeds alpha."""
    if (picture[:, :, :3] > picture[:, :, 3:]).any():
        return over_white(picture)
    return picture[:, :, :3] + (255 - picture[:, :, 3:])


def _may_be_clear(data: bytes) -> bool:
    """False where the file's header rules transparency out, so that most files are decoded once."""
    if data.startswith(_PNG):
        return data[25:26] in _WITH_ALPHA or _transparency(data) is not None
    if _is_webp(data) and data[12:16] != b"VP8L":
        return data[12:16] == b"VP8X" and bool(data[20:21] and data[20] & _WEBP_ALPHA)
    return not data.startswith(_JPEG)


def _transparency(data: bytes) -> bytes | None:
    """The transparent colours of a PNG: its chunk tRNS, which stands before the pixels."""
    for kind, body in _chunks(data):
        if kind in (b"tRNS", b"IDAT"):
            return bytes(body) if kind == b"tRNS" else None
    return None


def _clear_grey(data: bytes) -> int | None:
    """The grey that a PNG of at most 8 bits declares transparent, 0-255: OpenCV ignores it."""
    body = _transparency(data) if data.startswith(_PNG) else None
    if not body or len(body) < 2 or (depth := data[24]) > 8:
        return None
    return body[1] * 255 // ((1 << depth) - 1)


def _orientation(data: bytes) -> int:
    """The EXIF orientation of a PNG or WebP, 1-8; 1 if there is none."""
    exif = bytes(next((body for kind, body in _chunks(data) if kind in (b"eXIf", b"EXIF")), b""))
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, start)
        for place in range(start + 2, start + 2 + 12 * count, 12):
            tag, value = struct.unpack_from(order + "H6xH", exif, place)
            if tag == _ORIENTATION:
                return int(value)
    except struct.error:  # cut short
        pass
    return 1


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Kind and body of the first chunks of a PNG or WebP, none of another file."""
    png, view = data.startswith(_PNG), memoryview(data)
    place = 8 if png else 12 if _is_webp(data) else len(data)
    for _ in range(_MOST_CHUNKS):
        if place + 8 > len(data):
            return
        kind = data[place + 4 : place + 8] if png else data[place : place + 4]
        (length,) = struct.unpack_from(">I" if png else "<4xI", data, place)
        yield kind, view[place + 8 : place + 8 + length]
        place += 12 + length if png else 8 + length + length % 2


def _is_webp(data: bytes) -> bool:
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"
