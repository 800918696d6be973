"""Videos → frames with their exact presentation times, by FFmpeg through PyAV."""

import contextlib
import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import av
from av.error import FFmpegError

from mien.errors import InputError, PictureError
from mien.files import existing
from mien.sources.ending import goes_on, has_a_hole, lacks_bytes, stated_s
from mien.sources.frames import FASTEST_FPS, LIVE, PRIMER_S, REMOTE, Cut, Frame, Kind
from mien.sources.packets import Care
from mien.sources.pictures import MAX_PIXELS
from mien.sources.playback import Playback, film_stream, key_frames, last_before
from mien.sources.screen import Screen, deinterlaced, shown_aspect, shown_size
from mien.sources.stored import temporary
from mien.types import Readings

MAX_FETCHED_BYTES = 500_000_000
_OPEN_S, _READ_S, _FETCH_S = 10.0, 10.0, 600.0
_USUAL_FPS = 25.0
_A_BROKEN_TAIL = 5
"""Frames that cannot be decoded at the end of a film that breaks off."""
_LONG_S = 1.0

_FILES_ALONE = {
    "protocol_whitelist": "file",
    "format_whitelist": "mov,matroska,avi,mpegts,mpeg,mpegvideo,asf,flv,ogg,gif,wav,"
    "mxf,dv,ivf,h264,hevc,yuv4mpegpipe",
}
"""A file named as a video may be a playlist, with which FFmpeg would open any address and any other
file of this machine."""


class Video:
    """The frames of a file or a stream; iterate as often as you like.

    Opening raises PictureError if it cannot be read, has no pictures or has frames of more than
    `most_pixels`, and InputError if it ends before `cut` begins. Damaged packets are passed over.
    A video that breaks off, or whose frames grow beyond that on the way, gives what can be read,
    then one frame with an `error`. `warnings` tell of both once it is read.
    """

    kind: Kind = "video"
    live = False

    def __init__(
        self,
        path: str,
        cut: Cut | None = None,
        name: str | None = None,
        *,
        most_pixels: int = MAX_PIXELS,
    ) -> None:
        self.path = path
        self.name = name or path
        self.cut = cut or Cut()
        self.most_pixels = most_pixels
        self._notes: tuple[str, ...] = ()
        self._met: tuple[str, ...] = ()
        self._fetched: Any = None
        with self._opened() as container:
            stream = film_stream(container)
            self.rate = _rate(stream)
            self.aspect = _aspect(stream)
            self.width, self.height = shown_size(stream.width, stream.height, self.aspect)
            ticks = container.duration
            self.duration_s: float | None = ticks / av.time_base if ticks else None
            self._stated_s = stated_s(container, stream)
            self._is_short = lacks_bytes(path, container.format.name, stream.codec_context.name)
        if self.rate == 0:
            self.rate = _USUAL_FPS
            self._notes = (f"{self.name} states no frame rate; {_USUAL_FPS:g} a second assumed",)
        if self.cut.start_s > 0 and not path.startswith(LIVE):
            self._require(self.cut.start_s)

    def _opened(self) -> contextlib.AbstractContextManager[Any]:
        return open_container(self.path, self.name, self.most_pixels)

    @property
    def warnings(self) -> Sequence[str]:
        """What is odd about it, and, once it is read, what it lacks."""
        return self._notes + self._met

    @property
    def files(self) -> Sequence[str | Path]:
        """Its file, where it is the user's."""
        return () if self._fetched or self.path.startswith(LIVE) else (self.path,)

    @property
    def length(self) -> int | None:
        """About how many frames will come; None where the file does not tell."""
        if self.duration_s is None:
            return None
        start_s = max(self.cut.start_s, self.cut.after_s)
        length = max(0.0, min(self.duration_s, self.cut.end_s or self.duration_s) - start_s)
        return round(length * (self.cut.fps or self.rate / self.cut.every))

    def rest(self, done: Readings) -> "Video":
        """The frames after the last one that is `done`; none where the video broke off there."""
        after_s = max((r.time_s for r in done if r.time_s is not None), default=self.cut.after_s)
        if done and done[-1].status == "unreadable":
            after_s = math.inf
        other = copy.copy(self)
        other.cut = replace(self.cut, after_s=after_s)
        return other

    def key_frames(self, every_s: float) -> list[float]:
        """Times at which it can be cut into pieces of `every_s` or a little more: shortly before
        key frames. None for a shorter film, or where frames are not found by their times."""
        if self.duration_s is None or self.path.startswith(LIVE):
            return []
        end_s = min(self.duration_s, self.cut.end_s or self.duration_s)
        number = int((end_s - self.cut.start_s) / every_s)
        wanted = [self.cut.start_s + every_s * place for place in range(1, number)]
        return [time_s - 0.5 / self.rate for time_s in key_frames(self._opened, wanted)]

    def __iter__(self) -> Iterator[Frame]:
        return self._frames(self.cut.after_s)

    def primed(self) -> Iterator[Frame]:
        """The frames, and before them the last `PRIMER_S` of what is `done`."""
        return self._frames(self.cut.after_s - PRIMER_S)

    def _frames(self, after_s: float) -> Iterator[Frame]:
        self._met = ()
        if self.cut.after_s == math.inf:
            return
        chosen, screen = _Chooser(self.cut), Screen(self.aspect, self.most_pixels)
        wanted_s = max(self.cut.start_s, after_s)
        film = Playback(self._opened, self.rate, wanted_s, self._care)
        for index, time_s, frame in deinterlaced(film):
            if self.cut.end_s is not None and time_s >= self.cut.end_s - 1e-9:
                break
            if not chosen(index, time_s) or time_s <= after_s + 1e-6:
                continue
            done = time_s <= self.cut.after_s + 1e-6
            try:
                pixels = screen(frame)
            except (FFmpegError, ValueError, MemoryError) as error:
                yield self._broken(index, time_s, str(error))
                break
            yield Frame(self.name, pixels, index, round(time_s, 6), done=done)
        else:
            if breaks := self._breaks_off(film):
                yield self._broken(film.number, film.end_s, film.damage.failure)
            self._met = self._lacks(film, whole=not breaks)

    @property
    def _care(self) -> Care:
        if self.path.startswith(LIVE):
            return Care.GO_ON
        return Care.EACH if self._is_short else Care.STOP

    def _require(self, start_s: float) -> None:
        """InputError for a start behind the end."""
        last_s = last_before(self._opened, self.rate, start_s)
        if last_s is not None:
            raise InputError(
                f"the last frame of {self.name} is at {last_s:.1f} s; expected a start up to then, "
                f"got {start_s:g} s"
            )

    def _broken(self, number: int, time_s: float, reason: str | None) -> Frame:
        """What comes in place of the frames that are missing at the end."""
        place = f"{math.floor(10 * time_s) / 10:.1f}"
        if self._stated_s is not None and self._stated_s > time_s:
            place += f" of {self._stated_s:.1f}"
        error = f"{self.name} breaks off at {place} s" + (f" ({reason})" if reason else "")
        return Frame(self.name, None, number, round(time_s, 6), error)

    def _breaks_off(self, film: Playback) -> bool:
        """Whether frames are missing where the film has ended."""
        damage = film.damage
        if self.path.startswith(LIVE):
            return damage.failure is not None
        if damage.failure or damage.tail >= _A_BROKEN_TAIL:
            return True
        if not film.frames and (damage.lost or damage.tail):
            return True
        if self._stated_s is not None and film.end_s >= self._stated_s - 0.5 / self.rate:
            return False
        if self._is_short or (self._stated_s is None and damage.is_torn):
            with self._opened() as container:
                return not goes_on(container, film_stream(container), film.end_s)
        if self._stated_s is None or self._stated_s - film.end_s < _LONG_S:
            return False
        with self._opened() as container:
            return has_a_hole(container)

    def _lacks(self, film: Playback, whole: bool) -> tuple[str, ...]:
        """What was passed over, in words."""
        damage, notes = film.damage, []
        packets = damage.packets + (damage.last_packets if whole else 0)
        lost = damage.lost + (damage.tail if whole else 0)
        if packets:
            notes.append(f"{_counted(packets, 'damaged packet')} passed over")
        if lost > packets:
            notes.append(f"{_counted(lost, 'frame')} lost to damage")
        if notes:
            first_s = film.end_s if film.first_lost_s is None else film.first_lost_s
            notes = [f"{', '.join(notes)}, the first at {first_s:.1f} s"]
        if damage.partly:
            notes.append(f"{_counted(damage.partly, 'frame')} damaged in part")
        if damage.empty:
            each = "each repeats the frame before it"
            notes.append(f"{_counted(damage.empty, 'empty packet')} passed over; {each}")
        return tuple(f"{self.name}: {note}" for note in notes)


def open_video(
    source: str | Path,
    cut: Cut | None = None,
    *,
    private: bool = False,
    most_pixels: int = MAX_PIXELS,
) -> Video:
    """The video at a path or an address; PictureError or InputError.

    What an http(s) address holds is fetched first, with all its checks, since FFmpeg would follow
    it anywhere; it lies in a temporary file for as long as the video is in use.
    """
    url = str(source)
    if not url.startswith(REMOTE):
        return Video(str(existing(source, "video")), cut, most_pixels=most_pixels)
    from mien.sources.remote import fetch

    file = temporary(url)
    file.write(fetch(url, private=private, max_bytes=MAX_FETCHED_BYTES, timeout_s=_FETCH_S))
    file.flush()
    return fetched_video(file, url, cut, most_pixels=most_pixels)


def fetched_video(
    file: IO[bytes], name: str | None, cut: Cut | None = None, *, most_pixels: int = MAX_PIXELS
) -> Video:
    """The video in a temporary file, which it keeps for as long as it is in use; as `Video`."""
    video = Video(file.name, cut, name=name, most_pixels=most_pixels)
    video._fetched = file
    return video


class _Chooser:
    """Whether a cut asks for a frame."""

    def __init__(self, cut: Cut) -> None:
        self._cut = cut
        self._due_s = cut.start_s

    def __call__(self, index: int, time_s: float) -> bool:
        if time_s < self._cut.start_s - 1e-9:
            return False
        if self._cut.fps is None:
            return index % self._cut.every == 0
        if time_s < self._due_s - 1e-9:
            return False
        while self._due_s <= time_s + 1e-9:
            self._due_s += 1 / self._cut.fps
        return True


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _rate(stream: Any) -> float:
    """Frames a second; 0 where that is not known: a clock's 90,000 ticks are none."""
    rates = (stream.average_rate, stream.guessed_rate, stream.base_rate)
    return next((float(rate) for rate in rates if rate and 0 < rate <= FASTEST_FPS), 0.0)


def _aspect(stream: Any) -> Fraction:
    """Width of a pixel by its height."""
    return shown_aspect(stream.sample_aspect_ratio)


@contextlib.contextmanager
def open_container(path: str, name: str, most_pixels: int = MAX_PIXELS) -> Iterator[Any]:
    """PyAV's container of a video, for which FFmpeg opens no other file; else PictureError."""
    av.logging.set_level(None)  # any other level takes the GIL for a line, and can deadlock
    options = {"rtsp_transport": "tcp"} if path.startswith("rtsp") else {}
    if not path.startswith(LIVE):
        options = _FILES_ALONE
    # FFmpeg rounds the sides up, to 64, before it counts: it may have twice as many. It keeps to
    # no limit while it opens MPEG-PS and FLV, whose streams it does not know before.
    limit = {"max_pixels": str(2 * most_pixels)}
    try:
        container = av.open(path, options=options | limit, timeout=(_OPEN_S, _READ_S))
    except (FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PictureError(f"{name} cannot be opened as a video: {reason}") from error
    with container:
        stream = film_stream(container)
        if stream is None:
            raise PictureError(f"{name} has no video stream")
        if stream.codec_context is None:  # PyAV's stream has no width then
            raise PictureError(f"{name} has a video stream of an unknown codec; it may be damaged")
        if stream.width * stream.height == 0:
            raise PictureError(f"{name} has a video stream without pictures; it is damaged")
        width, height = shown_size(stream.width, stream.height, _aspect(stream))
        if width * height > most_pixels:
            size = f"{width}x{height}"
            raise PictureError(f"{name} has {size} pixels; expected at most {most_pixels:,}")
        stream.codec_context.options = limit
        yield container
