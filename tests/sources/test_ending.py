"""Films whose files end before they should, in every container, and whole ones of odd lengths."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from mien.sources import Cut
from mien.sources.video import Video
from tests.clips import packet_by_packet, spoil

FRAMES = 50
KINDS = {
    **{"mp4": "libx264", "mov": "mpeg4", "matroska": "libx264", "webm": "libvpx-vp9"},
    **{"avi": "mpeg4", "mpegts": "libx264", "flv": "flv1", "asf": "wmv2", "ogg": "libvpx"},
    **{"gif": "gif", "mxf": "mpeg2video", "mpeg": "mpeg2video"},
}
OPTIONS = {"mp4": {"movflags": "faststart"}, "mov": {"movflags": "faststart"}}
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov"}
STATING = {"mp4", "mov", "matroska", "webm", "avi", "flv", "mxf"}


def write(
    path: Path, kind: str, codec: str, sound_s: float = 0.0, times=None, **options: str
) -> Path:
    """A noisy film of 25 frames a second, or of such times (ms), and silence."""
    noise = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)
    with av.open(str(path), "w", format=kind, options=options or OPTIONS.get(kind, {})) as out:
        fast = {"deadline": "realtime", "cpu-used": "8"} if codec.startswith("libvpx") else {}
        video = out.add_stream(codec, rate=25, options={"g": "12", **fast})
        video.width, video.height = 128, 96
        video.pix_fmt = {"gif": "rgb8"}.get(codec, "yuv420p")
        if times:
            video.codec_context.time_base = Fraction(1, 1000)
        sound = out.add_stream("aac", rate=8000, layout="mono") if sound_s else None
        if sound is not None:
            quiet = np.zeros((1, round(8000 * sound_s)), np.float32)
            samples = av.AudioFrame.from_ndarray(quiet, "fltp", "mono")
            samples.sample_rate = 8000
            out.mux([*sound.encode(samples), *sound.encode()])
        for number in range(len(times or range(FRAMES))):
            rolled = np.roll(noise, 3 * number, axis=1)
            frame = av.VideoFrame.from_ndarray(rolled, "rgb24").reformat(format=video.pix_fmt)
            frame.pts = times[number] if times else number
            frame.time_base = Fraction(1, 1000 if times else 25)
            out.mux(video.encode(frame))
        out.mux(video.encode())
    return path


def read(path: Path) -> tuple[int, str | None]:
    """How many frames there are, and what stands at the end."""
    frames = list(Video(str(path)))
    good = [frame for frame in frames if frame.error is None]
    assert frames[: len(good)] == good
    return len(good), frames[-1].error


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_film_is_whole_and_a_part_of_it_is_not(tmp_path, kind):
    path = write(tmp_path / "film", kind, KINDS[kind])
    video = Video(str(path))
    assert read(path) == (FRAMES, None)
    assert not list(video.warnings)
    data = path.read_bytes()
    for part in (0.3, 0.5, 0.803):
        path.write_bytes(data[: int(len(data) * part)])
        *good, last = Video(str(path))
        assert 0 < len(good) < FRAMES
        assert len(good) == len(packet_by_packet(path))
        assert last.pixels is None and last.time_s > good[-1].time_s
        end = f"{path} breaks off at {int(10 * last.time_s + 1e-6) / 10:.1f}"
        assert last.error == (f"{end} of 2.0 s" if kind in STATING else f"{end} s")


def test_a_film_in_fragments_breaks_off_too(tmp_path):
    path = write(tmp_path / "film.mp4", "mp4", "libx264", **FRAGMENTS)
    assert read(path) == (FRAMES, None)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    count, error = read(path)
    assert 10 < count < 40 and "breaks off at" in error


@pytest.mark.parametrize("kind", ["mp4", "matroska", "mov", "flv", "mpegts"])
def test_sound_that_is_longer_than_the_picture_is_no_fault(tmp_path, kind):
    codec = {"flv": "libx264"}.get(kind, KINDS[kind])
    path = write(tmp_path / "film", kind, codec, sound_s=6.0)
    assert read(path) == (FRAMES, None)


@pytest.mark.parametrize("kind", ["mp4", "matroska"])
def test_frames_of_uneven_lengths_are_no_fault(tmp_path, kind):
    times = [0, 40, 1000, 1040, 4000]
    assert read(write(tmp_path / "film", kind, "libx264", times=times)) == (5, None)


def test_a_film_written_live_states_no_length(tmp_path):
    path = write(tmp_path / "film.webm", "webm", "libvpx-vp9", live="1")
    assert Video(str(path)).length is None
    assert read(path) == (FRAMES, None)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "breaks off at" in read(path)[1]


def test_a_film_of_which_half_was_never_written_breaks_off(tmp_path):
    """A download that set the file's size first."""
    path = write(tmp_path / "film.mkv", "matroska", "libx264")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 3] + bytes(len(data) - len(data) // 3))
    count, error = read(path)
    assert 5 < count < 30
    assert error is not None and "breaks off at" in error and "of 2.0 s" in error


@pytest.mark.parametrize("kind", ["mp4", "matroska", "avi"])
def test_a_film_of_nothing_but_damage_ends(tmp_path, kind):
    path = write(tmp_path / "film", kind, KINDS[kind])
    spoil(path, set(range(FRAMES)))
    (frame,) = Video(str(path))
    assert frame.error.startswith(f"{path} breaks off at 0.0 of 2.0 s")


def test_what_comes_after_the_part_that_is_read_is_not_missed(tmp_path):
    path = write(tmp_path / "film.mp4", "mp4", "libx264")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert [frame.error for frame in Video(str(path), Cut(end_s=0.2))] == [None] * 5
