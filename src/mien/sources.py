"""Bytes and paths → pictures."""

import os
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
    if _truncated(data):
        raise PictureError(f"{name} is truncated: its end is missing; fetch it again")
    # OpenCV reads this once, when it is first imported.
    os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PIXELS))
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    import cv2

    flag = cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR_RGB
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    except cv2.error as error:
        raise PictureError(f"{name} cannot be decoded: {error.err or error}") from error
    if picture is None:
        raise PictureError(f"{name} is not a readable picture (png, jpeg, webp, bmp, tiff)")
    return np.asarray(picture, np.uint8)


def _truncated(data: bytes) -> bool:
    """Whether a PNG or a JPEG lacks its end marker; OpenCV would fill the rest with grey."""
    if data.startswith(b"\x89PNG"):
        return b"IEND" not in data[-64:]
    if data.startswith(b"\xff\xd8"):
        return b"\xff\xd9" not in data[-4096:]
    return False
