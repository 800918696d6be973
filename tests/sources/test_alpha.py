"""A transparent picture lies on white, whatever it comes as."""

import base64
import io
import struct
import time
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mien.sources import decode, load
from mien.sources.pictures import over_white

RNG = np.random.default_rng(0)
SHAPE = (6, 8)
COLOURS = RNG.integers(0, 256, (*SHAPE, 3)).astype(np.uint8)
ALPHA = RNG.integers(0, 256, SHAPE).astype(np.uint8)
ALPHA[0, :3] = 0, 128, 255
RGBA = np.dstack([COLOURS, ALPHA])


def laid(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """What a painter sees: colour where it is opaque, white where it is not."""
    share = alpha[..., None] / 255
    return np.floor(colours * share + 255 * (1 - share) + 0.5)


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def opencv(suffix: str, pixels: np.ndarray, *options: int) -> bytes:
    """`pixels` are RGBA."""
    return cv2.imencode(suffix, pixels[..., [2, 1, 0, 3]], options)[1].tobytes()


COLOUR = Image.fromarray(RGBA)
FILES = {
    "png": encoded(COLOUR, "PNG"),
    "png of 16 bits": opencv(".png", RGBA.astype(np.uint16) * 257),
    "webp": encoded(COLOUR, "WEBP", lossless=True, exact=True),
    "webp with a head": encoded(
        COLOUR, "WEBP", lossless=True, exact=True, exif=Image.Exif().tobytes() + b" "
    ),
    "bmp": opencv(".bmp", RGBA),
    "tiff": encoded(COLOUR, "TIFF"),
    "tiff, not multiplied": opencv(".tiff", RGBA),
    "tiff of 16 bits": opencv(".tiff", RGBA.astype(np.uint16) * 257),
    "jp2": encoded(COLOUR, "JPEG2000", irreversible=False),
}


@pytest.mark.parametrize("kind", FILES)
def test_the_hidden_colours_of_a_file_stay_hidden(kind: str):
    expected = laid(COLOURS, ALPHA)
    found = decode(FILES[kind], name=kind)
    assert found.shape == (*SHAPE, 3)
    assert np.abs(found - expected).max() <= (1 if "tiff" in kind else 0)
    grey = decode(FILES[kind], name=kind, grey=True)
    assert np.abs(grey - expected @ (0.299, 0.587, 0.114)).max() <= 1.5


def test_a_file_bytes_base64_an_image_and_an_array_agree(tmp_path: Path):
    data = FILES["png"]
    (tmp_path / "p.png").write_bytes(data)
    text = base64.b64encode(data).decode()
    bgra = RGBA[..., [2, 1, 0, 3]]
    assert (load(data) == laid(COLOURS, ALPHA)).all()
    for source in (tmp_path / "p.png", text, COLOUR, Image.open(io.BytesIO(data)), RGBA):
        assert (load(source) == load(data)).all()
    assert (load(bgra, color="bgr") == load(data)).all()
    assert (load((RGBA.astype(np.uint16) << 8) + 200) == load(data)).all()


def test_a_lossy_webp_has_alpha_too():
    smooth = np.full((16, 16, 4), (200, 30, 20, 255), np.uint8)
    smooth[:, 8:, 3] = 0
    found = decode(encoded(Image.fromarray(smooth), "WEBP", quality=95), name="webp")
    assert np.abs(found[8, 4].astype(int) - (200, 30, 20)).max() < 12
    assert (found[:, 8:] == 255).all()


def test_grey_with_alpha():
    grey = Image.fromarray(np.dstack([COLOURS[..., 0], ALPHA]), "LA")
    expected = laid(COLOURS[..., :1].repeat(3, 2), ALPHA)
    for source in (encoded(grey, "PNG"), grey):
        assert (load(source) == expected).all()


@pytest.mark.parametrize("mode", ["RGBa", "La"])
def test_pil_images_with_colours_multiplied_by_alpha(mode: str):
    straight = COLOUR.convert(mode.upper())
    found = load(straight.convert(mode)).astype(int)
    assert np.abs(found - load(straight)).max() <= 2


def half_clear(kind: str) -> bytes:
    """Black and 200, of which one colour or palette entry is declared transparent."""
    two = np.zeros(SHAPE, np.uint8)
    two[:, 4:] = 200
    if kind == "grey":
        return encoded(Image.fromarray(two), "PNG", transparency=200)
    if kind == "grey of 4 bits":
        return four_bits(two // 17, 200 // 17)
    if kind == "colour":
        return encoded(Image.fromarray(two).convert("RGB"), "PNG", transparency=(200, 200, 200))
    palette = Image.fromarray(two // 200, "P")
    palette.putpalette([0, 0, 0, 200, 200, 200])
    return encoded(palette, "PNG" if kind == "palette" else "GIF", transparency=1)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def four_bits(values: np.ndarray, clear: int) -> bytes:
    """A grey PNG of 4 bits, of which the value `clear` is transparent."""
    height, width = values.shape
    rows = b"".join(b"\0" + bytes(row[::2] << 4 | row[1::2]) for row in values)
    head = struct.pack(">IIBBBBB", width, height, 4, 0, 0, 0, 0)
    parts = [(b"IHDR", head), (b"tRNS", struct.pack(">H", clear)), (b"IDAT", zlib.compress(rows))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in [*parts, (b"IEND", b"")])


@pytest.mark.parametrize("kind", ["grey", "grey of 4 bits", "colour", "palette", "gif"])
def test_a_colour_can_be_declared_transparent(kind: str):
    found = decode(half_clear(kind), name=kind)
    assert (found[:, :4] == 0).all()
    assert (found[:, 4:] == 255).all()
    if kind != "grey of 4 bits":  # Pillow looks for the grey among the values it has scaled
        assert (load(Image.open(io.BytesIO(half_clear(kind)))) == found).all()


@pytest.mark.parametrize("kind", ["png", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_transparent_picture_is_turned_upright_as_an_opaque_one(kind: str, orientation: int):
    exif = Image.Exif()
    exif[0x0110] = "a camera"  # another entry before the one that counts
    exif[0x0112] = orientation
    alpha = np.full(SHAPE, 255, np.uint8)
    alpha[1, 2] = 0
    image = Image.fromarray(np.dstack([COLOURS, alpha]))
    options = {} if kind == "png" else {"lossless": True, "exact": True}
    data = encoded(image, kind, exif=exif.tobytes(), **options)
    stored = Image.fromarray(laid(COLOURS, alpha).astype(np.uint8))
    opaque = encoded(stored, kind, exif=exif.tobytes(), **options)
    assert (decode(data, name="p") == decode(opaque, name="p")).all()
    assert (load(Image.open(io.BytesIO(data))) == decode(data, name="p")).all()


@pytest.mark.parametrize(
    "body", [b"", b"MM\0*", b"II*\0\xff\xff\xff\xff", b"II*\0\x08\0\0\0\x09\0"]
)
def test_exif_that_says_nothing_turns_nothing(body: bytes):
    data = FILES["png"][:33] + chunk(b"eXIf", body) + FILES["png"][33:]
    assert (decode(data, name="p") == laid(COLOURS, ALPHA)).all()


@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_in_either_order_of_bytes(order: str):
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(order + "HHIHH", 0x0112, 3, 1, 3, 0)
    body = mark + struct.pack(order + "IH", 8, 1) + entry + bytes(4)
    data = FILES["png"][:-12] + chunk(b"eXIf", body) + FILES["png"][-12:]
    assert (decode(data, name="p") == laid(COLOURS, ALPHA)[::-1, ::-1]).all()


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF"])
def test_an_opaque_alpha_channel_changes_nothing(format: str):
    options = {"lossless": True} if format == "WEBP" else {}
    opaque = Image.fromarray(COLOURS)
    with_alpha = encoded(opaque.convert("RGBA"), format, **options)
    for grey in (False, True):
        expected = decode(encoded(opaque, format, **options), name="p", grey=grey)
        assert (decode(with_alpha, name="p", grey=grey) == expected).all()


def test_a_picture_of_endless_chunks_is_refused_at_once():
    head = FILES["png"][:33]
    began = time.process_time()
    data = head + chunk(b"abCd", b"") * 400_000 + FILES["png"][33:]
    decode(data, name="p")
    assert time.process_time() - began < 3


@pytest.mark.parametrize(
    ("colour", "alpha", "expected"),
    [(0, 255, 0), (0, 0, 255), (200, 0, 255), (200, 255, 200), (0, 128, 127), (255, 77, 255)],
)
def test_over_white(colour: int, alpha: int, expected: int):
    pixel = np.array([[[colour, colour, colour, alpha]]], np.uint8)
    assert over_white(pixel).tolist() == [[[expected] * 3]]
