"""Every format that is read, its damage told by an error alone, and nothing by a library."""

import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.errors import MissingExtra, PictureError
from mien.sources import decode, read_picture
from mien.sources.formats import picture_format
from tests.sources.test_alpha import chunk
from tests.sources.test_pictures import encoded, noise_jpeg, noise_png, rotated_by_exif, two_halves

FORMATS = {
    **{name: encoded(two_halves(), name) for name in ("PNG", "GIF", "BMP", "TIFF", "PPM", "AVIF")},
    **{name: encoded(two_halves(), name) for name in ("JPEG", "JPEG2000", "WEBP")},
    "pgm": encoded(two_halves("L"), "PPM"),
    "MPO": encoded(two_halves(), "MPO", save_all=True, append_images=[Image.new("RGB", (9, 9))]),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_read_by_its_content(name: str, tmp_path: Path):
    (tmp_path / "named.jfif").write_bytes(FORMATS[name])
    picture = read_picture(tmp_path / "named.jfif")
    assert picture.shape == (24, 40, 3)
    if name != "pgm":
        assert np.abs(picture[12, 5].astype(int) - (200, 30, 20)).max() < 40


def test_a_telephone_s_photo_is_read(shared: Path):
    pytest.importorskip("pillow_heif")
    assert read_picture(shared / "cases" / "photo.heic").shape == (320, 320, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_telephone_s_photo_is_turned_upright(orientation: int):
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    lying = two_halves(size=(64, 48))
    lying.paste((10, 200, 10), (0, 0, 32, 24))
    exif = Image.Exif()
    exif[0x0112] = orientation
    seen = decode(encoded(lying, "HEIF", quality=95, exif=exif.tobytes()), name="p")
    expected = decode(encoded(lying, "JPEG", quality=95, exif=exif.tobytes()), name="p")
    assert seen.shape == expected.shape
    assert np.abs(seen.astype(int) - expected).mean() < 6


def test_what_reads_a_telephone_s_photo_is_named_where_it_is_missing(shared, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(MissingExtra, match=r"pillow_heif is not installed.*\[heic\]"):
        read_picture(shared / "cases" / "photo.heic")


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "Avif"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "Heif"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", None),
        (b"%PDF-1.7", None),
        (b"%!PS-Adobe", None),
        (b"", None),
    ],
)
def test_a_format_is_told_by_its_first_bytes(head: bytes, expected: str | None):
    assert picture_format(head) == expected


def tiff_bomb() -> bytes:
    data = bytearray(encoded(two_halves(), "TIFF"))
    for tag in (256, 257):
        place = data.index(struct.pack("<HHI", tag, 4, 1))
        data[place + 8 : place + 12] = struct.pack("<I", 60_000)
    return bytes(data)


def jp2_bomb() -> bytes:
    data = encoded(two_halves(), "JPEG2000")
    size = struct.pack(">II", 24, 40)
    assert size in data
    return data.replace(size, struct.pack(">II", 60_000, 60_000))


BOMBS = {
    "pnm": b"P6\n60000 60000\n255\n" + bytes(99),
    "tiff": tiff_bomb(),
    "jp2": jp2_bomb(),
    "gif": b"GIF89a" + struct.pack("<HH", 60_000, 60_000) + FORMATS["GIF"][10:],
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_of_every_format_are_refused_by_their_head(name: str):
    with pytest.raises(PictureError, match="pixels"):
        decode(BOMBS[name], name="bomb")


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


PNG, JPEG = noise_png(), noise_jpeg()
HEAD, MIDDLE = PNG[:33], len(JPEG) // 2
HARMLESS = {
    "a profile that is none": HEAD + chunk(b"iCCP", b"x\0\0" + zlib.compress(b"junk")) + PNG[33:],
    "a damaged part beside": HEAD + flipped(chunk(b"gAMA", bytes(4)), 14) + PNG[33:],
    "bytes before the end": JPEG[:-2] + bytes(5) + JPEG[-2:],
    "zeros": JPEG[:MIDDLE] + bytes(50) + JPEG[MIDDLE + 50 :],
    "markers": JPEG[:MIDDLE] + b"\xff\xd3" * 9 + JPEG[MIDDLE + 18 :],
    "exif cut short": rotated_by_exif().replace(b"\x01\x12\0\x03", b"\x01\x12\0\x63"),
}
DAMAGED = {
    "a checksum": flipped(PNG, 60),
    "no zlib": HEAD + chunk(b"IDAT", b"\x78\x9cjunkjunk") + chunk(b"IEND", b""),
    "a bad filter": HEAD + chunk(b"IDAT", zlib.compress(b"\t" * 999)) + chunk(b"IEND", b""),
    "half a tiff": FORMATS["TIFF"][: len(FORMATS["TIFF"]) // 2],
    "half a webp": FORMATS["WEBP"][:60],
    "half a jp2": FORMATS["JPEG2000"][:150],
    "half an avif": FORMATS["AVIF"][:-99],
}


def test_no_library_says_a_word_of_what_is_damaged(tmp_path: Path):
    """Neither libpng nor libjpeg, which write to the process's own standard error."""
    for number, data in enumerate([*HARMLESS.values(), *DAMAGED.values()]):
        (tmp_path / f"{number:02}.bin").write_bytes(data)
    code = (
        "import sys, pathlib; from mien.sources import read_picture; from mien.errors import *\n"
        "for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):\n"
        "    try: print(read_picture(path).ndim)\n"
        "    except PictureError as error: print(str(error).partition(' is ')[2])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[: len(HARMLESS)] == ["3"] * len(HARMLESS)
    told = dict(zip(DAMAGED, lines[len(HARMLESS) :], strict=True))
    assert told["a checksum"] == "damaged: a checksum is wrong; fetch it again"
    assert all(
        line.startswith(("damaged", "truncated", "not a readable")) for line in told.values()
    )
