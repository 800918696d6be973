"""Bytes, paths and arrays → pictures."""

import base64
import binascii
import re
import struct
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError, PictureError, ShapeError
from mien.files import existing
from mien.sources.formats import DAMAGE, damage_of, open_image, truncated

MAX_PIXELS = 2**27
"""134 million pixels, 400 MB decoded; a larger picture is refused as a decompression bomb."""

MAX_BYTES = 2**28
"""268 MB; a larger file is no photo."""

Color = Literal["rgb", "bgr"]

PICTURE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".pgm", ".ppm", ".jp2"}
    | {".apng", ".avif", ".heic", ".heif", ".hif", ".j2k", ".jfif", ".jpe", ".mpo", ".pbm", ".pnm"}
)

_STILL = frozenset({"JPEG", "MPO", "HEIF"})
"""Formats whose further pictures are previews, other views or depth."""
_NEW_SUBFILE_TYPE, _BESIDE = 254, 0b101
"""Of a page of a TIFF: a smaller copy, or a mask."""

_CHANNELS = (1, 3, 4)
_ROWS, _SMALL_PX = 64, 2**21
_START_OF_SCAN = 0xDA
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BARE_MARKERS = frozenset({0x00, 0x01, *range(0xD0, 0xDA)})
_FILL = re.compile(rb"\xff\xff*")  # leads a marker; \xff+ would be searched 15 times as slowly
_MOST_SEGMENTS = 4096  # a real photo has some hundreds at most
_FEW_SEGMENTS = 100  # of a head that is read at once


def read_picture(path: Path | str) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB, turned upright by its EXIF tag; InputError or PictureError."""
    return decode(read_file(path), name=printable(path))


def printable(name: object) -> str:
    """A name as text that can be printed and written into a table, UTF-8 or not."""
    return str(name).encode("utf-8", "backslashreplace").decode()


def read_file(path: Path | str) -> bytes:
    """What a picture's file holds; InputError or PictureError."""
    path = existing(path, "picture")
    if path.is_dir():
        raise PictureError(f"{path} is a folder; expected a picture")
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise PictureError(
                f"{path} has {size:,} bytes; expected a picture of at most {MAX_BYTES:,}"
            )
        return path.read_bytes()
    except OSError as error:
        raise PictureError(f"{path} cannot be read: {error.strerror or error}") from error


def from_array(pixels: Any, color: Color = "rgb") -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB from (H, W) or (H, W, 1) grey, (H, W, 3) or (H, W, 4), 8 or 16 bits.

    `color` is the order of the channels; an alpha channel is laid over white. Raises ShapeError for
    another shape or type, floats too: their scale cannot be known.
    """
    if color not in ("rgb", "bgr"):
        raise InputError(f"expected color 'rgb' or 'bgr', got {color!r}")
    array = _as_array(pixels)
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
    if array.dtype == np.uint16:
        if 0 < array.max(initial=0) <= 255:
            raise ShapeError(
                "expected 16 bits to reach beyond 255, got at most "
                f"{array.max()}; x.astype('uint8') makes it 8 bits if it is 0-255"
            )
        array = (array >> 8).astype(np.uint8)
    if array.ndim == 2:
        array = array[:, :, None]
    if array.dtype != np.uint8 or array.ndim != 3 or 0 in array.shape:
        raise ShapeError(
            f"expected a (H, W, 3) uint8 RGB picture, got {array.shape} {array.dtype}"
            + _remedy(array)
        )
    if array.shape[0] * array.shape[1] > MAX_PIXELS:
        raise ShapeError(f"expected at most {MAX_PIXELS:,} pixels, got {array.shape}")
    if array.shape[2] == 1:
        return np.repeat(array, 3, axis=2)
    if array.shape[2] not in (3, 4):
        raise ShapeError(f"expected 1, 3 or 4 channels, got {array.shape}{_remedy(array)}")
    if array.shape[2] == 4:
        array = over_white(array)
    return np.ascontiguousarray(array[:, :, ::-1] if color == "bgr" else array)


def _as_array(pixels: Any) -> NDArray[Any]:
    """A NumPy array of what NumPy can read, such as a tensor of the processor."""
    try:
        return np.asarray(pixels)
    except (TypeError, RuntimeError, ValueError) as error:  # on a graphics card, with a gradient
        kind = type(pixels).__name__
        raise ShapeError(
            f"expected an array, got a {kind} that NumPy cannot read; give x.detach().cpu().numpy()"
        ) from error


def _remedy(array: NDArray[Any]) -> str:
    """What to call to make a picture of an array; "" where that cannot be known."""
    steps = []
    if array.ndim == 3 and array.shape[0] in _CHANNELS and min(array.shape[1:]) > 4:
        steps.append("x.transpose(1, 2, 0) puts the channels last (of a tensor: x.permute)")
    elif array.ndim == 3 and array.shape[2] > 4:
        steps.append("give several grey pictures as list(x)")
    elif array.ndim == 4:
        steps.append("give several pictures as list(x)")
    if array.dtype.kind == "f" and array.size and np.isfinite(array).all():
        low, high = float(array.min()), float(array.max())
        values, range_ = ("(x * 255)", "0-1") if high <= 1 else ("x", "0-255")
        if low < 0 and high <= 1:
            values, range_ = "((x + 1) * 127.5)", "-1 to 1"
        steps.append(f"{values}.round().astype('uint8') makes it 8 bits if it is {range_}")
    elif array.dtype.kind in "iu" and array.dtype != np.uint8:
        steps.append("x.astype('uint8') makes it 8 bits if it is 0-255")
    return "; " + "; ".join(steps) if steps else ""


def from_pil(image: Any) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of a PIL image of any mode, turned upright by its EXIF tag."""
    try:
        image.load()
    except DAMAGE as error:  # opened lazily, and damaged
        raise PictureError(f"the PIL image cannot be decoded: {error}") from error
    return pixels_of(upright(image))


def pixels_of(image: Any) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of a PIL image of any mode, as it is stored."""
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        values = np.asarray(image, np.float64)
        wide = image.mode != "F" and values.max(initial=0) > 255
        return from_array(np.clip(values / (257 if wide else 1), 0, 255).astype(np.uint8))
    if image.mode in ("RGBa", "La"):  # colours multiplied by alpha
        image = image.convert(image.mode.upper())
    transparent = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
    wanted = "RGBA" if transparent else "RGB"
    return from_array(_pixels(image if image.mode == wanted else image.convert(wanted)))


def _pixels(image: Any) -> NDArray[np.uint8]:
    """(H, W, 3 or 4) uint8 of an RGB or RGBA image; a large one is copied in parts that fit a
    processor's cache: NumPy's own way takes twice the time and memory."""
    width, height = image.size
    if width * height <= _SMALL_PX:
        return np.array(image)
    pixels = np.empty((height, width, len(image.mode)), np.uint8)
    for top in range(0, height, _ROWS):
        part = image.crop((0, top, width, min(height, top + _ROWS)))
        pixels[top : top + part.height] = part
    return pixels


def upright(image: Any, in_place: bool = False) -> Any:
    """The image turned by its EXIF tag; a copy, unless the image itself may be turned."""
    from PIL import ImageOps

    try:
        if not in_place:
            return ImageOps.exif_transpose(image)
        ImageOps.exif_transpose(image, in_place=True)
        return image
    except DAMAGE:  # of the EXIF data alone
        return image


def over_white(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) uint8, from (H, W, 4) uint8 whose last channel is alpha, 255 for opaque."""
    alpha = picture[:, :, 3:].astype(np.uint16)
    return ((picture[:, :, :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def from_base64(text: str) -> bytes:
    """The bytes behind base64 text or a `data:` address; InputError if it is neither."""
    body = text.partition(",")[2] if text.startswith("data:") else text
    try:
        return base64.b64decode("".join(body.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(f"expected base64 text, got {text[:40]!r}... ({error})") from error


def decode(data: bytes, *, name: str, grey: bool = False) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB, or (H, W) if `grey`; PictureError names `name` if it is not whole.

    What is transparent is laid over white, as that of arrays and PIL images. Of the pictures that a
    camera stores together (MPO) it is the first; a film (an animated picture, a TIFF of several
    pages) is a PictureError: `open_source` reads its frames.
    """
    return decoded(opened(data, name), name, grey=grey)


def decoded(image: Any, name: str, *, grey: bool = False) -> NDArray[np.uint8]:
    """The same of what `opened` has opened."""
    with damage_of(name):
        if (frames := len(frames_of(image))) > 1:
            raise PictureError(
                f"{name} is a film of {frames} frames; expected one picture: give it as a film"
            )
        if grey and image.format == "JPEG":
            image.draft("L", image.size)  # its brightness as it is stored
        image.load()
    image = upright(image, in_place=True)
    if grey and image.mode == "L" and "transparency" not in image.info:
        return np.array(image)  # the same as by way of colours
    picture = pixels_of(image)
    return _to_grey(picture) if grey else picture


def opened(data: bytes, name: str) -> Any:
    """A PIL image of which no pixel has been decoded.

    PictureError for one that is damaged, cut short or larger than `MAX_PIXELS`, MissingExtra for
    HEIC without its reader.
    """
    if not data:
        raise PictureError(f"{name} is empty (0 bytes)")
    if data.startswith(b"\xff\xd8"):
        width, height, whole = _jpeg_head(data)
        check_size(width, height, name)
        if not whole:
            raise truncated(name)
    image = open_image(data, name)
    check_size(image.width, image.height, name)
    return image


def size_of(data: bytes) -> tuple[int, int] | None:
    """Width and height in pixels that the head of a JPEG or PNG tells of, which is not opened for
    it; None where more has to be read, or it is no such file."""
    if data.startswith(b"\xff\xd8"):
        width, height, whole = _jpeg_head(data, _FEW_SEGMENTS)
        return (width, height) if whole else None
    if data.startswith(b"\x89PNG\r\n\x1a\n") and data[12:16] == b"IHDR" and len(data) > 24:
        return struct.unpack(">II", data[16:24])
    return None


def check_size(width: int, height: int, name: str, most: int | None = None) -> None:
    """Refuse a decompression bomb with PictureError: more than `most` or MAX_PIXELS pixels."""
    most = MAX_PIXELS if most is None else most
    if width * height > most:
        raise PictureError(f"{name} has {width}x{height} pixels; expected at most {most:,}")


def frames_of(image: Any) -> list[int]:
    """The places of the pictures that follow each other in a PIL image.

    A photo has one: previews of JPEG, HEIC and TIFF, and the still that stands for an animated PNG,
    are none.
    """
    if image.format in _STILL or getattr(image, "n_frames", 1) == 1:
        return [0]
    if image.format != "TIFF":
        return [*range(bool(getattr(image, "default_image", False)), image.n_frames)]
    kinds = [_tiff_kind(image, place) for place in range(image.n_frames)]
    image.seek(0)
    return [place for place, kind in enumerate(kinds) if not kind & _BESIDE] or [0]


def _tiff_kind(image: Any, place: int) -> int:
    image.seek(place)
    return int(image.tag_v2.get(_NEW_SUBFILE_TYPE, 0))


def _to_grey(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    import cv2

    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)


def _jpeg_head(data: bytes, most: int = _MOST_SEGMENTS) -> tuple[int, int, bool]:
    """Width, height, and whether there is an end marker behind the first scan.

    Segments are stepped over by their length: a thumbnail inside has an end marker of its own, and
    telephones append films behind the end. It is given up after `most` segments.
    """
    width = height = 0
    place = 2
    for _ in range(most):
        marker = _FILL.search(data, place)
        if marker is None or marker.end() > len(data) - 3:
            break
        place = marker.end() - 1
        kind, length = struct.unpack(">xBH", data[place : place + 4])
        if kind == _START_OF_SCAN:
            return width, height, data.rfind(b"\xff\xd9", place) >= 0
        if kind in _FRAME_HEADERS:
            height, width = struct.unpack(">HH", data[place + 5 : place + 9].ljust(4, b"\0"))
        place += 2 if kind in _BARE_MARKERS else 2 + length
    return width, height, False
