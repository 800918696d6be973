"""Everything that can be given as a source, and what is made of it."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.errors import InputError, PictureError, ShapeError
from mien.sources import Cut, Pending, list_pictures, load, open_items
from tests.sources.test_pictures import BLUE, RED, encoded, two_halves

PNG = encoded(two_halves(), "PNG")
TEXT = base64.b64encode(PNG).decode()
RGB = np.asarray(two_halves())


def looks_right(picture: np.ndarray) -> bool:
    left, right = picture[12, 5].astype(int), picture[12, 35].astype(int)
    return (
        picture.shape == (24, 40, 3)
        and picture.dtype == np.uint8
        and np.abs(left - RED).max() < 40
        and np.abs(right - BLUE).max() < 40
    )


def sixteen_bit_rgb() -> np.ndarray:
    return RGB.astype(np.uint16) * 257


SOURCES = {
    "bytes": PNG,
    "bytearray": bytearray(PNG),
    "memoryview": memoryview(PNG),
    "base64": TEXT,
    "base64 in lines": "\n".join(TEXT[i : i + 76] for i in range(0, len(TEXT), 76)),
    "data address": f"data:image/png;base64,{TEXT}",
    "array": RGB,
    "array with alpha": np.dstack([RGB, np.full(RGB.shape[:2], 255, np.uint8)]),
    "array of 16 bits": sixteen_bit_rgb(),
    "array with negative strides": np.ascontiguousarray(RGB[::-1])[::-1],
    **{f"PIL {mode}": two_halves(mode) for mode in ("RGB", "RGBA", "CMYK", "P", "YCbCr")},
}


@pytest.mark.parametrize("kind", SOURCES)
def test_a_picture_in_any_form(kind: str):
    assert looks_right(load(SOURCES[kind]))


@pytest.mark.parametrize("form", [str, Path])
def test_a_picture_by_its_path(form, tmp_path: Path):
    (tmp_path / "p.png").write_bytes(PNG)
    assert looks_right(load(form(tmp_path / "p.png")))


def test_the_order_of_channels_is_stated():
    assert looks_right(load(RGB[:, :, ::-1], color="bgr"))
    with pytest.raises(InputError, match="'rgb' or 'bgr'"):
        load(RGB, color="hsv")


@pytest.mark.parametrize("mode", ["L", "1", "LA", "I", "F", "I;16"])
def test_grey_pil_images_become_grey_rgb(mode: str):
    grey = two_halves("L")
    image = (
        Image.fromarray(np.asarray(grey, np.uint16) * 257) if mode == "I;16" else grey.convert(mode)
    )
    picture = load(image)
    assert picture.shape == (24, 40, 3)
    assert (picture == picture[..., :1]).all()
    assert picture[12, 5, 0] > picture[12, 35, 0] or mode == "1"


def test_pil_images_are_turned_upright():
    lying = two_halves().rotate(90, expand=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = Image.open(io.BytesIO(encoded(lying, "JPEG", quality=95, exif=exif.tobytes())))
    assert looks_right(load(stored))


def test_what_is_transparent_becomes_white():
    clear = np.zeros((4, 4, 4), np.uint8)
    assert (load(clear) == 255).all()
    assert (load(Image.fromarray(clear, "RGBA")) == 255).all()


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (3.5, InputError, "got float"),
        (None, InputError, "got NoneType"),
        ({}, InputError, "got dict"),
        ("x" * 5000, PictureError, "not a readable picture"),
        ("x" * 5001, InputError, "expected base64"),
        ("data:image/png;base64,%%", InputError, "expected base64"),
        ("a/" * 3000 + "b.png", InputError, "is no path"),
        ("gone.jpg", InputError, "does not exist"),
        (b"", PictureError, "empty"),
        (RGB.astype(float), ShapeError, "float64"),
        (np.zeros((2, 2, 5), np.uint8), ShapeError, "channels"),
        (np.zeros((0, 2), np.uint8), ShapeError, r"\(0, 2, 1\)"),
        ("ftp://example.org/a.png", InputError, "does not exist"),
    ],
)
def test_what_is_no_picture(source, error, message):
    with pytest.raises(error, match=message):
        load(source)


def test_a_pending_picture_keeps_its_error_for_the_row():
    frame = Pending("gone.jpg").read()
    assert frame.pixels is None
    assert "does not exist" in frame.error
    assert Pending(PNG).name is None


@pytest.fixture
def album(tmp_path: Path) -> Path:
    for name in ("b.png", "a/2.jpg", "a/1.png", ".hidden.png", "notes.txt", "clip.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(PNG)
    return tmp_path


def test_folders_lists_and_patterns_are_several_pictures(album: Path):
    def names(source: object) -> list[str] | None:
        found = list_pictures(source)
        return found and [Path(p).relative_to(album).as_posix() for p in found]

    assert names(album) == ["a/1.png", "a/2.jpg", "b.png"]
    assert names(f"{album}/*.png") == ["b.png"]
    assert names(f"{album}/**/*.png") == ["a/1.png", "b.png"]
    assert names([album / "b.png", str(album / "a")]) == ["b.png", "a/1.png", "a/2.jpg"]
    assert len(list_pictures([PNG, RGB, TEXT])) == 3
    for single in (album / "b.png", PNG, RGB, TEXT, two_halves(), "https://example.org/a.png"):
        assert list_pictures(single) is None


@pytest.mark.parametrize("source", ["empty", "empty/*.png"])
def test_nothing_to_read_is_said(tmp_path: Path, source: str):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"has no pictures|nothing matches"):
        list_pictures(str(tmp_path / source))


@pytest.mark.parametrize("source", ["rtsp://camera/1", 99])
def test_a_live_source_has_no_start_and_no_end(source):
    with pytest.raises(InputError, match="are for files"):
        open_items(source, cut=Cut(end_s=10))


def test_items_know_how_many_they_are(album: Path):
    opened = open_items(album)
    assert (opened.total, opened.film) == (3, False)
    assert [item.read().pixels.shape for item in opened.items] == [(24, 40, 3)] * 3
