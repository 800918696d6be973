"""Films: their frames, times and sound."""

from pathlib import Path

import av
import numpy as np
import pytest

from mien.errors import InputError
from mien.output.clip import Clip
from tests.clips import film

SIZE = (64, 48)


def frame(grey: int, width: int = SIZE[0], height: int = SIZE[1]) -> np.ndarray:
    return np.full((height, width, 3), grey, np.uint8)


def write(path: Path, times, sound: Path | None = None, size=SIZE, **cut) -> Path:
    with Clip(path, 25.0, None if sound is None else str(sound), **cut) as clip:
        for number, time_s in enumerate(times):
            clip.write(frame(20 * (number % 12), *size), time_s)
    return path


def shown(path: Path) -> list[tuple[float, int, int, int]]:
    """Of each frame: when, width, height, and how bright it is."""
    with av.open(str(path)) as opened:
        return [
            (round(float(f.time), 4), f.width, f.height, round(f.to_ndarray(format="gray").mean()))
            for f in opened.decode(video=0)
        ]


def heard(path: Path) -> tuple[float, float, bytes]:
    """When the first and the last packet of sound are, and their bytes."""
    with av.open(str(path)) as opened:
        if not opened.streams.audio:
            return 0, 0, b""
        packets = [p for p in opened.demux(audio=0) if p.pts is not None]
        times = [float(p.pts * p.time_base) for p in packets]
        return min(times), max(times), b"".join(bytes(p) for p in packets)


TIMES = [0.0, 0.04, 0.1, 0.35, 0.4]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".MP4"])
def test_frames_are_shown_when_they_were(tmp_path, suffix):
    path = write(tmp_path / "new" / f"v{suffix}", TIMES)
    found = shown(path)
    assert [time_s for time_s, *_ in found] == pytest.approx(TIMES, abs=1.1e-3)
    assert [(width, height) for _, width, height, _ in found] == [SIZE] * 5
    brightness = [grey for *_, grey in found]
    assert brightness == sorted(brightness) and brightness[-1] - brightness[0] > 50
    with av.open(str(path)) as opened:
        assert opened.streams.video[0].codec_context.name == "h264"
        assert opened.streams.video[0].codec_context.pix_fmt == "yuv420p"
        assert not opened.streams.audio


def test_colours_are_those_that_were_given(tmp_path):
    with Clip(tmp_path / "v.mp4", 25.0, None) as clip:
        clip.write(np.broadcast_to(np.uint8([200, 40, 90]), (48, 64, 3)).copy(), 0.0)
    with av.open(str(tmp_path / "v.mp4")) as opened:
        (picture,) = opened.decode(video=0)
        colour = picture.to_ndarray(format="rgb24").reshape(-1, 3).mean(axis=0)
    assert colour == pytest.approx((200, 40, 90), abs=12)


def test_times_count_from_the_start_of_the_part(tmp_path):
    path = write(tmp_path / "v.mp4", [2.0, 2.04, 2.3], start_s=2.0)
    assert [time_s for time_s, *_ in shown(path)] == pytest.approx([0, 0.04, 0.3], abs=1e-3)


def test_frames_of_one_time_follow_each_other(tmp_path):
    path = write(tmp_path / "v.mp4", [0.0, 0.0, 0.0, 1.0, 0.5])
    with av.open(str(path)) as opened:
        ticks = [round(float(f.pts * f.time_base) * 90_000) for f in opened.decode(video=0)]
    assert ticks == [0, 1, 2, 90_000, 90_001]


@pytest.mark.parametrize(
    ("size", "kept"), [((65, 49), (64, 48)), ((64, 49), (64, 48)), ((66, 48), (66, 48))]
)
def test_odd_sizes_lose_a_row(tmp_path, size, kept):
    (found,) = shown(write(tmp_path / "v.mp4", [0.0], size=size))
    assert found[1:3] == kept


def test_frames_of_another_size_are_shown_in_the_first_ones(tmp_path):
    with Clip(tmp_path / "v.mp4", 25.0, None) as clip:
        clip.write(frame(20), 0.0)
        clip.write(frame(120, 128, 96), 0.04)
        clip.write(frame(220, 30, 30), 0.08)
    found = shown(tmp_path / "v.mp4")
    assert [(width, height) for _, width, height, _ in found] == [SIZE] * 3
    assert [grey for *_, grey in found] == pytest.approx([20, 120, 220], abs=4)


@pytest.fixture(scope="module")
def talk(tmp_path_factory) -> Path:
    """A film of two seconds with sound."""
    place = tmp_path_factory.mktemp("talk") / "talk.mp4"
    return film(place, [i / 25 for i in range(50)], SIZE, sound=True, empty=True)


def test_sound_is_copied_as_it_is(tmp_path, talk):
    path = write(tmp_path / "v.mp4", [i / 25 for i in range(50)], talk)
    assert heard(path)[2] == heard(talk)[2]
    assert heard(path)[:2] == pytest.approx(heard(talk)[:2], abs=0.02)


def test_sound_stands_beside_the_frames_it_belongs_to(tmp_path, talk):
    """A player that reads on need not jump."""
    path = write(tmp_path / "v.mkv", [i / 25 for i in range(50)], talk)
    with av.open(str(path)) as opened:
        kinds = [packet.stream.type for packet in opened.demux() if packet.size]
    first = kinds.index("audio")
    assert "video" in kinds[first:]
    assert kinds[: len(kinds) // 2].count("audio") >= kinds.count("audio") // 4


def test_sound_of_a_part_is_that_of_the_part(tmp_path, talk):
    """A packet is 0.128 s long: one that begins within is heard."""
    times = [0.5 + i / 25 for i in range(25)]
    path = write(tmp_path / "v.mp4", times, talk, start_s=0.5, end_s=1.5)
    first, last, sound = heard(path)
    assert sound in heard(talk)[2]
    assert 0 <= first <= 0.13
    assert 1.0 - 0.13 <= last <= 1.0


def test_sound_goes_on_to_the_end_behind_the_last_frame(tmp_path, talk):
    path = write(tmp_path / "v.mp4", [0.0, 0.04], talk)
    assert heard(path)[1] == pytest.approx(heard(talk)[1], abs=0.02)
    short = write(tmp_path / "s.mp4", [0.0, 0.04], talk, end_s=0.6)
    assert 0.4 < heard(short)[1] <= 0.6


def test_sound_counts_from_the_first_frame_as_the_frames_do(tmp_path):
    """In a film whose pictures begin three seconds behind its sound, too."""
    times = [3 + i / 25 for i in range(50)]
    late = film(tmp_path / "late.mkv", times, SIZE, sound=True, empty=True)
    with av.open(str(late)) as opened:
        assert float(opened.streams.video[0].start_time * opened.streams.video[0].time_base) == 3
    path = write(tmp_path / "v.mkv", [i / 25 for i in range(50)], late)
    first, last, sound = heard(path)
    assert sound
    assert 0 <= first < 0.2
    assert last == pytest.approx(2.0, abs=0.25)


def test_what_has_no_sound_gives_none(tmp_path):
    mute = film(tmp_path / "mute.mp4", [0.0, 0.04], SIZE, empty=True)
    assert heard(write(tmp_path / "v.mp4", [0.0, 0.04], mute)) == (0, 0, b"")


def talk_in(path: Path, codec: str, rate: int, kind: str) -> Path:
    """A film with sound in another codec."""
    with av.open(str(path), "w") as out:
        video = out.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        audio = out.add_stream(codec, rate=rate, layout="mono")
        out.start_encoding()
        samples = np.zeros((1, 4 * (audio.codec_context.frame_size or 500)), np.int16)
        sound = av.AudioFrame.from_ndarray(samples, "s16", "mono")
        sound.sample_rate = rate
        parts = av.AudioResampler(kind, "mono", rate, audio.codec_context.frame_size or None)
        out.mux(video.encode(av.VideoFrame.from_ndarray(frame(90), format="rgb24")))
        for part in parts.resample(sound):
            out.mux(audio.encode(part))
        for stream in (video, audio):
            out.mux(stream.encode())
    return path


OPUS, ADPCM = ("libopus", 48_000, "s16"), ("adpcm_ms", 8000, "s16p")


@pytest.mark.parametrize(
    ("codec", "suffix", "sounds"),
    [
        (ADPCM, ".mp4", False),
        (ADPCM, ".mov", False),
        (ADPCM, ".mkv", False),  # told only when the head is written
        (OPUS, ".mov", False),  # likewise
        (OPUS, ".mp4", True),
    ],
)
def test_sound_that_the_format_cannot_hold_is_left_out(tmp_path, codec, suffix, sounds):
    talk = talk_in(tmp_path / ("t.mkv" if codec is OPUS else "t.avi"), *codec)
    path = write(tmp_path / f"v{suffix}", [0.0, 0.04], talk)
    assert len(shown(path)) == 2
    assert (heard(path)[2] != b"") is sounds


def test_of_several_sounds_the_first_is_copied(tmp_path, talk):
    both = tmp_path / "both.mkv"
    opus = talk_in(tmp_path / "opus.mkv", *OPUS)
    with av.open(str(both), "w") as out, av.open(str(talk)) as one, av.open(str(opus)) as other:
        picked = [one.streams.video[0], one.streams.audio[0], other.streams.audio[0]]
        copies = {track: out.add_stream_from_template(track) for track in picked}
        for source in (one, other):
            for packet in source.demux(*[track for track in picked if track.container is source]):
                if packet.dts is not None:
                    packet.stream = copies[packet.stream]
                    out.mux(packet)
    assert heard(write(tmp_path / "v.mkv", [0.0, 0.04], both))[2] == heard(talk)[2]


def test_a_film_has_its_name_only_when_it_is_whole(tmp_path):
    with Clip(tmp_path / "v.mp4", 25.0, None) as clip:
        clip.write(frame(20), 0.0)
        assert not (tmp_path / "v.mp4").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["v.mp4"]


def interrupted(path: Path) -> None:
    with Clip(path, 25.0, None) as clip:
        clip.write(frame(20), 0.0)
        raise KeyboardInterrupt


def test_a_film_that_is_interrupted_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        interrupted(tmp_path / "v.mp4")
    assert list(tmp_path.iterdir()) == []


def test_a_film_without_a_frame_is_not_written(tmp_path):
    with (
        pytest.raises(InputError, match=r"v\.mp4 was not written: no frame lies between"),
        Clip(tmp_path / "v.mp4", 25.0, None),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["v.avi", "v", "v.AVI", "v.csv"])
def test_another_suffix_is_refused_at_once(tmp_path, name):
    with pytest.raises(InputError, match=r"cannot write '.*'; use \.mp4, \.mkv, \.mov"):
        Clip(tmp_path / name, 25.0, None)
    assert list(tmp_path.iterdir()) == []
