"""Are films read as FFmpeg reads them? Generates films at random and compares frames and times.

    python scripts/films.py --films 200 --seed 0 --minutes 10

Codecs, containers, turned and not square pixels, uneven times, 10 bits, fields, a second track, a
cover, files that are cut at a random byte. The reference is ffprobe where it is installed, else
PyAV packet by packet. A difference must be noted by mien: in a warning or a row. Then a film of so
many minutes with 50 damaged packets: all other frames must come. A table is printed; the exit code
is 1 if a difference is not noted.
"""

import argparse
import contextlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.error import FFmpegError
from av.stream import Disposition

from mien.errors import PictureError
from mien.sources.video import Video

os.environ.setdefault("SVT_LOG", "0")

CONTAINERS = {
    "libx264": ("mp4", "mkv", "mov", "ts", "avi", "flv"),
    "libx265": ("mp4", "mkv", "ts"),
    "libvpx-vp9": ("webm", "mkv", "mp4"),
    "libsvtav1": ("mp4", "mkv", "webm"),
    "mpeg4": ("mp4", "avi", "mkv"),
    "mjpeg": ("avi", "mov", "mkv"),
    "libtheora": ("ogv",),
}
OPTIONS = {
    "libx264": {"preset": "ultrafast", "g": "12"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:keyint=12"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "g": "12"},
    "libsvtav1": {"preset": "12", "g": "12"},
    "mpeg4": {"g": "12"},
}
WIDE = {"libx264", "libx265", "libsvtav1"}
STEADY = {"avi", "flv", "ogv"}
"""Containers whose frames have even times here."""
TOLERANCE_S = 2e-3


@dataclass(frozen=True)
class Plan:
    """What a film is like."""

    codec: str
    container: str
    frames: int
    turn: int = 0
    aspect: Fraction = Fraction(1)
    uneven: bool = False
    wide: bool = False
    fields: bool = False
    second: bool = False
    cover: bool = False
    cut: float | None = None
    size: tuple[int, int] = (160, 120)

    @property
    def traits(self) -> list[str]:
        """In words, for the table."""
        names = ("uneven", "wide", "fields", "second", "cover")
        traits = [name for name in names if getattr(self, name)]
        traits += ["turned"] * (self.turn != 0) + ["aspect"] * (self.aspect != 1)
        return [self.codec, self.container, *traits, *["cut"] * (self.cut is not None)]


def plan(rng: random.Random) -> Plan:
    """A film at random that FFmpeg can write."""
    codecs = [c for c in CONTAINERS if c != "libtheora" or shutil.which("ffmpeg")]
    codec = rng.choice(codecs)
    container = rng.choice(CONTAINERS[codec])
    film = Plan(codec, container, rng.randint(20, 60))
    if codec == "libtheora":
        return replace(film, cut=_cut(rng))
    return replace(
        film,
        turn=rng.choice((0, 0, 90, 180, 270)) if container in ("mp4", "mov") else 0,
        aspect=rng.choice(
            (Fraction(1), Fraction(1), Fraction(16, 15), Fraction(2), Fraction(8, 9))
        ),
        uneven=container not in STEADY and rng.random() < 0.3,
        wide=codec in WIDE and container not in STEADY and rng.random() < 0.25,
        fields=codec in ("libx264", "mpeg4") and rng.random() < 0.2,
        second=container in ("mp4", "mkv", "mov") and rng.random() < 0.2,
        cover=container in ("mp4", "mkv") and rng.random() < 0.2,
        cut=_cut(rng),
    )


def _cut(rng: random.Random) -> float | None:
    return rng.uniform(0.3, 0.98) if rng.random() < 0.4 else None


def write(path: Path, film: Plan, rng: random.Random) -> None:
    """The film as a file, and cut where it should be."""
    if film.codec == "libtheora":
        _write_theora(path, film)
    else:
        head = {"movflags": "faststart"} if film.container in ("mp4", "mov") else {}
        with av.open(str(path), "w", options=head) as out:
            _encode(out, film, rng)
    if film.cut is not None:
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * film.cut)])


def _encode(out: Any, film: Plan, rng: random.Random) -> None:
    cover = _add_cover(out) if film.cover else None
    video = _add_track(out, film)
    other = replace(film, fields=False, turn=0, size=(96, 80))
    second = _add_track(out, other) if film.second else None
    for track in filter(None, (cover, second)):
        track.disposition = Disposition.attached_pic if track is cover else Disposition(0)
    video.disposition = Disposition.default
    if cover is not None:
        _encode_frame(out, cover, 0, 0, "yuvj420p")
        out.mux(cover.encode())
    time = 0
    for number in range(film.frames):
        for track in filter(None, (video, second)):
            _encode_frame(out, track, number, time, track.pix_fmt)
        time += rng.choice((20, 33, 40, 100)) if film.uneven else 40
    for track in filter(None, (video, second)):
        out.mux(track.encode())


def _add_track(out: Any, film: Plan) -> Any:
    options = dict(OPTIONS.get(film.codec, {}))
    if film.fields:
        options["flags"] = "+ildct+ilme"
    track = out.add_stream(film.codec, rate=25, options=options)
    track.width, track.height = film.size
    full = "yuvj420p" if film.codec == "mjpeg" else "yuv420p"
    track.pix_fmt = "yuv420p10le" if film.wide else full
    track.codec_context.sample_aspect_ratio = film.aspect
    if film.uneven:
        track.codec_context.time_base = Fraction(1, 1000)
    if film.turn:
        track.set_display_rotation(film.turn)
    return track


def _add_cover(out: Any) -> Any:
    track = out.add_stream("mjpeg", rate=25)
    track.width, track.height, track.pix_fmt = 128, 128, "yuvj420p"
    return track


def _encode_frame(out: Any, track: Any, number: int, time: int, kind: str) -> None:
    frame = av.VideoFrame.from_ndarray(scene(number), "rgb24")
    frame = frame.reformat(track.width, track.height, kind)
    frame.pts, frame.time_base = time, Fraction(1, 1000)
    out.mux(track.encode(frame))


def scene(number: int) -> np.ndarray:
    """(120, 160, 3) uint8: soft noise that drifts."""
    noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    return np.ascontiguousarray(np.roll(cv2.GaussianBlur(noise, (0, 0), 3), 2 * number, axis=1))


def _write_theora(path: Path, film: Plan) -> None:
    """PyAV has no encoder of it. Half of the film stands still: its packets are empty."""
    still = f"testsrc2=s=160x120:r=25,loop=loop={film.frames // 2}:size=1:start=9"
    command = ["ffmpeg", "-v", "quiet", "-y", "-f", "lavfi", "-i", still]
    command += ["-frames:v", str(film.frames), "-c:v", "libtheora", str(path)]
    subprocess.run(command, check=True)


def reference(path: Path, film: Plan) -> list[float] | None:
    """Times of the frames as FFmpeg gives them, from 0; None if it cannot open the file."""
    index = _index(path, film)
    if index is None:
        return None
    times = _by_ffprobe(path, index) if shutil.which("ffprobe") else _by_pyav(path, index)
    return None if times is None else [time - times[0] for time in times]


def _index(path: Path, film: Plan) -> int | None:
    """Of the film's track, which no other has the size of; 0 where the head tells no size."""
    try:
        with av.open(str(path)) as opened:
            tracks = opened.streams.video
            return next((t.index for t in tracks if (t.width, t.height) == film.size), 0)
    except (FFmpegError, ValueError):
        return None


def _by_ffprobe(path: Path, index: int) -> list[float] | None:
    command = ["ffprobe", "-v", "quiet", "-select_streams", str(index), "-of", "csv=p=0"]
    command += ["-show_entries", "frame=best_effort_timestamp_time", str(path)]
    told = subprocess.run(command, capture_output=True, text=True)
    cells = [line.strip(",") for line in told.stdout.splitlines()]
    return [float(c) for c in cells if c and c != "N/A"] if told.returncode == 0 else None


def _by_pyav(path: Path, index: int) -> list[float]:
    times: list[float] = []
    with av.open(str(path)) as opened:
        stream = opened.streams[index]
        stream.codec_context.thread_count = 1
        for packet in opened.demux(stream):
            with contextlib.suppress(FFmpegError, ValueError):
                times += [frame.time for frame in packet.decode()]
    return sorted(times)


@dataclass(frozen=True)
class Answer:
    """What mien makes of a film."""

    times: list[float]
    notes: list[str]
    breaks_off: bool

    def same_as(self, times: list[float]) -> bool:
        """Whether frames and times are those."""
        return len(times) == len(self.times) and all(
            abs(a - b) <= TOLERANCE_S for a, b in zip(times, self.times, strict=True)
        )


def read(path: Path) -> Answer | None:
    """None if mien refuses the file."""
    try:
        video = Video(str(path))
    except PictureError:
        return None
    frames = list(video)
    good = [frame for frame in frames if frame.error is None]
    errors = [frame.error for frame in frames if frame.error is not None]
    times = [frame.time_s or 0.0 for frame in good]
    return Answer(times, [*errors, *video.warnings], bool(errors))


def outcome(path: Path, film: Plan) -> str:
    """How mien's reading of the film differs from FFmpeg's, in a word or two."""
    expected, found = reference(path, film), read(path)
    if found is None:
        return "both refuse it" if not expected else "REFUSED"
    if not found.same_as(expected or []):
        return "differs, noted" if found.notes else "DIFFERS, NOT NOTED"
    if film.cut is not None and len(found.times) < film.frames and not found.breaks_off:
        return "equal, CUT NOT TOLD"
    if film.cut is None and film.codec != "libtheora" and len(found.times) != film.frames:
        return "WRONG TRACK"
    if film.cut is None and found.breaks_off:
        return "FALSE ALARM"
    return "equal, cut told" if found.breaks_off else "equal"


def films(count: int, seed: int, folder: Path) -> Iterator[tuple[Plan, str]]:
    """Plans and outcomes; a film whose outcome is in capitals is kept in `folder`."""
    for number in range(count):
        rng = random.Random(f"{seed} {number}")
        film = plan(rng)
        path = folder / f"{number}.{film.container}"
        write(path, film, rng)
        told = outcome(path, film)
        yield film, told
        if told == told.lower():
            path.unlink()
        else:
            sys.stderr.write(f"{path}: {told}: {film}\n")


def damaged(minutes: float, packets: int, seed: int, path: Path) -> tuple[int, int, list[str]]:
    """Frames of a long film with damaged packets, those PyAV gives, and what mien notes.

    Raises AssertionError unless times are equal.
    """
    frames = round(1500 * minutes)
    with av.open(str(path), "w") as out:
        track = _add_track(out, Plan("libx264", "mp4", frames))
        for number in range(frames):
            _encode_frame(out, track, number % 80, 40 * number, "yuv420p")
        out.mux(track.encode())
    with av.open(str(path)) as opened:
        places = [(p.pos, p.size) for p in opened.demux(video=0) if p.size]
    data, rng = bytearray(path.read_bytes()), random.Random(seed)
    for begin, size in rng.sample(places, packets):
        data[begin : begin + size] = rng.randbytes(size)
    path.write_bytes(data)
    found, expected = read(path), _by_pyav(path, 0)
    assert found is not None
    assert found.same_as([time - expected[0] for time in expected]), "other frames than PyAV's"
    return len(found.times), frames, found.notes


def table(told: list[tuple[Plan, str]]) -> str:
    """Counts by trait and outcome."""
    outcomes = sorted({result for _, result in told})
    rows: dict[str, Counter[str]] = {}
    for film, result in told:
        for trait in ("all", *film.traits):
            rows.setdefault(trait, Counter())[result] += 1
    head = ["films", *outcomes]
    body = [
        [trait, *(str(rows[trait][one]) for one in outcomes)]
        for trait in ("all", *sorted(rows.keys() - {"all"}))
    ]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, ["---"] * len(head), *body))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--folder", type=Path, help="Keeps films with an outcome in capitals.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        told = list(films(given.films, given.seed, folder))
        sys.stdout.write(table(told))
        if given.minutes:
            found, frames, notes = damaged(given.minutes, 50, given.seed, folder / "long.mp4")
            sys.stdout.write(f"\n{found} of {frames} frames, as PyAV; {'; '.join(notes)}\n")
    sys.exit(any(result != result.lower() for _, result in told))


if __name__ == "__main__":
    main()
