"""Everything that can be given as a source, and what is made of it."""

import base64
import dataclasses
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.errors import InputError, PictureError, ShapeError
from mien.faces import WholePicture, crop
from mien.sources import PICTURE_SUFFIXES, Cut, Pending, decode, list_pictures, load, open_items
from mien.sources.remote import fetch
from mien.sources.video import Video, open_video
from mien.types import Box, Face
from tests.clips import film
from tests.sources.test_pictures import BLUE, RED, encoded, two_halves
from tests.sources.web import ANSWERS, serving, status

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


def test_the_error_names_what_is_taken():
    with pytest.raises(InputError) as caught:
        load(3.5)
    assert str(caught.value) == (
        "expected a path, address, bytes, base64, PIL image or array, got float"
    )


@pytest.mark.parametrize("read", [load, lambda source: Pending(source).read().pixels])
def test_text_that_could_be_base64_is_a_path_where_one_is(read, tmp_path: Path, monkeypatch):
    name = "A" * 64
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PictureError, match="not a readable picture"):  # 48 bytes of zeros
        load(name)
    (tmp_path / name).write_bytes(PNG)
    assert looks_right(read(name))
    assert Pending(name).name == name


@pytest.mark.parametrize("name", ["A" * 63, "A" * 64 + ".png", "A" * 64 + "-"])
def test_short_text_and_text_with_a_dot_is_a_path(name: str):
    with pytest.raises(InputError, match=f"picture {name} does not exist; check the path"):
        load(name)


class Array:
    """What NumPy can read, and is not NumPy's."""

    def __array__(self, dtype=None, copy=None):
        return RGB


def test_what_can_be_an_array_is_one():
    assert (load(Array()) == RGB).all()
    assert (load(Array(), color="bgr") == RGB[:, :, ::-1]).all()


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("a.png", "a.png"),
        (Path("b/a.png"), str(Path("b/a.png"))),
        ("https://example.org/a.png?q=1", "https://example.org/a.png?q=1"),
        ("a\udcff.png", "a\\udcff.png"),  # a file's name that is no UTF-8
        (PNG, None),
        (TEXT, None),
        (f"data:image/png;base64,{TEXT}", None),
        ("data:a.png", None),
        (RGB, None),
        (two_halves(), None),
    ],
    ids=range(10),
)
def test_a_pending_picture_is_called_by_its_path_or_address(source, name: str | None):
    assert Pending(source).name == name
    assert Pending(source).read().path == name


def test_what_is_pending_stays_as_it_is():
    pending, items = Pending(RGB), open_items(RGB)
    for value, name in ((pending, "color"), (items, "total")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, name, None)
    assert pending != Pending(RGB)  # arrays would be compared pixel by pixel
    assert items != open_items(RGB)


def test_a_pending_picture_is_read_as_its_colours_are_ordered():
    assert (Pending(RGB).read().pixels == RGB).all()
    assert (Pending(RGB, "bgr").read().pixels == RGB[:, :, ::-1]).all()


def test_a_pending_picture_keeps_its_error_for_the_row(tmp_path: Path):
    assert Pending("gone.jpg").read().error == "picture gone.jpg does not exist; check the path"
    assert Pending(b"").read().error == "the picture is empty (0 bytes)"
    assert Pending(RGB.astype(float)).read().error.startswith("expected a (H, W, 3) uint8")


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="a file that fails, on Linux")
def test_a_file_that_fails_is_an_error_of_its_row():
    assert Pending("/proc/self/mem").read().error == "/proc/self/mem: Input/output error"


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server of this machine that has a picture."""
    monkeypatch.setenv("MIEN_OFFLINE", "0")
    monkeypatch.setitem(ANSWERS, "/face.png", status(200, PNG))
    with serving() as port:
        yield f"http://127.0.0.1:{port}/face.png"


def test_an_address_may_lead_into_a_private_network_only_if_it_may(online: str):
    assert looks_right(load(online, private=True))
    with pytest.raises(InputError, match="private network"):
        load(online)
    assert "private network" in Pending(online).read().error
    (item,) = open_items(online, private=True).items
    assert looks_right(item.read().pixels)
    (item,) = open_items(online).items
    assert "private network" in item.read().error
    (item,) = open_items(iter([online]), private=True).items
    assert looks_right(item.read().pixels)


def test_what_an_address_holds_is_told_by_it(online: str, monkeypatch):
    monkeypatch.setitem(ANSWERS, "/face.png", status(200, b"no picture"))
    with pytest.raises(PictureError, match=f"{online} is not a readable picture"):
        load(online, private=True)


@pytest.fixture
def album(tmp_path: Path) -> Path:
    for name in ("b.png", "a/2.JPG", "a/1.png", ".hidden.png", "notes.txt", "clip.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(PNG)
    (tmp_path / "folder.png").mkdir()
    return tmp_path


def names(album: Path, source: object) -> list[str] | None:
    found = list_pictures(source)
    return found and [Path(p).relative_to(album).as_posix() for p in found]


def test_folders_lists_and_patterns_are_several_pictures(album: Path):
    assert names(album, album) == names(album, str(album)) == ["a/1.png", "a/2.JPG", "b.png"]
    assert names(album, f"{album}/*.png") == ["b.png"]
    assert names(album, f"{album}/?.png") == ["b.png"]
    assert names(album, f"{album}/a/[12].*") == ["a/1.png", "a/2.JPG"]
    assert names(album, f"{album}/**/*.png") == ["a/1.png", "b.png"]
    assert names(album, [album / "b.png", str(album / "a")]) == ["b.png", "a/1.png", "a/2.JPG"]
    assert names(album, (f"{album}/*.png", album / "a" / "1.png")) == ["b.png", "a/1.png"]
    assert names(album, {album / "b.png": 1}) == ["b.png"]
    assert list_pictures([]) == []


def test_a_list_keeps_what_is_in_memory(album: Path):
    listed = [PNG, RGB, TEXT, two_halves()]
    found = list_pictures(iter(listed))
    assert len(found) == 4
    assert all(a is b for a, b in zip(found, listed, strict=True))


@pytest.mark.parametrize("suffix", sorted(PICTURE_SUFFIXES))
def test_every_kind_of_picture_is_found_in_a_folder(tmp_path: Path, suffix: str):
    (tmp_path / f"a{suffix.upper()}").touch()
    assert names(tmp_path, tmp_path) == [f"a{suffix.upper()}"]


SINGLE = [
    *(PNG, bytearray(PNG), memoryview(PNG), RGB, TEXT, two_halves(), Array(), 3),
    *("https://example.org/a*.png", "http://example.org/[a].png", "rtsp://camera/*"),
    f"data:image/png;base64,{TEXT}",
]


@pytest.mark.parametrize("source", SINGLE, ids=range(len(SINGLE)))
def test_one_picture_is_no_list(source: object):
    assert list_pictures(source) is None


def test_a_file_is_no_list_even_where_its_name_is_a_pattern(tmp_path: Path):
    for name in ("a.png", "a*.png", "a[1].png"):
        (tmp_path / name).write_bytes(PNG)
        assert list_pictures(tmp_path / name) is None
        assert list_pictures(str(tmp_path / name)) is None


def test_nothing_to_read_is_said(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / ".hidden.png").touch()
    for source in (tmp_path / "empty", str(tmp_path / "empty")):
        with pytest.raises(InputError) as caught:
            list_pictures(source)
        assert str(caught.value) == (
            f"{tmp_path / 'empty'} has no pictures "
            "(.bmp, .jp2, .jpeg, .jpg, .pgm, .png, .ppm, .tif, .tiff, .webp)"
        )
    pattern = str(tmp_path / "empty" / "*.png")
    with pytest.raises(InputError) as caught:
        list_pictures(pattern)
    assert str(caught.value) == f"nothing matches {pattern}; check the pattern"
    for source in ("gone", Path("gone"), Path("gone*")):
        with pytest.raises(InputError, match=r"does not exist|nothing matches"):
            list_pictures(source)


@pytest.mark.parametrize("source", ["a.mp4", Path("a.mp4"), 0, "rtsp://camera/1"])
def test_a_video_in_a_list_is_refused(source):
    for opened in (list_pictures, lambda s: list(open_items(iter(s)).items)):
        with pytest.raises(InputError) as caught:
            opened([RGB, source])
        assert str(caught.value) == f"{source} is a video; give one video at a time, alone"


@pytest.mark.parametrize("cut", [Cut(end_s=10), Cut(every=2), Cut(fps=1), Cut(start_s=1)])
def test_a_live_source_and_a_picture_have_no_start_and_no_end(cut: Cut, album: Path):
    for source in ("rtsp://camera/1", 99):
        with pytest.raises(InputError) as caught:
            open_items(source, cut=cut)
        assert str(caught.value) == (
            "every, fps, start and end are for files; see mien watch --seconds"
        )
    with pytest.raises(InputError) as caught:
        open_items(album, cut=cut)
    assert str(caught.value) == (
        f"{album} is no video: every, fps, start and end choose its frames"
    )


def test_items_know_how_many_they_are(album: Path):
    opened = open_items(album, cut=Cut())
    assert (opened.total, opened.film) == (3, False)
    assert [item.read().pixels.shape for item in opened.items] == [(24, 40, 3)] * 3
    single = open_items(RGB, color="bgr")
    assert (single.total, single.film) == (1, False)
    assert (next(iter(single.items)).read().pixels == RGB[:, :, ::-1]).all()


def test_an_iterator_is_taken_one_by_one(album: Path):
    taken = []

    def source() -> Iterator[object]:
        for one in (RGB, str(album), RGB):
            taken.append(one)
            yield one

    opened = open_items(source(), color="bgr")
    assert (opened.total, opened.film, taken) == (None, False, [])
    items = iter(opened.items)
    assert (next(items).read().pixels == RGB[:, :, ::-1]).all()
    assert len(taken) == 1
    assert [Path(item.name).name for item in (next(items), next(items), next(items))] == [
        *("1.png", "2.JPG", "b.png")
    ]
    assert len(taken) == 2
    assert len(list(items)) == 1


def test_a_video_s_items_are_its_frames(tmp_path: Path):
    path = film(tmp_path / "a.mp4", [i / 25 for i in range(10)], (64, 48), empty=True)
    opened = open_items(str(path), cut=Cut(every=2))
    assert (opened.total, opened.film) == (5, True)
    assert [frame.index for frame in opened.items] == [0, 2, 4, 6, 8]
    assert len(list(open_items(path, most_pixels=64 * 48).items)) == 10
    with pytest.raises(PictureError, match="64x48 pixels; expected at most 3,071"):
        open_items(path, most_pixels=64 * 48 - 1)


def test_a_stream_s_items_are_live(monkeypatch):
    from mien.sources import live

    monkeypatch.setattr(live, "Video", lambda source: [])
    opened = open_items("udp://127.0.0.1:9", cut=Cut())
    assert (type(opened.items), opened.items.name) == (live.Live, "udp://127.0.0.1:9")
    assert (opened.total, opened.film) == (None, True)


@pytest.mark.parametrize(
    "call",
    [
        lambda: load(RGB, "bgr"),
        lambda: open_items(RGB, "bgr"),
        lambda: decode(PNG, "the picture"),
        lambda: crop(RGB, Face(Box(0, 0, 9, 9)), WholePicture(), False),
        lambda: Video("a.mp4", None, "a film", 100),
        lambda: open_video("a.mp4", None, True),
        lambda: fetch("http://faces.test/", True),
    ],
)
def test_switches_are_given_by_their_names(call):
    with pytest.raises(TypeError, match="positional argument"):
        call()
