import io
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from mien.errors import InputError, PictureError
from mien.sources import decode, read_picture
from mien.sources.pictures import size_of

RED, BLUE = (200, 30, 20), (20, 30, 200)


def two_halves(mode: str = "RGB", size: tuple[int, int] = (40, 24)) -> Image.Image:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", size, RED)
    image.paste(BLUE, (size[0] // 2, 0, size[0], size[1]))
    return image.convert(mode)


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def rotated_by_exif() -> bytes:
    """Stored lying on its side; the EXIF tag says how to hold it."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(two_halves().rotate(90, expand=True), "JPEG", quality=95, exif=exif.tobytes())


def sixteen_bit() -> bytes:
    grey = np.zeros((24, 40), np.uint16)
    grey[:, 20:] = 200 * 257
    return encoded(Image.fromarray(grey), "PNG")


def motion_photo() -> bytes:
    """A telephone's JPEG with a film behind its end."""
    return encoded(two_halves(), "JPEG", quality=95) + bytes(10_000)


def with_thumbnail() -> bytes:
    """A JPEG whose EXIF holds another, whole JPEG."""
    exif = b"Exif\0\0" + encoded(two_halves(), "JPEG")
    return encoded(two_halves(), "JPEG", quality=100, exif=exif)


COLOUR = {
    "png": encoded(two_halves(), "PNG"),
    "jpeg": encoded(two_halves(), "JPEG", quality=95),
    "progressive jpeg": encoded(two_halves(), "JPEG", quality=95, progressive=True),
    "cmyk jpeg": encoded(two_halves("CMYK"), "JPEG", quality=95),
    "rgba": encoded(two_halves("RGBA"), "PNG"),
    "palette": encoded(two_halves("P"), "PNG"),
    "webp": encoded(two_halves(), "WEBP", lossless=True),
    "bmp": encoded(two_halves(), "BMP"),
    "tiff": encoded(two_halves(), "TIFF"),
    "exif-rotated": rotated_by_exif(),
    "motion photo": motion_photo(),
    "with thumbnail": with_thumbnail(),
}
GREY = {
    "grey png": (encoded(two_halves("L"), "PNG"), 79),
    "grey jpeg": (encoded(two_halves("L"), "JPEG", quality=95), 79),
    "16-bit": (sixteen_bit(), 0),
    "black and white": (encoded(two_halves("1"), "PNG"), None),
}


@pytest.mark.parametrize("kind", COLOUR)
def test_colour_pictures_become_upright_rgb(kind):
    picture = decode(COLOUR[kind], name=kind)
    assert (picture.shape, picture.dtype) == ((24, 40, 3), np.uint8)
    assert np.abs(picture[12, 5].astype(int) - RED).max() < 40
    assert np.abs(picture[12, 35].astype(int) - BLUE).max() < 40


@pytest.mark.parametrize("kind", GREY)
def test_grey_pictures_become_rgb_of_equal_channels(kind):
    data, left = GREY[kind]
    picture = decode(data, name=kind)
    assert (picture.shape, picture.dtype) == ((24, 40, 3), np.uint8)
    assert (picture == picture[..., :1]).all()
    assert left is None or abs(int(picture[12, 5, 0]) - left) < 4


@pytest.mark.parametrize("kind", [*COLOUR, *GREY])
def test_every_kind_is_readable_as_grey(kind):
    data = COLOUR[kind] if kind in COLOUR else GREY[kind][0]
    assert decode(data, name=kind, grey=True).shape == (24, 40)


def noise_png() -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    return encoded(Image.fromarray(pixels), "PNG")


def noise_jpeg() -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    return encoded(Image.fromarray(pixels), "JPEG")


def bomb() -> bytes:
    """A PNG of 30,000 x 30,000 pixels, by what its head says."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    body = zlib.compress(bytes(30_001))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def jpeg_bomb() -> bytes:
    """A JPEG whose frame header says 30,000 x 30,000 pixels."""
    data = noise_jpeg()
    place = data.index(b"\xff\xc0") + 5
    return data[:place] + struct.pack(">HH", 30_000, 30_000) + data[place + 4 :]


UNREADABLE = {
    "empty": (b"", "is empty"),
    "text": (b"no picture at all\n" * 9, "not a readable picture"),
    "half a png": (noise_png()[:5000], "truncated"),
    "head of a png": (noise_png()[:20], "truncated"),
    "half a jpeg": (noise_jpeg()[:1500], "truncated"),
    "head of a jpeg": (noise_jpeg()[:3], "truncated"),
    "half a jpeg with a whole thumbnail": (with_thumbnail()[:-8], "truncated"),
    "html": (b"<html><body>404</body></html>", "not a readable picture"),
    "png bomb": (bomb(), "30000x30000"),
    "jpeg bomb": (jpeg_bomb(), "30000x30000"),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_unreadable_pictures_are_told_by_name(tmp_path, kind):
    data, message = UNREADABLE[kind]
    path = tmp_path / "face.png"
    path.write_bytes(data)
    with pytest.raises(PictureError, match=message) as caught:
        read_picture(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


ENDLESS_HEADS = {
    "fill": b"\xff",
    "bare markers": b"\xff\x01",
    "escaped": b"\xff\x00",
    "empty segments": b"\xff\xe0\x00\x02",
    "nothing": b"\x00",
}


@pytest.mark.parametrize("kind", ENDLESS_HEADS)
def test_a_head_without_end_is_refused_at_once(kind):
    part = ENDLESS_HEADS[kind]
    data = b"\xff\xd8" + part * (5 * 2**20 // len(part))
    began = time.process_time()
    assert size_of(data) == (0, 0)
    with pytest.raises(PictureError, match="truncated"):
        decode(data, name="endless")
    assert time.process_time() - began < 0.7


@pytest.mark.parametrize("kind", ["jpeg", "progressive jpeg", "cmyk jpeg", "motion photo"])
def test_fill_before_a_marker_is_passed_over(kind):
    data = COLOUR[kind]
    start = data.index(b"\xff\xda")
    filled = data[:start] + b"\xff" * 3 + data[start:]
    assert size_of(filled) == size_of(data) == (40, 24)
    assert (decode(filled, name=kind) == decode(data, name=kind)).all()


@pytest.mark.parametrize("kind", ["png", "jpeg"])
@pytest.mark.parametrize("seed", range(20))
def test_random_damage_is_a_picture_or_a_picture_error(kind, seed):
    rng = np.random.default_rng(seed)
    data = bytearray(noise_png() if kind == "png" else noise_jpeg())
    for place in rng.integers(0, len(data), 8):
        data[place] = rng.integers(0, 256)
    try:
        assert decode(bytes(data), name="damaged").dtype == np.uint8
    except PictureError as error:
        assert "damaged" in str(error)


def test_a_missing_picture_is_told(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_picture(tmp_path / "nobody.png")


def test_a_folder_is_no_picture(tmp_path):
    with pytest.raises(PictureError, match="is a folder"):
        read_picture(tmp_path)
