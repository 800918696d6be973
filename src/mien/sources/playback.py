"""A film's frames with their numbers and times, from shortly before some time on."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from av.error import FFmpegError
from av.stream import Disposition

from mien.sources.packets import Care, Careless, Damage, decoded, packets
from mien.sources.screen import Timed

Opened = Callable[[], AbstractContextManager[Any]]
"""Opens a film once more, as a container of PyAV."""

_WORTH_A_SEEK_S = 2.0


def film_stream(container: Any) -> Any:
    """The track that players show: the default one, or the first; None without any.

    An attached picture, such as the cover of a song, is no film.
    """
    tracks = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    return max(tracks, key=lambda s: bool(s.disposition & Disposition.default), default=None)


class Playback:
    """One reading of a film; iterate once. Frames before `wanted_s` may come first.

    What cannot be decoded is passed over. With `Care.STOP`, the film is read anew from the first
    damage on, packet by packet.
    """

    def __init__(self, opened: Opened, rate: float, wanted_s: float, care: Care) -> None:
        self.damage = Damage()
        self.first_lost_s: float | None = None
        """Time of the first damage."""
        self.frames = 0
        """Frames that were decoded."""
        self.number, self.end_s = 0, 0.0
        """Of the frame that would come next: its number and time."""
        self._opened, self._rate, self._wanted_s = opened, rate, wanted_s
        self._care = care
        self._steady = True

    def __iter__(self) -> Iterator[Timed]:
        last_s = -1.0
        attempts = [(self._care, False), (Care.EACH, False), (Care.EACH, True)]
        for care, rewind in attempts:
            from_s = max(self._wanted_s, last_s) if self._steady and not rewind else 0.0
            try:
                for timed in self._played(from_s, care):
                    if timed[1] > last_s + 1e-6:
                        last_s = timed[1]
                        yield timed
            except Careless:
                continue
            return

    def _played(self, wanted_s: float, care: Care) -> Iterator[Timed]:
        self.damage = damage = Damage()
        with self._opened() as container:
            stream = film_stream(container)
            began, first, begin = self._seek(container, stream, wanted_s)
            last_s, fresh = -1.0, begin is None
            for number, frame in decoded(container, stream, damage, care, begin):
                if fresh and frame.time is not None:
                    began = _began(stream, began, number, frame.time)
                fresh = False
                index = first + number
                time_s = index / self._rate if frame.time is None else frame.time - began
                if time_s <= last_s + 1e-6:  # a broken clock; times must rise, rounded too
                    time_s = last_s + 1 / self._rate
                    self._steady = False
                last_s = time_s
                self._count(index, time_s, frame)
                yield index, time_s, frame
            if damage.first is not None:
                self.first_lost_s = max(0.0, float(damage.first * stream.time_base) - began)

    def _count(self, index: int, time_s: float, frame: Any) -> None:
        lasts_s = float(frame.duration * frame.time_base) if frame.duration else 1 / self._rate
        self.frames += 1
        self.number, self.end_s = index + 1, time_s + lasts_s

    def _seek(self, container: Any, stream: Any, wanted_s: float) -> tuple[float, int, int | None]:
        """The time of the film's first frame, and number and ticks of the first to be decoded.

        Frames before it are counted by their packets, which need not be decoded. Without a seek,
        all are decoded, and no ticks are given.
        """
        began = float((stream.start_time or 0) * stream.time_base)
        if wanted_s < _WORTH_A_SEEK_S:
            return began, 0, None
        place = int((wanted_s + began) / stream.time_base)
        try:
            with self._opened() as other:
                other.seek(place, stream=film_stream(other))
                landed = next(packets(other, film_stream(other), Damage()), None)
            if not landed or not landed.is_keyframe or landed.pts is None or landed.pts > place:
                return began, 0, None  # MPEG-TS lands anywhere; decoding would begin too late
            with self._opened() as other:
                shown = packets(other, film_stream(other), Damage())
                times = [p.pts for p in shown if p.size and not p.is_discard]
            if None in times:
                return began, 0, None
            container.seek(place, stream=stream)
        except FFmpegError:  # the file's index is damaged
            return began, 0, None
        if _has_no_times(stream):
            began = float(min(times) * stream.time_base)
        return began, sum(time < landed.pts for time in times), landed.pts


def _began(stream: Any, began: float, number: int, time_s: float) -> float:
    """When a film begins whose first frame is of that number and time.

    The head of a short .mkv may name a later time.
    """
    return time_s if number == 0 and _has_no_times(stream) else min(began, time_s)


def key_frames(opened: Opened, wanted_s: Iterable[float]) -> list[float]:
    """Times of the key frames at or before those that are wanted, each once; none where one is not
    found by its time."""
    found: list[float] = []
    with opened() as container:
        stream = film_stream(container)
        began = float((stream.start_time or 0) * stream.time_base)
        for time_s in wanted_s:
            place = int((time_s + began) / stream.time_base)
            try:
                container.seek(place, stream=stream)
            except FFmpegError:
                return []
            landed = next(packets(container, stream, Damage()), None)
            if not landed or not landed.is_keyframe or landed.pts is None or landed.pts > place:
                return []
            found.append(float(landed.pts * stream.time_base) - began)
    return sorted({time_s for time_s in found if time_s > 0})


def _has_no_times(stream: Any) -> bool:
    """An .avi says when frames are decoded; what FFmpeg makes of that may begin a frame late."""
    return bool(stream.container.format.name == "avi")


def last_before(opened: Opened, rate: float, start_s: float) -> float | None:
    """Time of a film's last frame, in seconds; None if one comes at `start_s` or later."""
    for seeks in (True, False):
        told = _packet_times(opened, start_s, seeks)
        played = Playback(opened, rate, 0.0, Care.STOP)  # where only decoding tells
        last_s = 0.0
        for last_s in (time_s for _, time_s, _ in played) if told is None else told:
            if last_s >= start_s - 1e-6:
                return None
    return last_s


def _packet_times(opened: Opened, start_s: float, seeks: bool) -> list[float] | None:
    """Of the packets from `start_s` on, up to the first behind it; None where they do not tell."""
    found, last_dts = [0.0], None
    with opened() as container:
        stream = film_stream(container)
        began = stream.start_time or 0
        with contextlib.suppress(FFmpegError):
            if seeks:
                container.seek(int(start_s / stream.time_base) + began, stream=stream)
        for packet in packets(container, stream, Damage()):
            if not packet.size:
                continue
            if packet.pts is None or (last_dts is not None and packet.dts < last_dts):
                return None
            last_dts = packet.dts
            found.append(float((packet.pts - began) * stream.time_base))
            if found[-1] >= start_s:
                break
    return found
