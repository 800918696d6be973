"""What golden readings are read from: pictures and films of package photos and drawn faces.

All are made anew each time, by NumPy alone and stored without loss: so they are the same on every
machine, whatever OpenCV, Pillow or FFmpeg is there. The drawn faces lie in `drawn/`, as OpenCV
paints them.
"""

import functools
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import matplotlib
import numpy as np
import skimage
from numpy.typing import NDArray
from PIL import Image

from mien.types import Box, Face

Pixels = NDArray[np.uint8]
Maker = Callable[[], bytes]

DRAWN = Path(__file__).parent / "drawn"
SKIMAGE = Path(skimage.__file__).parent / "data"
ASTRONAUT_FACE = Box(167, 63, 113, 113)
ASTRONAUT_EYES = ((201.0, 107.0), (244.0, 108.0))  # her right one, and her left


@functools.cache
def astronaut() -> Pixels:
    """(512, 512, 3) RGB: Eileen Collins, NASA, public domain."""
    return np.asarray(Image.open(SKIMAGE / "astronaut.png"))


@functools.cache
def hopper() -> Pixels:
    """(600, 512, 3) RGB: Grace Hopper, US Navy, public domain."""
    file = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    return np.asarray(Image.open(file).convert("RGB"))


def photo(name: str) -> Pixels:
    """(H, W, 3) RGB of scikit-image's own."""
    return np.asarray(Image.open(SKIMAGE / name).convert("RGB"))


def grey(picture: Pixels) -> Pixels:
    """(H, W), from (H, W, 3)."""
    return ((picture.astype(np.uint32) @ [299, 587, 114] + 500) // 1000).astype(np.uint8)


def shrunk(picture: Pixels, times: int) -> Pixels:
    """Means of squares of `times` pixels."""
    height, width = (side // times for side in picture.shape[:2])
    squares = picture[: height * times, : width * times].astype(np.uint32)
    sums = squares.reshape(height, times, width, times, -1).sum((1, 3))
    return ((sums + times * times // 2) // (times * times)).astype(np.uint8)


def enlarged(picture: Pixels, times: int) -> Pixels:
    """Each pixel as a square."""
    return picture.repeat(times, 0).repeat(times, 1)


def turned(picture: Pixels, clockwise_deg: float) -> Pixels:
    """Turned about its middle, each pixel a mean of four; its edge is repeated around it."""
    height, width = picture.shape[:2]
    turn = np.deg2rad(clockwise_deg)
    y, x = np.indices((height, width)) - np.array([height - 1, width - 1])[:, None, None] / 2
    left = (np.cos(turn) * x + np.sin(turn) * y + (width - 1) / 2).clip(0, width - 1)
    top = (np.cos(turn) * y - np.sin(turn) * x + (height - 1) / 2).clip(0, height - 1)
    column, row = left.astype(int).clip(0, width - 2), top.astype(int).clip(0, height - 2)
    right, down = (left - column)[..., None], (top - row)[..., None]
    above = picture[row, column] * (1 - right) + picture[row, column + 1] * right
    below = picture[row + 1, column] * (1 - right) + picture[row + 1, column + 1] * right
    return np.floor(above * (1 - down) + below * down + 0.5).astype(np.uint8)


def place(point: tuple[float, float], clockwise_deg: float, side: int) -> tuple[float, float]:
    """Where `turned` brings a point of a square picture."""
    turn, middle = np.deg2rad(clockwise_deg), (side - 1) / 2
    x, y = point[0] - middle, point[1] - middle
    return (
        float(np.cos(turn) * x - np.sin(turn) * y + middle),
        float(np.sin(turn) * x + np.cos(turn) * y + middle),
    )


def head() -> Pixels:
    """(240, 240, 3): the astronaut's face in the middle."""
    return astronaut()[0:240, 104:344]


def head_face(clockwise_deg: float = 0.0, score: float | None = None) -> Face:
    """The face of `turned(head(), clockwise_deg)`, as a detector with landmarks gives it."""
    x, y = ASTRONAUT_FACE.centre[0] - 104, ASTRONAUT_FACE.centre[1]
    middle = place((x, y), clockwise_deg, 240)
    eyes = [place((ex - 104, ey), clockwise_deg, 240) for ex, ey in ASTRONAUT_EYES]
    others = [
        place(p, clockwise_deg, 240) for p in ((119.0, 130.0), (102.0, 147.0), (138.0, 148.0))
    ]
    box = Box(round(middle[0] - 56), round(middle[1] - 56), 113, 113)
    return Face(box, score, tuple((round(px, 2), round(py, 2)) for px, py in (*eyes, *others)))


def moved(face: Face, x: int, y: int) -> Face:
    """The same face of a picture that was cut so much earlier."""
    box = Box(face.box.x - x, face.box.y - y, face.box.width, face.box.height)
    landmarks = face.landmarks and tuple(
        (round(a - x, 2), round(b - y, 2)) for a, b in face.landmarks
    )
    return Face(box, face.score, landmarks)


def png(picture: NDArray[np.generic] | Image.Image, **options: object) -> bytes:
    """Without loss."""
    return encoded(picture, "PNG", compress_level=1, **options)


def encoded(picture: NDArray[np.generic] | Image.Image, format: str, **options: object) -> bytes:
    """By Pillow."""
    out = io.BytesIO()
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    image.save(out, format, **options)
    return out.getvalue()


def png_of_16_bits(picture: Pixels) -> bytes:
    """(H, W, 3) RGB in the upper eight of 16 bits: Pillow cannot, FFmpeg can."""
    wide = (picture.astype(np.uint16) << 8) | 77
    codec = av.CodecContext.create("png", "w")
    codec.height, codec.width, codec.pix_fmt = *picture.shape[:2], "rgb48be"
    codec.time_base = Fraction(1, 25)
    frame = av.VideoFrame(picture.shape[1], picture.shape[0], "rgb48be")
    frame.planes[0].update(padded(wide.astype(">u2"), frame.planes[0].line_size))
    packets = [*codec.encode(frame), *codec.encode(None)]
    return b"".join(bytes(packet) for packet in packets)


def padded(rows: NDArray[np.generic], line_bytes: int) -> bytes:
    """Each row of pixels, filled up to FFmpeg's lines."""
    flat = np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), -1)
    return np.pad(flat, ((0, 0), (0, line_bytes - flat.shape[1]))).tobytes()


def on_clear_ground() -> Pixels:
    """(512, 512, 4): the astronaut in a disc, loud colours hidden where it is transparent."""
    y, x = np.indices((512, 512))
    away = np.hypot(x - 223, y - 130)
    alpha = (255 - (away - 110).clip(0, 51) * 5).astype(np.uint8)
    hidden = np.stack([x % 256, y % 256, (x + y) % 256], 2).astype(np.uint8)
    colours = np.where(alpha[..., None] > 0, astronaut(), hidden)
    return np.dstack([colours, alpha])


def lying() -> bytes:
    """Stored on its side; the EXIF tag says how to hold it."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return png(np.rot90(astronaut()[:400, 60:460]), exif=exif.tobytes())


def beside(*pictures: Pixels) -> Pixels:
    """From left to right, on grey."""
    height = max(p.shape[0] for p in pictures)
    return np.hstack(
        [np.pad(p, ((0, height - len(p)), (0, 0), (0, 0)), constant_values=120) for p in pictures]
    )


def crowd() -> Pixels:
    """Faces of 113, 72, 56 and 37 px."""
    a, h = head(), hopper()[0:420, 60:440]
    return beside(a, shrunk(h, 2), shrunk(a, 2)[:, ::-1], shrunk(a, 3))


def palette() -> bytes:
    """16 greys by number."""
    image = Image.fromarray(grey(head()) >> 4, "P")
    image.putpalette([tone for n in range(16) for tone in (n * 17,) * 3])
    return png(image)


@dataclass(frozen=True)
class Picture:
    """A picture's file, and how its faces are found: by the cascade, as `faces`, or it is one."""

    make: Maker
    faces: tuple[Face, ...] | None = None
    whole: bool = False


def given(picture: Callable[[], Pixels], *faces: Face) -> Picture:
    """A picture whose faces are known."""
    return Picture(lambda: png(picture()), faces)


def drawn(name: str) -> Picture:
    """A face of `mien data draw`, which fills its picture."""
    return Picture((DRAWN / name).read_bytes, whole=True)


PICTURES: dict[str, Picture] = {
    # found by OpenCV's cascade, which is always there
    "portrait.png": Picture(lambda: (SKIMAGE / "astronaut.png").read_bytes()),
    "officer.bmp": Picture(lambda: encoded(hopper()[:450], "BMP")),
    "grey.png": Picture(lambda: png(grey(astronaut()[:300]))),
    "grey-of-16-bits.png": Picture(lambda: png(grey(astronaut()[:300]).astype(np.uint16) * 257)),
    "colour-of-16-bits.png": Picture(lambda: png_of_16_bits(hopper()[:450])),
    "alpha.png": Picture(lambda: png(on_clear_ground())),
    "alpha.webp": Picture(
        lambda: encoded(on_clear_ground()[:260], "WEBP", lossless=True, exact=True, method=0)
    ),
    "palette.png": Picture(palette),
    "lying.png": Picture(lying),
    "small.tiff": Picture(lambda: encoded(shrunk(astronaut()[:320], 4), "TIFF")),
    "crowd.png": Picture(lambda: png(crowd())),
    "large.png": Picture(lambda: png(enlarged(head(), 6))),
    "dark.png": Picture(lambda: png(head() // 5)),
    "bright.png": Picture(lambda: png((head() * 2.2).clip(0, 255).astype(np.uint8))),
    "nobody.png": Picture(lambda: png(photo("coffee.png")[:200, :300])),
    "nobody-at-16-px.png": Picture(lambda: png(np.full((16, 16, 3), 90, np.uint8))),
    "cut-short.png": Picture(lambda: png(head())[:9000]),
    # found as they are said to be
    "tilted.png": given(lambda: turned(head(), 25), head_face(25)),
    "tilted-left.png": given(
        lambda: turned(head(), -40)[:150, 80:], moved(head_face(-40, 0.9), 80, 0)
    ),
    "hardly-tilted.png": given(lambda: turned(head(), 7), head_face(7)),
    "upside-down.png": given(lambda: turned(head(), 180), head_face(180)),
    "at-an-edge.png": given(
        lambda: astronaut()[:150, 200:400],
        Face(Box(-33, 63, 113, 113), 0.8, tuple((x - 200, y) for x, y in ASTRONAUT_EYES)),
    ),
    "out-of-a-corner.png": given(lambda: head()[90:, 90:], Face(Box(-27, -27, 113, 113))),
    "several.png": given(
        lambda: beside(head(), hopper()[40:360, 100:420]),
        Face(Box(104, 106, 20, 24)),
        Face(Box(320, 70, 160, 170)),
        Face(Box(63, 63, 113, 113)),
    ),
    "blurred.png": given(
        lambda: enlarged(shrunk(head(), 24), 24).astype(np.uint8), Face(Box(66, 66, 113, 113))
    ),
    # faces that fill their pictures
    **{
        f"drawn-{name}.png": drawn(f"{name}.png")
        for name in ("angry", "fear", "happy", "neutral", "surprise")
    },
}


def make_pictures(folder: Path) -> None:
    """Write the files of `PICTURES`."""
    for name, picture in PICTURES.items():
        (folder / name).write_bytes(picture.make())


def ground() -> Pixels:
    """(144, 256, 3): green, as in a park."""
    return np.full((144, 256, 3), (90, 110, 100), np.uint8)


def put(canvas: Pixels, picture: Pixels, x: int, y: int) -> None:
    """Lay what of `picture` is on the canvas there."""
    left, top = max(0, -x), max(0, -y)
    part = picture[top : canvas.shape[0] - y, left : canvas.shape[1] - x]
    canvas[y + top : y + top + part.shape[0], x + left : x + left + part.shape[1]] = part


def coming_and_going() -> Iterator[tuple[float, Pixels]]:
    """A face that walks out of the picture, and comes back after more than a second."""
    face = shrunk(head(), 2)
    for number in range(20):
        canvas = ground()
        if number < 6 or number > 12:
            put(canvas, face, 60 + 18 * (number if number < 6 else 20 - number), 10)
        yield number * 0.2, canvas


def crossing() -> Iterator[tuple[float, Pixels]]:
    """Two that move towards each other, at times that are not even."""
    one, other = shrunk(head(), 2), shrunk(hopper()[0:300, 120:420], 3)
    for number in range(12):
        canvas = ground()
        put(canvas, other, 146 - 3 * number, 20)
        put(canvas, one, 2 * number, 8 + number % 3)
        yield 0.04 * number + 0.01 * (number % 2), canvas


def getting_dark() -> Iterator[tuple[float, Pixels]]:
    """A face in video's own colours, cut to another, that fade."""
    for number in range(12):
        canvas = ground()
        face = head() if number < 6 else hopper()[0:420, 60:440]
        put(canvas, shrunk(face, 2 if number < 6 else 3), 70, 10)
        yield number / 12, (canvas * (1 - number % 6 / 8)).astype(np.uint8)


FILMS: dict[str, tuple[Callable[[], Iterator[tuple[float, Pixels]]], str]] = {
    "coming-and-going.mkv": (coming_and_going, "bgr0"),
    "crossing.mkv": (crossing, "bgr0"),
    "getting-dark.mkv": (getting_dark, "yuv444p"),
}
"""Frames and times, and the layout of colours in which they are stored."""


def make_films(folder: Path) -> None:
    """Write the files of `FILMS`, without loss (FFV1)."""
    for name, (frames, layout) in FILMS.items():
        with av.open(str(folder / name), "w") as out:
            video = out.add_stream("ffv1", rate=Fraction(25))
            video.width, video.height, video.pix_fmt = 256, 144, layout
            video.codec_context.time_base = video.time_base = Fraction(1, 1000)
            for time_s, pixels in frames():
                frame = stored(pixels, layout)
                frame.pts, frame.time_base = round(time_s * 1000), Fraction(1, 1000)
                out.mux(video.encode(frame))
            out.mux(video.encode())


def stored(pixels: Pixels, layout: str) -> av.VideoFrame:
    """A frame of one plane of (H, W, 4), blue first, or of three of (H, W)."""
    if layout == "bgr0":
        channels: tuple[NDArray[np.generic], ...] = (
            np.pad(pixels[:, :, ::-1], ((0, 0), (0, 0), (0, 1))),
        )
    else:  # BT.601 of limited range, in whole numbers
        to_yuv = np.array([[66, 129, 25], [-38, -74, 112], [112, -94, -18]])
        yuv = (pixels.astype(int) @ to_yuv.T + 128 >> 8) + (16, 128, 128)
        channels = tuple(yuv.astype(np.uint8).transpose(2, 0, 1))
    frame = av.VideoFrame(pixels.shape[1], pixels.shape[0], layout)
    for plane, channel in zip(frame.planes, channels, strict=True):
        plane.update(padded(channel, plane.line_size))
    return frame
