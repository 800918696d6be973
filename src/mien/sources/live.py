"""Cameras and streams: always the newest frame."""

import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2

from mien.errors import InputError, PictureError
from mien.sources.frames import Frame, Kind, is_live
from mien.sources.video import Video
from mien.types import Readings

_PATIENCE_S = 5.0


class Live:
    """The newest frame of a camera (its number) or a stream (its address), again and again.

    A thread reads all the time; frames that come while the last one is worked on are dropped, and
    counted in `dropped`. A file is played at its own pace, for trials; one that breaks off gives a
    frame with an `error` at last. Ends when the source ends; raises PictureError if it cannot be
    opened, stops, or sends nothing for five seconds.
    """

    kind: Kind = "live"
    live = True
    length: int | None = None
    rate: float | None = None

    def __init__(self, source: str | int) -> None:
        self.name = f"camera {source}" if isinstance(source, int) else source
        self.files: Sequence[str | Path] = () if is_live(source) else (str(source),)
        self.dropped = 0
        self._film: Video | None = None
        if isinstance(source, int):
            self._frames = _camera(source)
        else:
            self._film = Video(source)
            self._frames = _paced(self._film, wait=not is_live(source))
        self._fresh = threading.Condition()
        self._newest: Frame | None = None
        self._over = False
        self._failure: Exception | None = None

    def __iter__(self) -> Iterator[Frame]:
        threading.Thread(target=self._read, name=self.name, daemon=True).start()
        try:
            while (frame := self._take()) is not None:
                yield frame
        finally:
            self._over = True

    @property
    def warnings(self) -> Sequence[str]:
        """What is odd about a film; none about a camera."""
        return () if self._film is None else self._film.warnings

    def rest(self, done: Readings) -> "Live":  # noqa: ARG002
        """InputError: what has passed cannot be continued."""
        raise InputError(f"{self.name} is live and cannot be continued; leave --resume out")

    def _take(self) -> Frame | None:
        with self._fresh:
            came = self._fresh.wait_for(lambda: self._newest or self._over, timeout=_PATIENCE_S)
            frame, self._newest = self._newest, None
        if frame is not None:
            return frame
        if self._failure is not None:
            raise self._failure
        if not came:
            raise PictureError(f"{self.name} has sent nothing for {_PATIENCE_S:.0f} s; check it")
        return None

    def _stopped(self, error: Exception) -> PictureError:
        return PictureError(f"{self.name} has stopped ({error}); check it")

    def _read(self) -> None:
        try:
            for frame in self._frames:
                if self._over:
                    return
                with self._fresh:
                    self.dropped += self._newest is not None
                    self._newest = frame
                    self._fresh.notify()
        except (PictureError, OSError, cv2.error) as error:
            self._failure = error if isinstance(error, PictureError) else self._stopped(error)
        finally:
            with self._fresh:
                self._over = True
                self._fresh.notify()


def _camera(number: int) -> Iterator[Frame]:
    capture: Any = cv2.VideoCapture(number)
    if not capture.isOpened():
        raise PictureError(
            f"camera {number} cannot be opened; is it plugged in, and free? Try another number"
            + (" (ls /dev/video*)" if sys.platform == "linux" else "")
        )
    return _captured(capture, number)


def _captured(capture: Any, number: int) -> Iterator[Frame]:
    started = time.monotonic()
    index = 0
    try:
        while True:
            came, bgr = capture.read()
            if not came:
                raise PictureError(f"camera {number} has stopped; is it still plugged in?")
            pixels = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
            yield Frame(f"camera {number}", pixels, index, round(time.monotonic() - started, 3))
            index += 1
    finally:
        capture.release()


def _paced(frames: Iterable[Frame], wait: bool) -> Iterator[Frame]:
    """Frames of a stream as they come; with `wait`, those of a film, none before its time."""
    started = time.monotonic()
    for frame in frames:
        if frame.error is not None and not wait:
            raise PictureError(frame.error)
        if wait:
            time.sleep(max(0.0, (frame.time_s or 0.0) - (time.monotonic() - started)))
        yield frame
