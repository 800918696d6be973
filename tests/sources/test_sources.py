"""Everything that can be given as a source, and what is made of it."""

import base64
import dataclasses
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.errors import InputError, MienError, PictureError, ShapeError
from mien.faces import WholePicture, crop
from mien.sources import PICTURE_SUFFIXES, Cut, Frame, Pending, Source, decode, load, open_source
from mien.sources.listing import photo_or_paths
from mien.sources.remote import fetch
from mien.sources.video import Video, open_video
from mien.types import Box, Face, Reading, Readings
from tests.clips import film
from tests.fakes import FakeSource
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


@pytest.mark.parametrize("read", [load, lambda source: Pending(source).load().pixels])
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


def error_of(source: object) -> str:
    with pytest.raises(MienError) as caught:
        Pending(source).load()
    return str(caught.value)


def test_what_is_pending_stays_as_it_is():
    pending, opened = Pending(RGB), open_source(RGB)
    for value, name in ((pending, "color"), (opened, "name")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, name, None)
    assert pending != Pending(RGB)  # arrays would be compared pixel by pixel
    assert opened != open_source(RGB)


def test_a_pending_picture_is_read_as_its_colours_are_ordered():
    assert (Pending(RGB).load().pixels == RGB).all()
    assert (Pending(RGB, "bgr").load().pixels == RGB[:, :, ::-1]).all()


def test_a_pending_picture_has_its_error_when_it_is_loaded():
    assert error_of("gone.jpg") == "picture gone.jpg does not exist; check the path"
    assert error_of(b"") == "the picture is empty (0 bytes)"
    assert error_of(RGB.astype(float)).startswith("expected a (H, W, 3) uint8")


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="a file that fails, on Linux")
def test_a_file_that_fails_is_an_error_of_the_picture():
    assert error_of("/proc/self/mem") == "/proc/self/mem cannot be read: Input/output error"


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
    assert "private network" in error_of(online)
    for source in (online, [online], iter([online])):
        (item,) = open_source(source, private=True)
        assert looks_right(item.load().pixels)
    (item,) = open_source(online)
    with pytest.raises(InputError, match="private network"):
        item.load()


def test_what_an_address_holds_is_told_by_it(online: str, monkeypatch):
    monkeypatch.setitem(ANSWERS, "/face.png", status(200, b"no picture"))
    with pytest.raises(PictureError, match=f"{online} is not a readable picture"):
        load(online, private=True)


@pytest.fixture
def album(tmp_path: Path) -> Path:
    for name in ("b.png", "a/2.JPG", "a/1.png", ".hidden.png", ".hidden/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(PNG)
    for name in ("notes.txt", "a/types.ts"):
        (tmp_path / name).write_text("let a = 1;")
    (tmp_path / "folder.png").mkdir()
    return tmp_path


def names(album: Path, source: object) -> list[str]:
    opened = open_source(source)
    found = [Path(item.name).relative_to(album).as_posix() for item in opened]
    assert opened.kind == "pictures"
    assert [Path(p).relative_to(album).as_posix() for p in opened.files] == found
    return found


def test_folders_lists_and_patterns_are_several_pictures(album: Path):
    assert names(album, album) == names(album, str(album)) == ["a/1.png", "a/2.JPG", "b.png"]
    assert names(album, f"{album}/*.png") == ["b.png"]
    assert names(album, f"{album}/?.png") == ["b.png"]
    assert names(album, f"{album}/a/[12].*") == ["a/1.png", "a/2.JPG"]
    assert names(album, f"{album}/**/*.png") == ["a/1.png", "b.png"]
    assert names(album, [album / "b.png", str(album / "a")]) == ["b.png", "a/1.png", "a/2.JPG"]
    assert names(album, (f"{album}/*.png", album / "a" / "1.png")) == ["b.png", "a/1.png"]
    assert names(album, {album / "b.png": 1}) == ["b.png"]
    assert names(album, []) == []


def test_a_list_keeps_what_is_in_memory(album: Path):
    listed = [PNG, RGB, TEXT, two_halves()]
    for source in (listed, iter(listed)):
        found = [item.source for item in open_source(source)]
        assert len(found) == 4
        assert all(a is b for a, b in zip(found, listed, strict=True))


@pytest.mark.parametrize("suffix", sorted(PICTURE_SUFFIXES))
def test_every_kind_of_picture_is_found_in_a_folder(tmp_path: Path, suffix: str):
    (tmp_path / f"a{suffix.upper()}").touch()
    assert names(tmp_path, tmp_path) == [f"a{suffix.upper()}"]


SINGLE = [
    *(PNG, bytearray(PNG), memoryview(PNG), RGB, TEXT, two_halves(), Array(), 3.5),
    *("https://example.org/a*.png", "http://example.org/[a].png"),
    f"data:image/png;base64,{TEXT}",
]


@pytest.mark.parametrize("source", SINGLE, ids=range(len(SINGLE)))
def test_one_picture_is_no_list(source: object):
    opened = open_source(source)
    assert (opened.kind, opened.length, opened.files) == ("picture", 1, [])
    assert [item.source for item in opened] == [source] or source is RGB


def test_a_file_is_no_list_even_where_its_name_is_a_pattern(tmp_path: Path):
    for name in ("a.png", "a*.png", "a[1].png"):
        (tmp_path / name).write_bytes(PNG)
        for path in (tmp_path / name, str(tmp_path / name)):
            assert (open_source(path).kind, open_source(path).files) == ("picture", [path])


def test_nothing_to_read_is_said(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / ".hidden.png").touch()
    for source in (tmp_path / "empty", str(tmp_path / "empty")):
        with pytest.raises(InputError) as caught:
            open_source(source)
        assert str(caught.value) == f"{tmp_path / 'empty'} has no pictures and no films"
    (tmp_path / "empty" / "a.txt").touch()
    with pytest.raises(InputError, match=r"no pictures and no films; 1 file left out: a\.txt$"):
        open_source(tmp_path / "empty")
    pattern = str(tmp_path / "empty" / "*.png")
    with pytest.raises(InputError) as caught:
        open_source(pattern)
    assert str(caught.value) == f"nothing matches {pattern}; check the pattern"
    for source in ("gone", Path("gone"), Path("gone*")):
        with pytest.raises(InputError, match=r"does not exist|nothing matches"):
            open_source(source)


BAD = {
    "missing": ("gone.jpg", "picture gone.jpg does not exist; check the path"),
    "missing folder": (Path("gone"), "file or folder gone does not exist; check the path"),
    "missing film": ("gone.mp4", "picture gone.mp4 does not exist; check the path"),
    "pattern": ("gone*.jpg", "nothing matches gone*.jpg; check the pattern"),
    "empty": ("", "expected a path or an address, got an empty text"),
    "blank": (" ", "expected a path or an address, got an empty text"),
    "too long": ("a" * 5000 + ".jpg", "is no path (File name too long)"),
    "too long a pattern": ("a" * 5000 + "*.jpg", "nothing matches a"),
    "zero byte": ("a\0.jpg", "does not exist"),
    "number": (10**30, "got int"),
    "camera": (0, "got int"),
    "nothing": (None, "got NoneType"),
    "not a number": (float("nan"), "got float"),
    "object": (object(), "got object"),
    "list": ([PNG], "got list"),
    "stream": ("rtsp://camera/1", "rtsp://camera/1 is a live stream; read it alone"),
    "text file": (io.StringIO("a"), "open it with mode 'rb'"),
    "shares": (RGB / 255, "(x * 255).round().astype('uint8')"),
}


@pytest.mark.parametrize("form", [list, iter])
def test_what_is_bad_in_a_batch_is_told_in_its_place(form):
    opened = open_source(form([RGB, *(source for source, _ in BAD.values()), PNG]))
    items = list(opened)
    assert [item.index for item in items] == [*range(len(BAD) + 2)]
    assert looks_right(items[0].load().pixels) and looks_right(items[-1].load().pixels)
    for item, (_, words) in zip(items[1:-1], BAD.values(), strict=True):
        with pytest.raises(MienError) as caught:
            item.load()
        assert words in str(caught.value)


@pytest.mark.parametrize("kind", ["missing", "pattern", "empty", "blank", "too long", "zero byte"])
def test_what_is_bad_alone_is_an_error(kind: str):
    source, words = BAD[kind]
    with pytest.raises(InputError) as caught:
        for item in open_source(source):
            item.load()
    assert words in str(caught.value)


def test_a_camera_has_a_number_of_a_camera():
    for number in (-1, 10**30):
        with pytest.raises(InputError, match="expected a camera's number"):
            open_source(number)


@pytest.mark.parametrize("cut", [Cut(end_s=10), Cut(every=2), Cut(fps=1), Cut(start_s=1)])
def test_a_live_source_and_a_picture_have_no_start_and_no_end(cut: Cut, album: Path):
    for source in ("rtsp://camera/1", 99):
        with pytest.raises(InputError) as caught:
            open_source(source, cut=cut)
        assert str(caught.value) == (
            "every, fps, start and end are for files; see mien watch --seconds"
        )
    with pytest.raises(InputError) as caught:
        open_source(album, cut=cut)
    assert str(caught.value) == f"{album} is no video: every, fps, start and end choose frames"


def test_pictures_know_how_many_they_are(album: Path):
    opened = open_source(album, cut=Cut())
    assert (opened.length, opened.kind, opened.live, opened.rate) == (3, "pictures", False, None)
    assert [item.load().pixels.shape for item in opened] == [(24, 40, 3)] * 3
    single = open_source(RGB, color="bgr")
    assert (single.length, single.kind) == (1, "picture")
    assert (next(iter(single)).load().pixels == RGB[:, :, ::-1]).all()


def test_what_is_opened_is_a_source_and_is_not_opened_again(album: Path):
    opened = open_source(album)
    assert isinstance(opened, Source)
    assert open_source(opened) is opened
    assert not isinstance(album, Source)


def test_files_of_a_folder_that_are_no_pictures_are_named(album: Path):
    assert open_source(album).warnings == ["2 files left out: a/types.ts, notes.txt"]
    together = open_source([album, album / "a", album / "b.png"])
    assert together.warnings == ["3 files left out: a/types.ts, notes.txt, types.ts"]
    assert open_source(album / "b.png").warnings == []
    for number in range(120):
        (album / f"{number:03}.txt").touch()
    (warning,) = open_source(album).warnings
    assert warning.startswith("122 files left out: 000.txt, 001.txt, ")
    assert warning.endswith(", 099.txt and 22 more")


def test_links_are_followed_and_end(album: Path, tmp_path_factory):
    beside = tmp_path_factory.mktemp("beside")
    (beside / "c.png").write_bytes(PNG)
    (album / "a" / "up").symlink_to(album)
    (album / "zz").symlink_to(beside)
    (album / "gone.png").symlink_to("nowhere")
    expected = ["a/1.png", "a/2.JPG", "b.png", "gone.png", "zz/c.png"]
    assert names(album, album) == expected
    assert names(album, f"{album}/**/*.png") == ["a/1.png", "b.png", "gone.png", "zz/c.png"]
    assert names(album, f"{album}/**/[12].*") == ["a/1.png", "a/2.JPG"]
    some = ["b.png", "gone.png", "notes.txt", "zz/c.png"]
    assert names(album, f"{album}/[!a]*") == some


def test_an_open_file_is_read(tmp_path: Path):
    (tmp_path / "p.png").write_bytes(PNG)
    with (tmp_path / "p.png").open("rb") as file:
        (item,) = open_source(file)
    assert looks_right(item.load().pixels)
    for batch in (open_source([io.BytesIO(PNG)]), open_source(iter([io.BytesIO(PNG)]))):
        (item,) = batch
        assert (item.name, item.index) == (None, 0)
        assert looks_right(item.load().pixels)
    with (tmp_path / "p.png").open("rb") as file:
        (item,) = open_source([file])
        assert item.name == str(tmp_path / "p.png")


class Series:
    """What of pandas is asked for."""

    def __init__(self, values: list[object]) -> None:
        self.values, self.shape = values, (len(values),)

    def tolist(self) -> list[object]:
        return self.values

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, object)

    def __iter__(self):
        return iter(self.values)


def test_a_series_of_paths_and_many_arrays_are_several_pictures(album: Path):
    pandas = pytest.importorskip("pandas")
    paths = [str(album / "b.png"), str(album / "a" / "1.png")]
    for series in (Series(paths), pandas.Series(paths), np.array(paths), pandas.Index(paths)):
        assert names(album, series) == ["b.png", "a/1.png"]
    with pytest.raises(InputError, match=r"give table\['path'\]"):
        open_source(pandas.DataFrame({"path": paths}))
    opened = open_source(np.stack([RGB] * 3), color="bgr")
    assert (opened.kind, opened.length) == ("pictures", 3)
    assert all((item.load().pixels == RGB[:, :, ::-1]).all() for item in opened)
    with pytest.raises(ShapeError, match=r"x.transpose\(0, 2, 3, 1\)"):
        open_source(np.zeros((2, 3, 24, 40), np.uint8))


class Tensor:
    """Of a graphics card."""

    shape = (24, 40, 3)

    def __array__(self, dtype=None, copy=None):
        raise TypeError("can't convert cuda:0 device type tensor to numpy")


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (RGB / 255, "(x * 255).round().astype('uint8')"),
        (RGB.astype(float), "x.round().astype('uint8') makes it 8 bits if it is 0-255"),
        (RGB.astype(int), "x.astype('uint8')"),
        (RGB.transpose(2, 0, 1), "x.transpose(1, 2, 0)"),
        (RGB.transpose(2, 0, 1) / 255, "x.transpose(1, 2, 0)"),
        (np.zeros((9, 24, 40), np.uint8), "list(x)"),
        (Tensor(), "x.detach().cpu().numpy()"),
    ],
)
def test_an_array_that_is_none_is_refused_with_what_to_call(array, words: str):
    for source in (array, [array]):
        (item,) = open_source(source)
        with pytest.raises(ShapeError) as caught:
            item.load()
        assert words in str(caught.value)


def moving(format: str, frames: int = 3, **options: object) -> bytes:
    """Red, green, blue, a fifth of a second each."""
    colours = [RED, (20, 200, 30), BLUE][:frames]
    first, *others = [Image.new("RGB", (40, 24), colour) for colour in colours]
    more = {} if format == "TIFF" else {"duration": 200}
    return encoded(first, format, save_all=True, append_images=others, **more, **options)


@pytest.mark.parametrize("format", ["WEBP", "PNG", "GIF", "AVIF", "TIFF"])
def test_an_animated_picture_is_a_film(format: str, tmp_path: Path):
    (tmp_path / "a.png").write_bytes(moving(format))
    for source in (tmp_path / "a.png", moving(format), io.BytesIO(moving(format))):
        opened = open_source(source)
        frames = list(opened)
        assert (opened.kind, opened.length) == ("video", 3)
        assert [frame.frame for frame in frames] == [0, 1, 2]
        expected = [None] * 3 if format == "TIFF" else [0.0, 0.2, 0.4]
        assert [frame.time_s for frame in frames] == expected
        for frame, colour in zip(frames, (RED, (20, 200, 30), BLUE), strict=True):
            assert np.abs(frame.pixels.mean((0, 1)) - colour).max() < 12
    with pytest.raises(PictureError, match="film of 3 frames"):
        load(moving(format))


def test_parts_of_an_animated_picture_are_read():
    data = moving("WEBP")
    assert [f.frame for f in open_source(data, cut=Cut(every=2))] == [0, 2]
    assert [f.frame for f in open_source(data, cut=Cut(start_s=0.1, end_s=0.4))] == [1]
    assert [f.frame for f in open_source(moving("TIFF"), cut=Cut(every=2))] == [0, 2]
    with pytest.raises(InputError, match="pages without times"):
        open_source(moving("TIFF"), cut=Cut(end_s=3))
    with pytest.raises(PictureError, match="at most 959"):
        open_source(data, most_pixels=959)
    done = Readings(Reading(None, None, "no_face", frame=number) for number in (0, 1))
    rest = open_source(data).rest(done)
    assert ([f.frame for f in rest], rest.length) == ([2], 1)


def test_a_page_of_a_tiff_that_is_damaged_ends_it():
    noise = np.random.default_rng(0).integers(0, 256, (3, 24, 40, 3), np.uint8)
    pages = [Image.fromarray(page) for page in noise]
    data = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:], compression="tiff_lzw")
    with Image.open(io.BytesIO(data)) as image:
        image.seek(2)
        place = image.tag_v2[273][0] + 100  # of the last page's strip
    first, second, last = open_source(data[:place] + bytes(400) + data[place + 400 :])
    assert (first.pixels == np.asarray(pages[0])).all()
    assert second.error is None
    assert (last.frame, last.pixels) == (2, None)
    assert "breaks off here" in last.error


def test_a_small_copy_in_a_tiff_is_no_page():
    small = two_halves(size=(20, 12))
    small.encoderinfo = {"tiffinfo": {254: 1}}
    data = encoded(two_halves(), "TIFF", save_all=True, append_images=[small])
    with Image.open(io.BytesIO(data)) as image:
        assert image.n_frames == 2
    assert open_source(data).kind == "picture"
    assert looks_right(load(data))


@pytest.fixture
def mixed(album: Path) -> Path:
    """A folder of three photos, a film, an animated picture and what is neither."""
    film(album / "b.mp4", [i / 25 for i in range(4)], (64, 48), empty=True)
    (album / "c.webp").write_bytes(moving("WEBP"))
    return album


def test_films_and_photos_are_one_source(mixed: Path):
    opened = open_source(mixed)
    assert (opened.kind, opened.length) == ("mixed", None)
    items = [(item.index, item.load()) for item in opened]
    assert [index for index, _ in items] == [0, 1, 2, 2, 2, 2, 3, 4, 4, 4]
    assert [f.index for _, f in items] == [index for index, _ in items]
    assert [f.frame for _, f in items] == [None, None, 0, 1, 2, 3, None, 0, 1, 2]
    some = [item.load() for item in open_source(mixed, cut=Cut(every=2))]
    assert [f.frame for f in some] == [None, None, 0, 2, None, 0, 2]
    assert len(list(open_source(iter([mixed])))) == 10
    with pytest.raises(InputError, match="is no video"):
        open_source(mixed / "a", cut=Cut(every=2))


def done_of(items: list[Frame]) -> Readings:
    return Readings(
        Reading(None, None, "no_face", i.path, i.time_s, i.frame, index=i.index) for i in items
    )


def test_a_batch_goes_on_where_it_stopped(mixed: Path):
    opened = open_source([mixed, RGB])
    items = [item.load() for item in opened]
    for kept in range(len(items) + 1):
        rest = [item.load() for item in opened.rest(done_of(items[:kept]))]
        assert [(i.index, i.frame) for i in rest] == [(i.index, i.frame) for i in items[kept:]]


def test_what_has_come_since_is_numbered_on(mixed: Path):
    done = done_of([item.load() for item in open_source(mixed)][:5])
    (mixed / "a" / "0.png").write_bytes(PNG)
    rest = [item.load() for item in open_source(mixed).rest(done)]
    assert [(Path(i.path).name, i.index, i.frame) for i in rest] == [
        ("0.png", 3, None),
        ("b.mp4", 2, 3),
        ("b.png", 4, None),
        *(("c.webp", 5, number) for number in range(3)),
    ]


def test_a_film_that_cannot_be_read_is_told_among_others(mixed: Path):
    (mixed / "b.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(90))
    errors = {item.index: item.error for item in open_source(mixed) if isinstance(item, Frame)}
    assert "cannot be opened" in errors[2]
    assert errors[4] is None


def test_what_is_done_is_left_out(album: Path):
    opened = open_source([album, RGB])
    done = [str(album / "b.png"), None]
    rest = opened.rest(Readings(Reading(None, None, "no_face", path=path) for path in done))
    assert [item.name and Path(item.name).name for item in rest] == ["1.png", "2.JPG", None]
    assert (rest.length, opened.length) == (3, 4)


def test_a_frame_is_loaded_already():
    frame = Frame("a.png", RGB)
    assert (frame.load() is frame, frame.name) == (True, "a.png")


def test_an_iterator_is_taken_one_by_one(album: Path):
    taken = []

    def source() -> Iterator[object]:
        for one in (RGB, str(album), RGB):
            taken.append(one)
            yield one

    opened = open_source(source(), color="bgr")
    assert (opened.length, opened.kind, opened.files, taken) == (None, "pictures", [], [])
    items = iter(opened)
    assert (next(items).load().pixels == RGB[:, :, ::-1]).all()
    assert len(taken) == 1
    assert [Path(item.name).name for item in (next(items), next(items), next(items))] == [
        *("1.png", "2.JPG", "b.png")
    ]
    assert len(taken) == 2
    assert len(list(items)) == 1


def test_a_video_s_items_are_its_frames(tmp_path: Path):
    path = film(tmp_path / "a.mp4", [i / 25 for i in range(10)], (64, 48), empty=True)
    opened = open_source(str(path), cut=Cut(every=2))
    assert isinstance(opened, Source)
    assert (opened.length, opened.kind, opened.live, opened.rate) == (5, "video", False, 25)
    assert (opened.name, list(opened.files), list(opened.warnings)) == (str(path), [str(path)], [])
    assert [frame.frame for frame in opened] == [0, 2, 4, 6, 8]
    assert len(list(open_source(path, most_pixels=64 * 48))) == 10
    with pytest.raises(PictureError, match="64x48 pixels; expected at most 3,071"):
        open_source(path, most_pixels=64 * 48 - 1)


def test_the_rest_of_a_video_begins_behind_what_is_done(tmp_path: Path):
    path = film(tmp_path / "a.mp4", [i / 25 for i in range(10)], (64, 48), empty=True)
    opened = open_source(path, cut=Cut(every=2))
    done = Readings(Reading(None, None, "no_face", time_s=t) for t in (0.0, 0.08, 0.16))
    assert [frame.frame for frame in opened.rest(done)] == [6, 8]
    torn = Readings([*done, Reading(None, None, "unreadable", error="torn")])
    assert (list(opened.rest(torn)), opened.rest(torn).length) == ([], 0)
    assert len(list(opened)) == 5, "itself it stays as it was"


def test_a_stream_s_items_are_live(monkeypatch):
    from mien.sources import live

    monkeypatch.setattr(live, "Video", lambda source: FakeSource([]))
    opened = open_source("udp://127.0.0.1:9", cut=Cut())
    assert isinstance(opened, Source)
    assert (type(opened), opened.name) == (live.Live, "udp://127.0.0.1:9")
    assert (opened.length, opened.kind, opened.live, opened.files) == (None, "live", True, ())
    with pytest.raises(InputError, match="is live and cannot be continued; leave --resume out"):
        opened.rest(Readings())


@pytest.mark.parametrize(
    "call",
    [
        lambda: load(RGB, "bgr"),
        lambda: open_source(RGB, "bgr"),
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


@pytest.mark.parametrize(
    ("come", "expected"),
    [
        (PNG, PNG),
        (b"a.png\nb c.png\n\n", ["a.png", "b c.png"]),
        (b"a.png\r\nb.png", ["a.png", "b.png"]),
        (b"a\nb.png\0c.png\0", ["a\nb.png", "c.png"]),
        (b"caf\xe9.png\n", ["caf\udce9.png"]),
        ("a.png\r\nb.png\r\n".encode("utf-16"), ["a.png", "b.png"]),
        (b"\xef\xbb\xbfa.png\n", ["a.png"]),
    ],
)
def test_standard_input_is_a_photo_or_a_list(come: bytes, expected: object):
    assert photo_or_paths(come) == expected


@pytest.mark.parametrize("come", [b"", b"\n \n", b"\0\0\0\x18ftypmp42" + bytes(90)])
def test_standard_input_is_no_film_and_not_nothing(come: bytes):
    with pytest.raises(InputError, match="expected paths"):
        photo_or_paths(come)
