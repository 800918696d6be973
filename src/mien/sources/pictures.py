"""Bytes and paths → pictures."""

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import PictureError
from mien.files import existing

MAX_PIXELS = 2**27
"""134 million pixels, 400 MB decoded; a larger picture is refused as a decompression bomb."""

PICTURE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".pgm", ".ppm", ".jp2"}
)

_START_OF_SCAN = 0xDA
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BARE_MARKERS = frozenset({0x00, 0x01, *range(0xD0, 0xDA)})


def read_picture(path: Path | str) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB, turned upright by its EXIF tag; InputError or PictureError."""
    path = existing(path, "picture")
    if path.is_dir():
        raise PictureError(f"{path} is a folder; expected a picture")
    return decode(path.read_bytes(), name=str(path))


def decode(data: bytes, *, name: str, grey: bool = False) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB, or (H, W) if `grey`; PictureError names `name` if it is not whole."""
    if not data:
        raise PictureError(f"{name} is empty (0 bytes)")
    _check_head(data, name)
    import cv2

    flag = cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR_RGB
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    except cv2.error as error:
        raise PictureError(f"{name} cannot be decoded: {error.err or error}") from error
    if picture is None:
        raise PictureError(f"{name} is not a readable picture (png, jpeg, webp, bmp, tiff)")
    return np.asarray(picture, np.uint8)


def _check_head(data: bytes, name: str) -> None:
    """Refuse a PNG or JPEG that is cut short (OpenCV would fill it with grey) or is a bomb."""
    if data.startswith(b"\x89PNG"):
        width, height = struct.unpack(">II", data[16:24].ljust(8, b"\0"))
        whole = b"IEND\xaeB`\x82" in data
    elif data.startswith(b"\xff\xd8"):
        width, height, whole = _jpeg_head(data)
    else:
        return
    if width * height > MAX_PIXELS:
        raise PictureError(f"{name} has {width}x{height} pixels; expected at most {MAX_PIXELS:,}")
    if not whole:
        raise PictureError(f"{name} is truncated: its end is missing; fetch it again")


def _jpeg_head(data: bytes) -> tuple[int, int, bool]:
    """Width, height, and whether there is an end marker behind the first scan.

    Segments are stepped over by their length: a thumbnail inside has an end marker of its own, and
    telephones append films behind the end.
    """
    width = height = 0
    place = data.find(b"\xff", 2)
    while 0 <= place <= len(data) - 4:
        kind, length = struct.unpack(">xBH", data[place : place + 4])
        if kind == _START_OF_SCAN:
            return width, height, data.find(b"\xff\xd9", place) >= 0
        if kind in _FRAME_HEADERS:
            height, width = struct.unpack(">HH", data[place + 5 : place + 9].ljust(4, b"\0"))
        if kind == 0xFF:
            step = 1
        elif kind in _BARE_MARKERS:
            step = 2
        else:
            step = 2 + length
        place = data.find(b"\xff", place + step)
    return width, height, False
