"""Frames as a screen shows them: square pixels, one moment, the right colours."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from mien.errors import PictureError
from mien.sources import Cut
from mien.sources.screen import Screen, deinterlaced, shown_aspect, shown_size
from mien.sources.video import Video

BT709, BT601, BT2020 = 1, 6, 9
PQ, HLG, BT2020_10 = 16, 18, 14
LIMITED, FULL = 1, 2


def halves(width: int, height: int) -> np.ndarray:
    """Red on the left, blue on the right."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2, 0] = pixels[:, width // 2 :, 2] = 220
    return pixels


def film(path: Path, aspect: Fraction | None = None, turn: int = 0, frames: int = 3) -> Path:
    """Stored as 64x48."""
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=25, options={"crf": "10"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        if aspect:
            video.codec_context.sample_aspect_ratio = aspect
        if turn:
            video.set_display_rotation(turn)
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(halves(64, 48), "rgb24")
            frame.pts = number
            out.mux(video.encode(frame))
        out.mux(video.encode())
    return path


@pytest.mark.parametrize(
    ("aspect", "size"),
    [
        (None, (64, 48)),
        (Fraction(1), (64, 48)),
        (Fraction(2), (128, 48)),
        (Fraction(16, 15), (68, 48)),
        (Fraction(1, 2), (64, 96)),  # no side gets shorter
        (Fraction(8, 9), (64, 54)),
    ],
)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_pixels_that_are_not_square_are_shown_square(tmp_path, aspect, size, suffix):
    video = Video(str(film(tmp_path / f"a{suffix}", aspect)))
    assert (video.width, video.height) == size
    for frame in video:
        assert frame.pixels.shape == (size[1], size[0], 3)
        red, blue = frame.pixels[:, : size[0] // 3], frame.pixels[:, -(size[0] // 3) :]
        assert red[..., 0].mean() > 190 > 40 > red[..., 2].mean()
        assert blue[..., 2].mean() > 190 > 40 > blue[..., 0].mean()


def test_a_film_is_turned_once_its_pixels_are_square(tmp_path):
    path = film(tmp_path / "a.mp4", Fraction(2), turn=90)
    frame = next(iter(Video(str(path))))
    assert frame.pixels.shape == (128, 48, 3)
    assert frame.pixels[-30:, :, 0].mean() > 190, "what was left is below"


def test_an_impossible_aspect_is_not_believed():
    assert shown_aspect(None) == shown_aspect(Fraction(1, 900)) == shown_aspect(Fraction(900)) == 1
    assert shown_size(720, 576, Fraction(64, 45)) == (1024, 576)


def test_the_limit_counts_the_pixels_that_are_shown(tmp_path):
    path = str(film(tmp_path / "a.mp4", Fraction(2)))
    assert len(list(Video(path, most_pixels=128 * 48))) == 3
    with pytest.raises(PictureError, match="128x48 pixels; expected at most 6,143"):
        Video(path, most_pixels=128 * 48 - 1)


def woven(path: Path, frames: int = 12, turn: int = 0) -> Path:
    """A white bar that moves 8 pixels from field to field."""
    with av.open(str(path), "w") as out:
        video = out.add_stream("mpeg2video", rate=25, options={"flags": "+ildct+ilme", "qmax": "2"})
        video.width, video.height, video.pix_fmt = 128, 64, "yuv420p"
        video.bit_rate = 4_000_000
        if turn:
            video.set_display_rotation(turn)
        for number in range(frames):
            pixels = np.zeros((64, 128, 3), np.uint8)
            for field in range(2):
                left = (16 * number + 8 * field) % 112
                pixels[field::2, left : left + 16] = 255
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
            frame.pts = number
            out.mux(video.encode(frame))
        out.mux(video.encode())
    return path


def combing(pixels: np.ndarray) -> float:
    """How much rows differ from the two beside them, which agree: the teeth of a comb."""
    rows = pixels[..., 0].astype(int)
    return float(np.abs(rows[1:-1] - (rows[:-2] + rows[2:]) / 2).mean())


@pytest.mark.parametrize("suffix", [".mpg", ".ts", ".mkv"])
def test_an_interlaced_film_shows_one_moment_a_frame(tmp_path, suffix):
    path = woven(tmp_path / f"a{suffix}")
    with av.open(str(path)) as opened:
        decoded = list(opened.decode(video=0))
    assert all(frame.interlaced_frame for frame in decoded)
    raw = [(frame.time, frame.to_ndarray(format="rgb24")) for frame in decoded]
    frames = list(Video(str(path)))
    began = raw[0][0]
    assert [f.time_s for f in frames] == pytest.approx([t - began for t, _ in raw], abs=1e-3)
    assert [f.frame for f in frames] == list(range(12))
    for frame, (_, woven_pixels) in zip(frames[1:-1], raw[1:-1], strict=True):
        assert combing(frame.pixels) < 0.4 * combing(woven_pixels)
    part = list(Video(str(path), Cut(start_s=0.2, end_s=0.4)))
    assert [f.frame for f in part] == [5, 6, 7, 8, 9]


def test_an_interlaced_film_that_was_taken_lying_is_turned_upright(tmp_path):
    frames = list(Video(str(woven(tmp_path / "a.mp4", turn=90))))
    assert [f.pixels.shape for f in frames] == [(128, 64, 3)] * 12


def a_frame(y: int, u: int, v: int, space: int, span: int, light: int = 2, wide: bool = False):
    """A frame of one colour, (64, 64); `wide` ones have 10 bits."""
    frame = av.VideoFrame(64, 64, "yuv420p10le" if wide else "yuv420p")
    for plane, value in zip(frame.planes, (y, u, v), strict=True):
        kind = np.uint16 if wide else np.uint8
        plane.update(np.full(plane.buffer_size // kind().itemsize, value, kind).tobytes())
    frame.colorspace, frame.color_range = space, span
    frame.color_trc = light
    frame.color_primaries = BT2020 if space == BT2020 else BT709
    return frame


def colour(frame) -> np.ndarray:
    pixels = Screen(None, 64 * 64)(frame)
    assert pixels.shape == (64, 64, 3) and pixels.dtype == np.uint8
    return pixels[32, 32].astype(int)


@pytest.mark.parametrize(("space", "red", "blue"), [(BT709, 0.2126, 0.0722), (BT601, 0.299, 0.114)])
@pytest.mark.parametrize("span", [LIMITED, FULL])
def test_colours_follow_the_matrix_and_the_range_of_the_film(space, red, blue, span):
    y, u, v = 120, 90, 200
    light = (y - 16) / 219 if span == LIMITED else y / 255
    across, down = ((c - 128) / (224 if span == LIMITED else 255) for c in (u, v))
    r, b = light + 2 * (1 - red) * down, light + 2 * (1 - blue) * across
    g = (light - red * r - blue * b) / (1 - red - blue)
    expected = np.clip(np.array([r, g, b]) * 255, 0, 255)
    assert colour(a_frame(y, u, v, space, span)) == pytest.approx(expected, abs=2)


def ten_bits(signal: float) -> int:
    return round(64 + 876 * signal)


@pytest.mark.parametrize(
    ("light", "signal", "shown"),
    [
        # What BT.2408 gives: a grey card of 18 % reflects 26 nits of white's 203.
        (PQ, 0.0, 0),
        (PQ, 0.38, 100),  # 26 nits: 255 * (26 / 203) ** (1 / 2.2)
        (PQ, 0.508, 185),  # 100 nits
        (PQ, 0.58, 244),  # 203 nits: white, with room for what is brighter
        (PQ, 0.75, 255),  # 983 nits
        (PQ, 1.0, 255),
        (HLG, 0.0, 0),
        (HLG, 0.38, 101),  # the grey card again
        (HLG, 0.75, 244),  # white
        (HLG, 1.0, 255),
        (BT2020_10, 0.0, 0),
        (BT2020_10, 0.5, 127),
        (BT2020_10, 1.0, 255),
    ],
)
def test_greys_of_bright_and_wide_films_are_those_of_an_ordinary_screen(light, signal, shown):
    found = colour(a_frame(ten_bits(signal), 512, 512, BT2020, LIMITED, light, wide=True))
    assert found == pytest.approx([shown] * 3, abs=3)


def test_bright_light_keeps_its_order():
    steps = np.linspace(0, 0.75, 40)
    greys = [colour(a_frame(ten_bits(s), 512, 512, BT2020, LIMITED, PQ, True))[0] for s in steps]
    assert greys == sorted(greys) and len(set(greys)) > 30


def test_skin_in_wide_colours_becomes_skin():
    """(201, 152, 126) of BT.709, as linear light in BT.2020 and back."""
    skin = np.array([201, 152, 126])
    to_2020 = np.array(
        [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]
    )
    r, g, b = (to_2020 @ (skin / 255) ** 2.2) ** (1 / 2.2)
    luma = 0.2627 * r + 0.6780 * g + 0.0593 * b
    chroma = (512 + 896 * (b - luma) / 1.8814, 512 + 896 * (r - luma) / 1.4746)
    y, u, v = ten_bits(luma), *map(round, chroma)
    assert colour(a_frame(y, u, v, BT2020, LIMITED, BT2020_10, wide=True)) == pytest.approx(
        skin, abs=3
    )


def test_an_ordinary_film_of_ten_bits_is_shown_as_it_is():
    assert colour(a_frame(ten_bits(0.5), 512, 512, BT709, LIMITED, BT709, wide=True)) == (
        pytest.approx([127] * 3, abs=2)
    )


def test_frames_before_the_first_interlaced_one_are_left_alone():
    frames = [(n, n / 25, a_frame(90, 128, 128, BT601, LIMITED)) for n in range(3)]
    assert [timed[2] for timed in deinterlaced(frames)] == [timed[2] for timed in frames]
