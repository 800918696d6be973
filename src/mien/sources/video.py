"""Videos → frames with their exact presentation times, by FFmpeg through PyAV."""

import contextlib
import copy
import math
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError

from mien.errors import PictureError
from mien.files import existing
from mien.sources.frames import FASTEST_FPS, LIVE, REMOTE, Cut, Frame, Kind
from mien.sources.pictures import MAX_PIXELS
from mien.types import Readings

MAX_FETCHED_BYTES = 500_000_000
_OPEN_S, _READ_S, _FETCH_S = 10.0, 10.0, 600.0
_WORTH_A_SEEK_S = 2.0
_USUAL_FPS = 25.0


_FILES_ALONE = {
    "protocol_whitelist": "file",
    "format_whitelist": "mov,matroska,avi,mpegts,mpeg,mpegvideo,asf,flv,ogg,gif,wav",
}
"""A file named as a video may be a playlist, with which FFmpeg would open any address and any other
file of this machine."""


class Video:
    """The frames of a file or a stream; iterate as often as you like.

    Opening raises PictureError if it cannot be read, has no pictures or has frames of more than
    `most_pixels`. A video that breaks off, or whose frames grow beyond that on the way, gives what
    can be read, then one frame with an `error`.
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
        self.warnings: Sequence[str] = ()
        self._fetched: Any = None
        with self._opened() as container:
            stream = container.streams.video[0]
            self.rate = float(stream.average_rate or stream.guessed_rate or 0)
            self.width, self.height = stream.width, stream.height
            ticks = container.duration
            self.duration_s: float | None = ticks / av.time_base if ticks else None
        if not 0 < self.rate <= FASTEST_FPS:  # a damaged header, or a clock's 90,000 ticks
            self.rate = _USUAL_FPS
            self.warnings = (f"{self.name} states no frame rate; {_USUAL_FPS:g} a second assumed",)

    def _opened(self) -> contextlib.AbstractContextManager[Any]:
        return open_container(self.path, self.name, self.most_pixels)

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

    def __iter__(self) -> Iterator[Frame]:
        if self.cut.after_s == math.inf:
            return
        chosen = _Chooser(self.cut)
        with self._opened() as container:
            frames = self._decoded(container)
            while True:
                try:
                    index, time_s, frame = next(frames)
                    if self.cut.end_s is not None and time_s >= self.cut.end_s - 1e-9:
                        return
                    if not chosen(index, time_s) or time_s <= self.cut.after_s + 1e-6:
                        continue
                    pixels = _upright(frame, self.most_pixels)
                except StopIteration:
                    return
                except (FFmpegError, ValueError, MemoryError, IndexError) as error:
                    yield Frame(self.name, None, error=f"{self.name} breaks off here ({error})")
                    return
                yield Frame(self.name, pixels, index, round(time_s, 6))

    def _decoded(self, container: Any) -> Iterator[tuple[int, float, Any]]:
        """Index, time and frame, from shortly before the start."""
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        began, first = self._seek(container, stream)
        last = -1.0
        for index, frame in enumerate(container.decode(stream), first):
            if index == 0 and frame.time is not None:  # a short .mkv's head may name a later one
                began = min(began, frame.time)
            time_s = index / self.rate if frame.time is None else frame.time - began
            if time_s <= last + 1e-6:  # a broken clock; times must rise, rounded too
                time_s = last + 1 / self.rate
            last = time_s
            yield index, time_s, frame

    def _seek(self, container: Any, stream: Any) -> tuple[float, int]:
        """The time of the video's first frame, and the index of the first that will be decoded.

        Frames before the start are counted by their packets, which need not be decoded.
        """
        began = float((stream.start_time or 0) * stream.time_base)
        wanted_s = max(self.cut.start_s, self.cut.after_s)
        if wanted_s < _WORTH_A_SEEK_S:
            return began, 0
        place = int((wanted_s + began) / stream.time_base)
        with self._opened() as other:
            other.seek(place, stream=other.streams.video[0])
            landed = next(other.demux(other.streams.video[0]), None)
        if not landed or not landed.is_keyframe or landed.pts is None or landed.pts > place:
            return began, 0  # MPEG-TS and -PS land anywhere; decoding would begin too late
        with self._opened() as other:
            shown = [p.pts for p in other.demux(other.streams.video[0]) if p.size]
        if None in shown:
            return began, 0
        container.seek(place, stream=stream)
        before = sum(pts < landed.pts for pts in shown)
        return began, before


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

    data = fetch(url, private=private, max_bytes=MAX_FETCHED_BYTES, timeout_s=_FETCH_S)
    file = tempfile.NamedTemporaryFile(suffix=Path(url).suffix[:8])  # noqa: SIM115
    file.write(data)
    file.flush()
    video = Video(file.name, cut, name=url, most_pixels=most_pixels)
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


def _upright(frame: Any, most_pixels: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """(H, W, 3) uint8 RGB, turned as the display matrix says (phones store turned pictures)."""
    if frame.width * frame.height > most_pixels:
        raise ValueError(f"{frame.width}x{frame.height} pixels")
    pixels = frame.to_ndarray(format="rgb24")
    turns = round(getattr(frame, "rotation", 0) / 90) % 4
    return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels


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
        if not container.streams.video:
            raise PictureError(f"{name} has no video stream")
        stream = container.streams.video[0]
        if stream.codec_context is None:  # PyAV's stream has no width then
            raise PictureError(f"{name} has a video stream of an unknown codec; it may be damaged")
        if stream.width * stream.height == 0:
            raise PictureError(f"{name} has a video stream without pictures; it is damaged")
        if stream.width * stream.height > most_pixels:
            size = f"{stream.width}x{stream.height}"
            raise PictureError(f"{name} has {size} pixels; expected at most {most_pixels:,}")
        stream.codec_context.options = limit
        yield container
