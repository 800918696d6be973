"""Animated pictures (WebP, PNG, GIF, AVIF) and TIFFs of several pages, as films."""

import copy
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mien.errors import InputError, PictureError
from mien.sources.formats import damage_of
from mien.sources.frames import PRIMER_S, Cut, Frame, Kind
from mien.sources.pictures import MAX_PIXELS, check_size, frames_of, opened, pixels_of, upright
from mien.sources.video import _Chooser
from mien.types import Readings

_NO_DURATION_MS = 100
"""How long browsers show a frame that says 0."""


class Animation:
    """The frames of an animated picture, with their times, or the pages of a TIFF, without.

    Iterate as often as you like. A frame that cannot be read is the last one, with an `error`.
    Raises PictureError, and InputError for a `cut` by time of pages.
    """

    kind: Kind = "video"
    live = False
    rate: float | None = None

    def __init__(
        self,
        data: bytes,
        path: str | None,
        cut: Cut | None = None,
        *,
        most_pixels: int = MAX_PIXELS,
    ) -> None:
        self.path, self.cut = path, cut or Cut()
        self.name = path or "the picture"
        self.warnings: Sequence[str] = ()
        self._data, self._most_pixels = data, most_pixels
        self._after: float = -1
        self._primed_from_s = math.inf
        image = self._opened()
        self._timed = image.format != "TIFF"
        with damage_of(self.name):
            self._places = frames_of(image)
        if not self._timed and self.cut != Cut(every=self.cut.every):
            raise InputError(f"{self.name} has pages without times; leave fps, start and end out")

    @property
    def files(self) -> Sequence[str | Path]:
        """Its file."""
        return () if self.path is None else (self.path,)

    @property
    def length(self) -> int | None:
        """How many frames come, at the most."""
        left = len(self._places) if self._after < 0 else len(self._places) - self._after - 1
        return math.ceil(max(0, left) / self.cut.every)

    def rest(self, done: Readings) -> "Animation":
        """The frames after the last one that is `done`; none where it broke off there."""
        other = copy.copy(self)
        other._after = max((r.frame for r in done if r.frame is not None), default=-1)
        last_s = max((r.time_s for r in done if r.time_s is not None), default=math.inf)
        other._primed_from_s = last_s - PRIMER_S
        if done and done[-1].status == "unreadable":
            other._after = math.inf
        return other

    def _opened(self) -> Any:
        image = opened(self._data, self.name)
        check_size(image.width, image.height, self.name, self._most_pixels)
        return image

    def __iter__(self) -> Iterator[Frame]:
        return (frame for frame in self.primed() if not frame.done)

    def primed(self) -> Iterator[Frame]:
        """The frames, and before them the last `PRIMER_S` of what is `done`."""
        image, chosen, time_ms = self._opened(), _Chooser(self.cut), 0.0
        for number, place in enumerate(self._places):
            time_s = round(time_ms / 1000, 6) if self._timed else None
            if self.cut.end_s is not None and (time_s or 0) >= self.cut.end_s - 1e-9:
                return
            done = number <= self._after
            primes = time_s is not None and time_s > self._primed_from_s
            wanted = chosen(number, time_s or 0) and (not done or primes)
            try:
                pixels = self._pixels(image, place, wanted)
            except PictureError as error:
                if not done:
                    words = f"{self.name} breaks off here ({error})"
                    yield Frame(self.path, None, number, time_s, words)
                return
            time_ms += image.info.get("duration") or _NO_DURATION_MS
            if pixels is not None:
                yield Frame(self.path, pixels, number, time_s, done=done)

    def _pixels(self, image: Any, place: int, wanted: bool) -> Any:
        """(H, W, 3) uint8 RGB of a frame; None if it is only passed over."""
        with damage_of(self.name):
            image.seek(place)
            check_size(image.width, image.height, self.name, self._most_pixels)
            image.load()
            return pixels_of(upright(image)) if wanted else None
