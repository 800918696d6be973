import itertools
import os
import subprocess
import sys
import wave
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from PIL import Image

from mien.errors import InputError, PictureError
from mien.sources import Cut, remote
from mien.sources.video import Video, open_video
from tests.clips import film, spoil
from tests.sources.web import ANSWERS, serving, status

SIZE = (160, 96)
STEADY = [i / 25 for i in range(125)]
UNEVEN = [round(sum((0.02, 0.033, 0.04, 0.1)[(i * 7 + i // 3) % 4] for i in range(n)), 3)
          for n in range(125)]  # fmt: skip
TIMES = {"steady": STEADY, "uneven": UNEVEN}
CONTAINERS = ("mp4", "mkv", "mov", "ts")
FORMATS = (
    "mov,matroska,avi,mpegts,mpeg,mpegvideo,asf,flv,ogg,gif,wav,mxf,dv,ivf,h264,hevc,yuv4mpegpipe"
)


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """One film per clock and container, five seconds or more, a keyframe every 25 frames."""
    folder = tmp_path_factory.mktemp("films")
    return {
        (clock, suffix): film(folder / f"{clock}.{suffix}", times, SIZE)
        for clock, times in TIMES.items()
        for suffix in CONTAINERS
    }


def seen(path: Path, cut: Cut | None = None) -> list[tuple[int, float]]:
    """Index and time of each frame; none of them may be an error."""
    return seen_in(Video(str(path), cut))


def seen_in(video: Video) -> list[tuple[int, float]]:
    frames = []
    for frame in video:
        assert frame.error is None
        frames.append((frame.frame, frame.time_s))
    return frames


def chosen(times: list[float], cut: Cut) -> list[tuple[int, float]]:
    """What `cut` asks for, by its documentation: everything is read, then filtered."""
    found, due = [], cut.start_s
    for index, time_s in enumerate(times):
        if time_s < cut.start_s or (cut.end_s is not None and time_s >= cut.end_s):
            continue
        if cut.fps is None:
            wanted = index % cut.every == 0
        else:
            wanted = time_s >= due - 1e-9
            while wanted and due <= time_s + 1e-9:
                due += 1 / cut.fps
        if wanted and time_s > cut.after_s:
            found.append((index, time_s))
    return found


def assert_same(got: list[tuple[int, float]], expected: list[tuple[int, float]]) -> None:
    assert [index for index, _ in got] == [index for index, _ in expected]
    assert [t for _, t in got] == pytest.approx([t for _, t in expected], abs=1e-3)


@pytest.mark.parametrize("suffix", CONTAINERS)
@pytest.mark.parametrize("clock", TIMES)
def test_frames_have_the_times_they_were_given(films, clock, suffix):
    assert_same(seen(films[clock, suffix]), list(enumerate(TIMES[clock])))


@pytest.mark.parametrize("suffix", [*CONTAINERS, "mpg", "flv"])
@pytest.mark.parametrize("cut", [Cut(), Cut(start_s=0.4, end_s=0.8), Cut(start_s=2.52), Cut(fps=2)])
def test_times_count_from_a_film_s_own_beginning(tmp_path_factory, suffix, cut):
    path = tmp_path_factory.getbasetemp() / f"late.{suffix}"
    if not path.exists():  # three seconds into a broadcast, say
        film(path, [3 + i / 25 for i in range(75)], (64, 48), empty=True)
    assert_same(seen(path, cut), chosen(STEADY[:75], cut))


def test_a_moving_gif_has_its_own_times_and_colours(tmp_path):
    shades = [Image.new("RGB", (40, 30), (50 * i, 10, 90)) for i in range(4)]
    durations_ms = [100, 200, 100, 300]
    path = tmp_path / "a.gif"
    shades[0].save(path, save_all=True, append_images=shades[1:], duration=durations_ms)
    frames = list(Video(str(path)))
    assert [(f.frame, f.time_s) for f in frames] == [(0, 0.0), (1, 0.1), (2, 0.3), (3, 0.4)]
    for number, frame in enumerate(frames):
        assert np.abs(frame.pixels - np.array([50 * number, 10, 90])).max() < 4


def test_of_several_video_streams_the_first_is_read(tmp_path):
    path = tmp_path / "two.avi"
    with av.open(str(path), "w") as out:
        streams = []
        for size in (32, 64):
            streams.append(out.add_stream("png", rate=25))
            streams[-1].width, streams[-1].height, streams[-1].pix_fmt = size, size, "rgb24"
        for index, stream in itertools.product(range(3), streams):
            pixels = np.full((stream.width, stream.width, 3), stream.width, np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            out.mux(stream.encode(frame))
    video = Video(str(path))
    assert (video.width, video.height) == (32, 32)
    assert [f.pixels.shape for f in video] == [(32, 32, 3)] * 3
    assert all((f.pixels == 32).all() for f in video)
    with pytest.raises(PictureError, match="32x32 pixels; expected at most 1,023"):
        Video(str(path), most_pixels=1023)


def test_a_lossless_film_keeps_every_pixel(tmp_path):
    path = encoded(tmp_path / "a.avi", "png", [(64, 48)] * 3)
    noise = np.random.default_rng(0).integers(0, 40, (48, 64, 3), np.uint8)
    noise[:, :32, 0] += 200
    noise[:, 32:, 2] += 200
    frames = list(Video(str(path)))
    assert [f.path for f in frames] == [str(path)] * 3
    for index, frame in enumerate(frames):
        assert frame.pixels.dtype == np.uint8
        assert (frame.pixels == np.roll(noise, index, axis=0)).all()


CUTS = [
    Cut(every=7),
    Cut(fps=4),
    Cut(fps=100),
    Cut(start_s=0.5, end_s=1.5),
    Cut(every=3, start_s=0.7, end_s=2.2),
    Cut(fps=7, start_s=0.7, end_s=2.2),
    Cut(end_s=0.01),
    Cut(end_s=1.0),  # a frame's time, to the bit or nearly
    Cut(start_s=0.2, end_s=0.4),
    Cut(fps=5, start_s=0.2, end_s=2.4),
    Cut(start_s=1.96, end_s=1.97),
    # From here on, far enough in for a seek.
    Cut(start_s=2),
    Cut(start_s=2.5),
    Cut(start_s=3.0),
    Cut(start_s=3.99, end_s=4.5),
    Cut(every=3, start_s=2.7),
    Cut(fps=7, start_s=3.3),
    Cut(start_s=4.9),
    Cut(after_s=2.52),
    Cut(every=4, after_s=3.31),
    Cut(fps=3, start_s=1, after_s=4.1),
    Cut(fps=3, start_s=2.5, after_s=4.1, end_s=4.8),
]


@pytest.mark.parametrize("suffix", CONTAINERS)
@pytest.mark.parametrize("clock", TIMES)
def test_a_cut_gives_what_reading_and_filtering_everything_would(films, clock, suffix):
    for cut in CUTS:
        assert_same(seen(films[clock, suffix], cut), chosen(TIMES[clock], cut))


@pytest.mark.parametrize("suffix", [*CONTAINERS, "mpg", "flv"])
def test_parts_that_meet_share_no_frame_and_miss_none(tmp_path, suffix):
    path = film(tmp_path / f"a.{suffix}", STEADY[:20], (64, 48), empty=True)
    for index in range(1, 20):
        before = len(seen(path, Cut(end_s=index / 25)))
        after = seen(path, Cut(start_s=index / 25))
        assert (before, after[0][0], len(after)) == (index, index, 20 - index)


@pytest.mark.parametrize("suffix", CONTAINERS)
@pytest.mark.parametrize("choice", [{"fps": 3.0}, {"fps": 7.0}, {"every": 1}, {"every": 6}])
def test_a_run_that_resumes_gets_exactly_the_frames_it_lacks(films, choice, suffix):
    whole = seen(films["uneven", suffix], Cut(start_s=0.3, **choice))
    for done in (1, len(whole) // 2, len(whole) - 1, len(whole)):
        cut = Cut(start_s=0.3, after_s=whole[done - 1][1], **choice)
        assert seen(films["uneven", suffix], cut) == whole[done:]


def test_a_film_with_frames_out_of_order_is_cut_at_the_right_ones(tmp_path):
    """B-frames: packets come in another order than pictures."""
    path = encoded(tmp_path / "b.mp4", "libx264", [SIZE] * 100, g="25", bf="3", preset="medium")
    whole = seen(path)
    assert_same(whole, list(enumerate(i / 25 for i in range(100))))
    for start_s in (2.0, 2.48, 2.96, 3.0, 3.04, 3.5):
        assert seen(path, Cut(start_s=start_s)) == [f for f in whole if f[1] >= start_s]


def head(video: Video) -> tuple[int, int, float | None, float]:
    return video.width, video.height, video.duration_s, video.rate


def test_the_head_of_a_film_tells_its_size_length_and_rate(films):
    assert head(Video(str(films["steady", "mp4"]))) == (160, 96, 5.0, 25.0)
    assert head(Video(str(films["steady", "ts"]))) == (160, 96, pytest.approx(5.0), 25.0)


@pytest.mark.parametrize(
    ("cut", "expected"),
    [
        (None, 125),
        (Cut(every=5), 25),
        (Cut(every=5, start_s=1), 20),
        (Cut(fps=2), 10),
        (Cut(fps=2, end_s=3), 6),
        (Cut(fps=2, end_s=99), 10),
        (Cut(fps=2, start_s=1, after_s=3), 4),
        (Cut(fps=2, start_s=4, after_s=3), 2),
        (Cut(fps=2, start_s=1, end_s=2), 2),
        (Cut(fps=2, after_s=3, end_s=2), 0),
        (Cut(start_s=4.96), 1),
    ],
)
def test_frames_are_counted_before_they_are_read(films, cut: Cut | None, expected: int):
    assert Video(str(films["steady", "mp4"]), cut).length == expected


def test_how_many_frames_a_stream_has_is_not_known(films):
    video = Video(str(films["steady", "mp4"]))
    video.duration_s = None
    assert video.length is None


def test_a_video_can_be_read_twice(films):
    video = Video(str(films["uneven", "mkv"]), Cut(fps=5))
    once, twice = list(video), list(video)
    assert len(once) > 10
    assert [(f.frame, f.time_s) for f in once] == [(f.frame, f.time_s) for f in twice]
    assert all((a.pixels == b.pixels).all() for a, b in zip(once, twice, strict=True))


def test_two_readers_of_a_video_do_not_disturb_each_other(films):
    video = Video(str(films["steady", "mp4"]), Cut(every=25))
    assert [(a.frame, b.frame) for a, b in zip(video, video, strict=True)] == [
        (i, i) for i in range(0, 125, 25)
    ]


def encoded(
    path: Path, codec: str, sizes: list[tuple[int, int]], turn: int = 0, **options: str
) -> Path:
    """A film of 25 frames a second: noise, red on the left and blue on the right."""
    pix_fmt = {"png": "rgb24", "mjpeg": "yuvj420p"}.get(codec, "yuv420p")
    noise = np.random.default_rng(0).integers(0, 40, (sizes[0][1], sizes[0][0], 3), np.uint8)
    noise[:, : sizes[0][0] // 2, 0] += 200
    noise[:, sizes[0][0] // 2 :, 2] += 200
    head_first = {"movflags": "faststart"} if path.suffix == ".mp4" else {}
    with av.open(str(path), "w", options=head_first) as out:
        video = out.add_stream(codec, rate=25, options=options)
        video.width, video.height, video.pix_fmt = *sizes[0], pix_fmt
        if turn:
            video.set_display_rotation(turn)
        for index, _ in enumerate(sizes):
            frame = av.VideoFrame.from_ndarray(np.roll(noise, index, axis=0), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            out.mux(video.encode(frame))
        out.mux(video.encode())
    return path


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_a_film_that_was_taken_lying_is_turned_upright(tmp_path, turn):
    (frame,) = Video(str(encoded(tmp_path / "a.mp4", "libx264", [SIZE], turn, crf="10")))
    upright = np.rot90(np.array([[1, 0]]), turn // 90)  # 1 where it should be red
    height, width = frame.pixels.shape[:2]
    assert (width, height) == (SIZE if turn % 180 == 0 else SIZE[::-1])
    for row, column in itertools.product(range(upright.shape[0]), range(upright.shape[1])):
        y = (2 * row + 1) * height // (2 * upright.shape[0])
        x = (2 * column + 1) * width // (2 * upright.shape[1])
        red, _, blue = frame.pixels[y - 5 : y + 5, x - 5 : x + 5].mean((0, 1))
        assert (red > blue + 100) if upright[row, column] else (blue > red + 100)


@pytest.mark.parametrize("part", [0.5, 0.8, 0.99])
@pytest.mark.parametrize(
    ("suffix", "codec"),
    [("mkv", "libx264"), ("ts", "libx264"), ("mp4", "libx264"), ("avi", "mjpeg")],
)
def test_a_broken_tail_costs_only_the_frames_in_it(tmp_path, suffix, codec, part):
    path = encoded(tmp_path / f"a.{suffix}", codec, [SIZE] * 40, g="10")
    whole = list(Video(str(path)))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    frames = list(Video(str(path)))
    good = [f for f in frames if f.error is None]
    assert 40 * part - 15 <= len(good) <= 40
    assert [f.frame for f in good[:-3]] == list(range(len(good) - 3))
    assert [f.time_s for f in good[:-3]] == [f.time_s for f in whole[: len(good) - 3]]
    for before, after in zip(whole, good[:-3], strict=False):
        assert (before.pixels == after.pixels).all()
    *_, last = frames
    assert frames[: len(good)] == good, "an error comes last, and once"
    if len(good) == len(whole):  # only the table behind the frames is gone
        return
    assert len(frames) == len(good) + 1
    assert f"{path} breaks off at" in last.error
    assert last.time_s > good[-1].time_s and last.frame > good[-1].frame


@pytest.mark.parametrize(("suffix", "codec"), [("avi", "mjpeg"), ("mp4", "libx264")])
def test_a_frame_that_cannot_be_decoded_is_passed_over_and_told(tmp_path, suffix, codec):
    path = encoded(tmp_path / f"a.{suffix}", codec, [SIZE] * 80, g="1")
    whole = list(Video(str(path)))
    spoil(path, {5, 70})
    video = Video(str(path))
    assert not video.warnings
    frames = list(video)
    assert [(f.frame, f.time_s) for f in frames] == [
        (f.frame, f.time_s) for f in whole if f.frame not in (5, 70)
    ]
    assert all((f.pixels == whole[f.frame].pixels).all() for f in frames)
    told = f"{path}: 2 damaged packets passed over, the first at 0.2 s"
    assert list(video.warnings) == [told]
    for start_s in (0.2, 2.0, 2.76, 2.8):
        assert seen(path, Cut(start_s=start_s)) == [
            (f.frame, f.time_s) for f in frames if f.time_s >= start_s
        ]


def test_a_damaged_film_can_be_left_early(tmp_path):
    """FFmpeg's threads log what is wrong with it; that once waited for Python for ever."""
    path = encoded(tmp_path / "a.ts", "libx264", [(640, 360)] * 12, g="100", crf="5")
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    for place in rng.integers(len(data) // 5, len(data), 3000):
        data[place] ^= 0xFF
    path.write_bytes(data)
    code = (
        "import sys; from mien.sources.video import Video\n"
        "for _ in range(30): next(iter(Video(sys.argv[1])), None)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, timeout=60)


@pytest.mark.parametrize(("suffix", "codec"), [("ts", "libx264"), ("ts", "mpeg2video")])
def test_a_film_that_changes_its_size_gives_every_frame_in_its_own(tmp_path, suffix, codec):
    sizes = [(160, 96), (96, 160), (320, 64)]
    parts = [encoded(tmp_path / f"{i}.{suffix}", codec, [s] * 10) for i, s in enumerate(sizes)]
    path = tmp_path / f"joined.{suffix}"
    path.write_bytes(b"".join(p.read_bytes() for p in parts))
    frames = list(Video(str(path)))
    assert all(f.error is None for f in frames)
    shapes = [f.pixels.shape for f in frames]
    assert [s for s, _ in itertools.groupby(shapes)] == [(h, w, 3) for w, h in sizes]
    assert all(shapes.count((h, w, 3)) >= 8 for w, h in sizes)
    times = [f.time_s for f in frames]
    assert times == sorted(set(times)), "times rise although each part begins at 0"


@pytest.mark.parametrize("suffix", [*CONTAINERS, "mpg", "flv"])
def test_frames_have_as_many_pixels_as_they_may(tmp_path, suffix):
    """Sound makes a second stream; of .mpg and .flv, FFmpeg knows none before it has read."""
    path = tmp_path / f"a.{suffix}"
    if suffix == "mpg":
        encoded(path, "mpeg2video", [SIZE] * 30)
    else:
        film(path, STEADY[:30], SIZE, sound=True)
    assert len(list(Video(str(path), most_pixels=160 * 96))) == 30
    with pytest.raises(PictureError, match="160x96 pixels; expected at most 15,359"):
        Video(str(path), most_pixels=160 * 96 - 1)


@pytest.mark.parametrize("larger", [(192, 128), (1024, 768)])
def test_a_film_whose_frames_grow_too_large_ends_there(tmp_path, larger):
    parts = [encoded(tmp_path / f"{s[0]}.ts", "libx264", [s] * 10) for s in (SIZE, larger)]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(p.read_bytes() for p in parts))
    *good, last = Video(str(path), most_pixels=160 * 96)
    assert {f.pixels.shape for f in good} == {(96, 160, 3)}
    assert len(good) >= 8
    assert last.pixels is None and "breaks off" in last.error


def sound(path: Path) -> None:
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(bytes(8000))


def sound_in_mp4(path: Path) -> None:
    with av.open(str(path), "w", format="mp4") as out:
        audio = out.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        out.mux(audio.encode(frame))
        out.mux(audio.encode())


def test_a_short_film_with_sound_keeps_its_first_frames(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=25, options={"bf": "0"})
        audio = out.add_stream("aac", rate=8000, layout="mono")
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        for index in range(5):
            frame = av.VideoFrame.from_ndarray(np.zeros((*SIZE[::-1], 3), np.uint8), "rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            out.mux(video.encode(frame))
        out.mux(video.encode())
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1600), np.float32), "fltp", "mono")
        silence.sample_rate = 8000
        out.mux(audio.encode(silence))
        out.mux(audio.encode())
    assert_same(seen(path), list(enumerate(STEADY[:5])))


def head_lost(path: Path) -> None:
    """An .mp4 keeps its table of contents at the end, unless it is moved."""
    film(path, [0, 0.04, 0.08], SIZE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def playlist(path: Path) -> None:
    """Text that would lead FFmpeg to another file."""
    film(path.with_name("other.mkv"), [0.0, 0.04], SIZE)
    path.write_text("ffconcat version 1.0\nfile other.mkv\n")


UNREADABLE = {
    "wav": (sound, "has no video stream"),
    "sound alone": (sound_in_mp4, "has no video stream"),
    "empty": (lambda p: p.write_bytes(b""), "cannot be opened"),
    "zeros": (lambda p: p.write_bytes(bytes(5000)), "cannot be opened"),
    "text": (lambda p: p.write_text("no film at all\n" * 99), "cannot be opened"),
    "html": (lambda p: p.write_text("<html><body>404</body></html>"), "cannot be opened"),
    "cut short": (head_lost, "cannot be opened"),
    "folder": (lambda p: p.mkdir(), "cannot be opened"),
    "playlist": (playlist, "cannot be opened"),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_unreadable_videos_are_told_by_name(tmp_path, kind):
    make, message = UNREADABLE[kind]
    path = tmp_path / "film.mp4"
    make(path)
    with pytest.raises(PictureError, match=message) as caught:
        open_video(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


class Container:
    """What PyAV opens, with a stream as it is told."""

    def __init__(self, **stream: object) -> None:
        context = SimpleNamespace(options={}, name="h264")
        self.duration, self.format = None, SimpleNamespace(name="mov,mp4")
        self.stream = SimpleNamespace(
            width=64,
            height=48,
            codec_context=context,
            disposition=0,
            sample_aspect_ratio=None,
            base_rate=None,
            frames=0,
            duration=None,
            metadata={},
        )
        vars(self.stream).update(stream)
        self.streams = SimpleNamespace(video=[self.stream])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False


@pytest.mark.parametrize(
    ("average", "guessed", "fps"),
    [
        (Fraction(30_000, 1001), 25, 30_000 / 1001),
        (None, 30, 30.0),
        (None, None, 25.0),
        (0.5, None, 0.5),
        (1000, None, 1000.0),
        (1001, None, 25.0),  # the ticks of a clock
        (90_000, 30, 30.0),
        (90_000, None, 25.0),
        (-1, None, 25.0),
    ],
)
def test_the_frames_a_second_are_those_of_the_head_if_they_can_be(
    monkeypatch, average, guessed, fps
):
    told = Container(average_rate=average, guessed_rate=guessed, frames=0)
    monkeypatch.setattr(av, "open", lambda *_, **__: told)
    video = Video("a.mp4")
    assert head(video) == (64, 48, None, fps)
    guessed = not any(0 < float(rate or 0) <= 1000 for rate in (average, guessed))
    assert list(video.warnings) == ["a.mp4 states no frame rate; 25 a second assumed"] * guessed


@pytest.mark.parametrize(
    ("stream", "reason"),
    [
        (
            {"codec_context": None},
            "has a video stream of an unknown codec; it may be damaged",
        ),
        ({"width": 0}, "has a video stream without pictures; it is damaged"),
        ({"height": 0}, "has a video stream without pictures; it is damaged"),
    ],
    ids=str,
)
def test_streams_that_cannot_be_shown_are_told(monkeypatch, stream, reason):
    monkeypatch.setattr(av, "open", lambda *_, **__: Container(**stream))
    with pytest.raises(PictureError) as caught:
        Video("a.mp4", name="the film")
    assert str(caught.value) == f"the film {reason}"


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("rtsp://camera/1", {"rtsp_transport": "tcp"}),
        ("rtsps://camera/1", {"rtsp_transport": "tcp"}),
        ("udp://127.0.0.1:9", {}),
        ("a.mp4", {"protocol_whitelist": "file", "format_whitelist": FORMATS}),
        ("rtsp.mp4", {"protocol_whitelist": "file", "format_whitelist": FORMATS}),
    ],
)
def test_a_file_is_opened_as_a_film_alone_and_a_stream_with_patience(monkeypatch, path, options):
    asked = {}

    def opened(path: str, **how: object) -> Container:
        asked.update(how, path=path)
        raise ValueError("enough")

    monkeypatch.setattr(av, "open", opened)
    with pytest.raises(PictureError, match=f"{path} cannot be opened as a video: enough"):
        Video(path, most_pixels=100)
    assert asked == {
        "path": path,
        "options": {**options, "max_pixels": "200"},
        "timeout": (10.0, 10.0),
    }


@pytest.fixture
def online(films, monkeypatch) -> Iterator[str]:
    """The address of a server of this machine that has a film."""
    monkeypatch.setenv("MIEN_OFFLINE", "0")
    body = films["steady", "mp4"].read_bytes()
    monkeypatch.setitem(ANSWERS, "/film.mp4?key=1", status(200, body))
    with serving() as port:
        yield f"http://127.0.0.1:{port}/film.mp4?key=1"


def test_a_film_of_an_address_is_fetched_and_called_by_it(online):
    opened = open_video(online, Cut(every=25, end_s=3), private=True)
    assert (opened.length, opened.files) == (3, ())
    assert head(opened) == (160, 96, 5.0, 25.0)
    for _ in range(2):
        assert [(f.path, f.frame) for f in opened] == [(online, 0), (online, 25), (online, 50)]
    with pytest.raises(InputError, match="private network"):
        open_video(online)
    with pytest.raises(PictureError) as caught:
        open_video(online, private=True, most_pixels=160 * 96 - 1)
    assert str(caught.value) == f"{online} has 160x96 pixels; expected at most 15,359"


def test_a_fetched_film_may_be_large_and_slow(films, monkeypatch):
    asked = {}

    def fetched(url: str, **how: object) -> bytes:
        asked.update(how, url=url)
        return films["steady", "mkv"].read_bytes()

    monkeypatch.setattr(remote, "fetch", fetched)
    address = "https://faces.test/a.mkv"
    assert next(iter(open_video(address))).path == address
    assert asked == {"url": address, "private": False, "max_bytes": 500_000_000, "timeout_s": 600.0}


def test_a_missing_video_is_told(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        open_video(tmp_path / "nothing.mp4")


def resident_mb() -> float:
    """Of this process, now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is measured on Linux")
def test_a_long_film_needs_no_more_memory_than_a_short_one(tmp_path):
    """Its frames would take 70 MB together."""
    path = encoded(tmp_path / "long.mp4", "libx264", [(320, 240)] * 300, preset="ultrafast")
    count, early = 0, 0.0
    for frame in Video(str(path)):
        count += frame.error is None
        if count == 50:
            early = resident_mb()
    assert count == 300
    assert resident_mb() - early < 20


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is measured on Linux")
def test_a_frame_that_is_too_large_is_not_decoded(tmp_path):
    small = film(tmp_path / "small.ts", STEADY[:60], SIZE, empty=True)
    large = film(tmp_path / "large.ts", STEADY[:2], (6000, 6000), empty=True)
    path = tmp_path / "joined.ts"
    path.write_bytes(small.read_bytes() + large.read_bytes())
    code = (
        "import sys; from pathlib import Path; from mien.sources.video import Video\n"
        "frames = list(Video(sys.argv[1], most_pixels=4_000_000))\n"
        "told = Path('/proc/self/status').read_text()\n"
        "print(len(frames), told.partition('VmHWM:')[2].split()[0])"
    )
    told = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, check=True)
    frames, most_kb = map(int, told.stdout.split())
    assert frames >= 59
    assert most_kb < 140_000  # decoded, they would take it to 400,000
