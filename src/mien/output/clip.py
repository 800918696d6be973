"""Write frames as a video, with their own times and the sound of their source."""

import contextlib
import io
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from mien.errors import InputError
from mien.files import replacing
from mien.marks import MARK
from mien.sources.packets import Damage, packets
from mien.sources.playback import film_stream
from mien.sources.video import open_container

_TICKS = Fraction(1, 90_000)
_SUFFIXES = (".mp4", ".mkv", ".mov")


class Clip:
    """An H.264 video in the size of its first frame; a context manager.

    The file gets its name only when it is complete. Sound is copied, not encoded again, from
    `sound`, where the format can hold it; times are those of `sound`, less `start_s`.
    """

    def __init__(
        self,
        path: Path,
        fps: float,
        sound: str | None,
        start_s: float = 0.0,
        end_s: float | None = None,
    ) -> None:
        if path.suffix.lower() not in _SUFFIXES:
            raise InputError(f"{path}: cannot write {path.suffix!r}; use {', '.join(_SUFFIXES)}")
        self._path, self._start_s = path, start_s
        self._end_s = float("inf") if end_s is None else end_s
        self._rate = Fraction(fps).limit_denominator(1001)
        self._sound_path = sound
        self._stack = contextlib.ExitStack()
        self._last = -1

    def __enter__(self) -> "Clip":
        file = self._stack.enter_context(replacing(self._path))
        suffix = self._path.suffix.lower()
        self._kind = {".mkv": "matroska"}.get(suffix, suffix[1:])
        self._out: Any = self._stack.enter_context(av.open(file, "w", format=self._kind))
        self._out.metadata["comment"] = MARK
        self._video: Any = None
        self._sound: Iterator[Any] = iter(())
        self._packet: Any = None
        return self

    def __exit__(self, *error: Any) -> None:
        if error[0] is None and self._video is not None:
            self._out.mux(self._video.encode())
            self._copy_sound(self._end_s)
        if error[0] is None and self._video is None:
            empty = InputError(f"{self._path} was not written: no frame lies between start and end")
            self._stack.__exit__(type(empty), empty, None)  # so that no empty file takes the name
            raise empty
        self._stack.__exit__(*error)

    def write(self, pixels: NDArray[np.uint8], time_s: float) -> None:
        """Add a (H, W, 3) uint8 RGB frame, shown from `time_s` on."""
        if self._video is None:
            self._begin(pixels.shape[1], pixels.shape[0])
        size = (self._video.width, self._video.height)
        if (pixels.shape[1], pixels.shape[0]) != size:
            pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        self._last = max(self._last + 1, round((time_s - self._start_s) / _TICKS))
        frame.pts, frame.time_base = self._last, _TICKS
        self._out.mux(self._video.encode(frame))
        self._copy_sound(time_s)

    def _begin(self, width: int, height: int) -> None:
        self._video = self._out.add_stream("libx264", rate=self._rate)
        self._video.width, self._video.height = width - width % 2 or 2, height - height % 2 or 2
        self._video.pix_fmt = "yuv420p"
        self._video.codec_context.time_base = _TICKS
        self._video.options = {"crf": "20", "preset": "veryfast"}
        if self._sound_path is not None:
            self._sound = self._open_sound(self._sound_path)
            self._packet = next(self._sound, None)

    def _open_sound(self, path: str) -> Iterator[Any]:
        """Packets of the first sound track from the start on, for the new file's track."""
        source = self._stack.enter_context(open_container(path, path))
        if not source.streams.audio:
            return iter(())
        track = source.streams.audio[0]
        if not _holds(self._kind, track):
            return iter(())
        copy = self._out.add_stream_from_template(track)
        first = film_stream(source)  # times count from its start, as those of the frames
        zero_s = self._start_s + float((first.start_time or 0) * (first.time_base or 0))
        return self._packets(source, track, copy, zero_s)

    def _packets(self, source: Any, track: Any, copy: Any, zero_s: float) -> Iterator[Any]:
        shift = round(zero_s / track.time_base)
        with contextlib.suppress(FFmpegError):  # a broken tail ends the sound, not the film
            for packet in packets(source, track, Damage()):
                if packet.dts is None or packet.pts is None or packet.pts < shift:
                    continue
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = copy
                yield packet

    def _copy_sound(self, until_s: float) -> None:
        while self._packet is not None and (
            float(self._packet.pts * self._packet.time_base) + self._start_s <= until_s
        ):
            self._out.mux(self._packet)
            self._packet = next(self._sound, None)


def _holds(kind: str, track: Any) -> bool:
    """Whether a file of `kind` can hold the sound of `track`; some fail only at the header."""
    try:
        with av.open(io.BytesIO(), "w", format=kind) as trial:
            trial.add_stream_from_template(track)
            trial.start_encoding()
    except (FFmpegError, ValueError):
        return False
    return True
