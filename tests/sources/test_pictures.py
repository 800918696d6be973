import io
import struct
import time
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from mien.errors import InputError, PictureError, ShapeError
from mien.sources import decode, from_array, pictures, read_picture
from mien.sources.pictures import _jpeg_head, from_base64, from_pil, opened, size_of

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


def webp(kind: bytes, body: bytes) -> bytes:
    """The head of a WebP, and nothing else."""
    return b"RIFF" + struct.pack("<I", 1000) + b"WEBP" + kind + struct.pack("<I", 900) + body


def bmp(width: int, height: int) -> bytes:
    """The head of a BMP; a negative height is one whose first row is the uppermost."""
    head = struct.pack("<IIIIiiHH", 1000, 0, 54, 40, width, height, 1, 24)
    return b"BM" + head + bytes(24)


UNREADABLE = {
    "empty": (b"", "is empty"),
    "text": (b"no picture at all\n" * 9, "not a readable picture"),
    "half a png": (noise_png()[:5000], "truncated"),
    "head of a png": (noise_png()[:20], "truncated"),
    "half a jpeg": (noise_jpeg()[:1500], "truncated"),
    "head of a jpeg": (noise_jpeg()[:3], "truncated"),
    "half a jpeg with a whole thumbnail": (with_thumbnail()[:-8], "truncated"),
    "webp bomb": (webp(b"VP8L", b"\x2f" + bytes([0xFE, 0xBF, 0xFF, 0x0F])), "too many pixels"),
    "bmp bomb": (bmp(40_000, -40_000), "40000x40000"),
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
    assert _jpeg_head(data)[:2] == (0, 0)
    with pytest.raises(PictureError, match="truncated"):
        decode(data, name="endless")
    assert time.process_time() - began < 0.7


@pytest.mark.parametrize("kind", [*COLOUR, *GREY])
def test_the_head_of_a_jpeg_or_png_tells_the_size(kind):
    data = COLOUR[kind] if kind in COLOUR else GREY[kind][0]
    tells = data.startswith((b"\xff\xd8", b"\x89PNG"))
    assert size_of(data) == (opened(data, kind).size if tells else None)


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_the_head_of_a_piece_tells_no_other_size(kind):
    assert {size_of(COLOUR[kind][:cut]) for cut in range(len(COLOUR[kind]))} <= {None, (40, 24)}


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF"])
def test_a_grey_picture_is_read_as_grey_to_the_last_value(format):
    every = np.arange(256, dtype=np.uint8).reshape(16, 16)
    data = encoded(Image.fromarray(every), format)
    assert (decode(data, name="grey", grey=True) == every).all()
    assert (decode(data, name="grey") == every[:, :, None]).all()


def test_the_end_of_a_large_jpeg_is_looked_for_from_its_end():
    noise = np.random.default_rng(0).integers(0, 256, (3000, 4000, 3), np.uint8)
    data = encoded(Image.fromarray(noise), "JPEG", quality=90)
    began = time.process_time()
    assert size_of(data) == (4000, 3000)
    assert time.process_time() - began < 0.002


@pytest.mark.parametrize("kind", ENDLESS_HEADS)
def test_a_head_without_end_tells_no_size_at_once(kind):
    part = ENDLESS_HEADS[kind]
    data = b"\xff\xd8" + part * (5 * 2**20 // len(part))
    began = time.process_time()
    assert size_of(data) is None
    assert time.process_time() - began < 0.1


@pytest.mark.parametrize("kind", ["jpeg", "progressive jpeg", "cmyk jpeg", "motion photo"])
def test_fill_before_a_marker_is_passed_over(kind):
    data = COLOUR[kind]
    start = data.index(b"\xff\xda")
    filled = data[:start] + b"\xff" * 3 + data[start:]
    assert _jpeg_head(filled)[:2] == _jpeg_head(data)[:2] == (40, 24)
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


@pytest.mark.parametrize("kind", ["png", "bmp", "tiff", "webp"])
def test_lossless_pictures_keep_every_pixel(kind):
    pixels = np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8)
    options = {"lossless": True} if kind == "webp" else {}
    data = encoded(Image.fromarray(pixels), kind.upper(), **options)
    assert (decode(data, name=kind) == pixels).all()
    grey = np.asarray(Image.fromarray(pixels).convert("L"), int)
    assert np.abs(decode(data, name=kind, grey=True) - grey).max() <= 1


def test_a_picture_file_of_16_bits_keeps_the_order_of_its_channels():
    bgr = np.zeros((4, 5, 3), np.uint16)
    bgr[:] = (30 * 257, 20 * 257, 10 * 257)
    for suffix in (".png", ".tiff"):
        data = cv2.imencode(suffix, bgr)[1].tobytes()
        assert (decode(data, name="deep") == (10, 20, 30)).all()


@pytest.mark.parametrize("tag", range(1, 9))
def test_every_exif_orientation_is_turned_upright(tag: int):
    lying = two_halves()
    lying.paste((10, 200, 10), (0, 0, 20, 12))  # the upper left is green
    exif = Image.Exif()
    exif[0x0112] = tag
    data = encoded(lying, "JPEG", quality=95, exif=exif.tobytes())
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))), int)
    assert upright.shape == ((24, 40, 3) if tag < 5 else (40, 24, 3))
    for picture in (decode(data, name="turned"), from_pil(Image.open(io.BytesIO(data)))):
        assert picture.shape == upright.shape
        assert np.abs(picture - upright).mean() < 4


MANY = np.random.default_rng(1).integers(0, 256, (5, 4, 3), np.uint8)
DEEP = np.array([[0, 255, 256, 511], [257, 32_767, 32_768, 65_535]], np.uint16)
EIGHT = np.array([[0, 0, 1, 1], [1, 127, 128, 255]], np.uint8)  # the upper eight bits of DEEP


def grey(plane: np.ndarray) -> np.ndarray:
    return np.dstack([plane] * 3)


@pytest.mark.parametrize(
    ("array", "color", "expected"),
    [
        (MANY, "rgb", MANY),
        (MANY, "bgr", MANY[:, :, ::-1]),
        (MANY[:, ::-2], "rgb", MANY[:, ::-2]),
        (MANY[:, :, 0], "rgb", grey(MANY[:, :, 0])),
        (MANY[:, :, 0], "bgr", grey(MANY[:, :, 0])),
        (MANY[:, :, :1], "rgb", grey(MANY[:, :, 0])),
        (MANY[:1, :1], "rgb", MANY[:1, :1]),
        (DEEP, "rgb", grey(EIGHT)),
        (
            np.dstack([DEEP, 0 * DEEP, DEEP[::-1]]),
            "rgb",
            np.dstack([EIGHT, 0 * EIGHT, EIGHT[::-1]]),
        ),
        (
            np.dstack([DEEP, 0 * DEEP, DEEP[::-1]]),
            "bgr",
            np.dstack([EIGHT[::-1], 0 * EIGHT, EIGHT]),
        ),
        (np.array([[True, False]]), "rgb", grey(np.array([[255, 0]], np.uint8))),
        (MANY.tolist, "rgb", None),
        (MANY.astype(np.int16), "rgb", None),
        (MANY.astype(np.uint32), "rgb", None),
        (MANY.astype(np.float32), "rgb", None),
        (MANY[None], "rgb", None),
        (MANY[0, 0], "rgb", None),
        (MANY[:0], "rgb", None),
        (MANY[:, :0], "rgb", None),
        (MANY[:, :, :0], "rgb", None),
        (MANY[:, :, :2], "rgb", None),
        (np.dstack([MANY, MANY]), "rgb", None),
    ],
)
def test_arrays_become_rgb_of_8_bits(array, color, expected):
    if expected is None:
        with pytest.raises(ShapeError, match="expected"):
            from_array(array, color)
        return
    picture = from_array(array, color)
    assert picture.dtype == np.uint8
    assert picture.flags.c_contiguous
    assert (picture == expected).all()
    assert picture.shape == expected.shape


@pytest.mark.parametrize("color", ["rgb", "bgr"])
@pytest.mark.parametrize("bits", [8, 16])
def test_an_alpha_channel_is_laid_over_white_in_shades(color: str, bits: int):
    alpha = np.array([0, 1, 127, 128, 254, 255], np.uint8)
    colours = np.array([(0, 100, 255), (10, 20, 30), (200, 201, 202)], np.uint8)
    array = np.dstack([np.tile(colours[:, None], (1, 6, 1)), np.tile(alpha, (3, 1))])
    share = alpha[None, :, None] / 255
    expected = np.rint(colours[:, None] * share + 255 * (1 - share))
    picture = from_array(array.astype(np.uint16) * 257 if bits == 16 else array, color)
    assert (picture[:, :, :: -1 if color == "bgr" else 1] == expected).all()
    if color == "rgb" and bits == 8:
        assert (from_pil(Image.fromarray(array, "RGBA")) == expected).all()


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.fromarray(np.array([[0, 257, 65_535]], np.uint16)), [0, 1, 255]),
        (Image.fromarray(np.array([[0, 200, 255]], np.uint16)), [0, 200, 255]),  # 8 bits in 16
        (Image.fromarray(np.array([[0, 200, 256]], np.uint16)), [0, 0, 0]),
        (Image.fromarray(np.array([[-5, 200, 255]], np.int32)), [0, 200, 255]),
        (Image.fromarray(np.array([[-5, 257 * 9, 70_000]], np.int32)), [0, 9, 255]),
        (Image.fromarray(np.array([[-0.5, 99.9, 300.0]], np.float32)), [0, 99, 255]),
    ],
)
def test_pil_images_of_wide_grey_become_8_bits(image: Image.Image, expected: list[int]):
    assert image.mode in ("I;16", "I", "F")
    assert (from_pil(image) == grey(np.array([expected], np.uint8))).all()


def test_a_palette_with_a_transparent_colour_is_laid_over_white():
    image = Image.new("P", (2, 1))
    image.putpalette([9, 8, 7, 10, 20, 30])
    image.putpixel((1, 0), 1)
    assert (from_pil(image) == [[(9, 8, 7), (10, 20, 30)]]).all()
    image.info["transparency"] = 0
    assert (from_pil(image) == [[(255, 255, 255), (10, 20, 30)]]).all()


def test_a_damaged_pil_image_is_told():
    image = Image.open(io.BytesIO(noise_jpeg()[:1500]))
    with pytest.raises(PictureError, match=r"the PIL image cannot be decoded: .*truncated"):
        from_pil(image)


def test_the_most_pixels_are_a_limit_of_every_form(monkeypatch):
    data = [encoded(two_halves(), kind) for kind in ("PNG", "JPEG", "BMP", "WEBP")]
    monkeypatch.setattr(pictures, "MAX_PIXELS", 960)
    assert {decode(one, name="a").shape for one in data} == {(24, 40, 3)}
    assert from_array(np.asarray(two_halves())).shape == (24, 40, 3)
    monkeypatch.setattr(pictures, "MAX_PIXELS", 959)
    for one in data:
        with pytest.raises(PictureError, match=r"^a has 40x24 pixels; expected at most 959$"):
            decode(one, name="a")
    with pytest.raises(ShapeError, match=r"expected at most 959 pixels, got \(24, 40, 3\)"):
        from_array(np.asarray(two_halves()))


def test_the_most_bytes_are_a_limit_of_files(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(COLOUR["png"])
    size = len(COLOUR["png"])
    monkeypatch.setattr(pictures, "MAX_BYTES", size)
    assert read_picture(str(tmp_path / "a.png")).shape == (24, 40, 3)
    monkeypatch.setattr(pictures, "MAX_BYTES", size - 1)
    with pytest.raises(PictureError) as caught:
        read_picture(tmp_path / "a.png")
    assert str(caught.value) == (
        f"{tmp_path / 'a.png'} has {size:,} bytes; expected a picture of at most {size - 1:,}"
    )


def test_the_limits_are_those_of_the_guide():
    """docs/developer.md: 134 million pixels, 268 MB."""
    assert (round(pictures.MAX_PIXELS / 1e6), round(pictures.MAX_BYTES / 1e6)) == (134, 268)


def all_heads(size: tuple[int, int]) -> dict[str, bytes]:
    """Pictures of every kind whose head tells their size."""
    image, alpha = two_halves(size=size), two_halves("RGBA", size)
    alpha.putpixel((0, 0), (1, 2, 3, 4))
    return {
        "png": encoded(image, "PNG"),
        "jpeg": encoded(image, "JPEG"),
        "progressive": encoded(image, "JPEG", progressive=True),
        "grey jpeg": encoded(image.convert("L"), "JPEG"),
        "bmp": encoded(image, "BMP"),
        "webp": encoded(image, "WEBP"),
        "lossless webp": encoded(image, "WEBP", lossless=True),
        "webp with alpha": encoded(alpha, "WEBP"),
    }


@pytest.mark.parametrize("size", [(40, 24), (1, 1), (2, 700), (700, 3), (260, 257)], ids=str)
def test_the_size_is_told_by_the_head(size: tuple[int, int]):
    heads = all_heads(size)
    assert {kind: opened(data, kind).size for kind, data in heads.items()} == dict.fromkeys(
        heads, size
    )
    assert heads["webp"][12:16] == b"VP8 "
    assert heads["lossless webp"][12:16] == b"VP8L"
    assert heads["webp with alpha"][12:16] == b"VP8X"


def with_segments(*segments: bytes) -> bytes:
    """A JPEG of 40x24 with more segments between its frame and its first scan."""
    data = COLOUR["jpeg"]
    start = data.index(b"\xff\xda")
    return data[:start] + b"".join(segments) + data[start:]


@pytest.mark.parametrize("marker", [0xC4, 0xC8, 0xCC, 0xFE, 0xE1, 0xDB])
def test_other_segments_of_a_jpeg_are_no_frame(marker: int):
    segment = bytes([0xFF, marker]) + struct.pack(">H", 9) + bytes([8, 1, 2, 3, 4, 5, 6])
    assert _jpeg_head(with_segments(segment))[:2] == (40, 24)


@pytest.mark.parametrize("marker", [0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC9, 0xCF])
def test_every_kind_of_frame_of_a_jpeg_tells_its_size(marker: int):
    frame = bytes([0xFF, marker]) + struct.pack(">HBHHB", 8, 8, 300, 500, 0)
    scan = b"\xff\xda\x00\x02"
    assert _jpeg_head(b"\xff\xd8" + frame + scan + b"\0")[:2] == (500, 300)


@pytest.mark.parametrize("marker", [0x00, 0x01, *range(0xD0, 0xDA)])
def test_markers_without_a_length_are_passed_over(marker: int):
    jpeg = COLOUR["jpeg"]
    data = jpeg[:2] + bytes([0xFF, marker]) + jpeg[2:]
    assert _jpeg_head(data)[:2] == (40, 24)


@pytest.mark.parametrize("left", range(5))
def test_a_jpeg_cut_short_in_its_frame_tells_what_is_left_of_it(left: int):
    frame = bytes([0xFF, 0xC0, 0, 17, 8]) + bytes([1, 2, 3, 4])[:left]
    height, width = [(0, 0), (256, 0), (258, 0), (258, 768), (258, 772)][left]
    assert _jpeg_head(b"\xff\xd8" + frame)[:2] == (width, height)


def test_a_jpeg_of_thousands_of_segments_is_refused_at_the_4096th():
    comment = b"\xff\xfe\x00\x02"
    begun = COLOUR["jpeg"].index(b"\xff\xda")
    own = sum(COLOUR["jpeg"][:begun].count(bytes([0xFF, m])) for m in (0xE0, 0xDB, 0xC0, 0xC4)) + 1
    most = 4096 - own
    assert decode(with_segments(comment * most), name="a").shape == (24, 40, 3)
    with pytest.raises(PictureError, match=r"^a is truncated: its end is missing; fetch it again$"):
        decode(with_segments(comment * (most + 1)), name="a")


@pytest.mark.parametrize(
    "text", ["AAEC", "AA EC", "AA\nEC\n", "data:image/png;base64,AAEC", "data:,AAEC"]
)
def test_base64_becomes_bytes(text: str):
    assert from_base64(text) == b"\0\1\2"


@pytest.mark.parametrize("text", ["AAE", "A-_C", "AAEC,", "data:image/png;base64,AAE", "ü" * 99])
def test_what_is_no_base64_is_told_by_its_beginning(text: str):
    with pytest.raises(InputError) as caught:
        from_base64(text)
    assert str(caught.value).startswith(f"expected base64 text, got {text[:40]!r}... (")


def test_16_bits_that_hold_8_are_refused_with_what_to_call():
    with pytest.raises(ShapeError, match=r"at most 200; x.astype\('uint8'\)"):
        from_array(np.full((4, 4, 3), 200, np.uint16))
    assert not from_array(np.zeros((4, 4, 3), np.uint16)).any()


@pytest.mark.parametrize(
    ("value", "remedy"),
    [(0.5, "(x * 255).round()"), (-0.5, "((x + 1) * 127.5).round()"), (99.5, "x.round()")],
)
def test_floats_are_refused_with_what_fits_their_range(value: float, remedy: str):
    with pytest.raises(ShapeError) as caught:
        from_array(np.full((4, 4, 3), value, np.float32))
    assert f"; {remedy}.astype('uint8')" in str(caught.value)


def test_an_array_of_nan_is_refused_without_a_warning(recwarn: pytest.WarningsRecorder):
    with pytest.raises(ShapeError):
        from_array(np.full((4, 4, 3), np.nan))
    assert not recwarn
