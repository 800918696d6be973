"""What every source is, and what it gives: pictures with where and when they are from."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError, ShapeError
from mien.sources.kinds import Content, content_of
from mien.types import Readings

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts"}
    | {".wmv", ".flv", ".3gp", ".ogv", ".gif", ".mxf", ".dv", ".vob", ".asf", ".3g2", ".qt"}
)
"""Of addresses, and of files whose content does not tell."""


FASTEST_FPS = 1000
Kind = Literal["picture", "pictures", "mixed", "video", "live"]
LIVE = ("rtsp://", "rtsps://", "rtmp://", "udp://", "srt://")
REMOTE = ("http://", "https://")
PRIMER_S = 2.0
"""Enough of a film to find cuts and faces in the rest of it as without an interruption."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of a source, or the reason why there is none.

    `pixels` is (H, W, 3) uint8 RGB; `frame` (its number, from 0) and `time_s` (seconds from the
    beginning) are known of a video alone, `index` (the place of the photo or film, from 0) of one
    of several.
    """

    path: str | None
    pixels: NDArray[np.uint8] | None
    frame: int | None = None
    time_s: float | None = None
    error: str | None = None
    index: int | None = None
    new_shot: bool = False
    """Whether there was a cut before it; known once `mien.faces.shots` has compared them."""
    changed: bool = False
    """Whether it differs much from the one before; known likewise."""
    repeats: bool = False
    """Whether it is pixel for pixel the one before; known likewise."""
    done: bool = False
    """Whether an interrupted run has read it: it is there for the sake of the next ones."""

    def __post_init__(self) -> None:
        if (self.pixels is None) == (self.error is None):
            raise ShapeError("expected pixels, or the error in their place")

    @property
    def name(self) -> str | None:
        """The path."""
        return self.path

    def load(self) -> "Frame":
        """Itself: it has been read already."""
        return self


class Item(Protocol):
    """A picture to be read: a `Frame`, or one of which the path, address or bytes are known."""

    @property
    def name(self) -> str | None:
        """Its path or address; None for what is in memory."""
        ...

    @property
    def index(self) -> int | None:
        """Its place among several, from 0; None for a single one."""
        ...

    def load(self) -> Frame:
        """The picture; InputError, PictureError or ShapeError where it cannot be read."""
        ...


@runtime_checkable
class Source(Protocol):
    """Pictures or frames in order, opened once; `mien.sources.open_source` makes it of anything."""

    @property
    def name(self) -> str:
        """Its path, address or camera, for messages."""
        ...

    @property
    def kind(self) -> Kind:
        """One picture, several, several with films among them, a video, a live camera or stream."""
        ...

    @property
    def length(self) -> int | None:
        """How many items come, of a video about how many frames; None where it is not known."""
        ...

    @property
    def rate(self) -> float | None:
        """Frames a second, of a video."""
        ...

    @property
    def live(self) -> bool:
        """Whether frames come at their own pace, and those that are not taken are lost."""
        ...

    @property
    def warnings(self) -> Sequence[str]:
        """What the user should know of it, such as files that are left out."""
        ...

    @property
    def files(self) -> Sequence[str | Path]:
        """The files that are read: no output may replace them."""
        ...

    def __iter__(self) -> Iterator[Item]:
        """The items, from the first one on."""
        ...

    def rest(self, done: Readings) -> "Source":
        """The source without what an interrupted run has `done`."""
        ...


@runtime_checkable
class Continued(Source, Protocol):
    """One that can give again what a run needs that goes on in the middle of a film."""

    def primed(self) -> Iterator[Item]:
        """The items, and before the rest of a film the last `PRIMER_S` of it that are `done`."""
        ...


def primed(source: Source) -> Iterator[Item]:
    """The items of a source, and those that are `done` which it needs to go on."""
    return source.primed() if isinstance(source, Continued) else iter(source)


@dataclass(frozen=True, slots=True)
class Cut:
    """Which frames of a video to read: each `every`-th or `fps` a second, from `start_s` up to and
    without `end_s`, so that two parts that meet share no frame."""

    every: int = 1
    fps: float | None = None
    start_s: float = 0.0
    end_s: float | None = None
    after_s: float = -1.0
    """Frames up to then are passed over: an interrupted run has done them."""

    def __post_init__(self) -> None:
        if self.every < 1:
            raise InputError(f"expected every >= 1, got {self.every}")
        if self.fps is not None and not 0 < self.fps <= FASTEST_FPS:
            raise InputError(f"expected 0 < fps <= {FASTEST_FPS}, got {self.fps}")
        if self.every > 1 and self.fps is not None:
            raise InputError("give either every or fps, not both")
        ends = self.end_s is None or self.end_s > self.start_s
        if not 0 <= self.start_s < math.inf or not ends:
            end = "no end" if self.end_s is None else f"end {self.end_s}"
            raise InputError(f"expected 0 <= start < end, got start {self.start_s} and {end}")


def is_live(source: Any) -> bool:
    """Whether frames come at their own pace: a camera's number or a stream's address."""
    is_camera = isinstance(source, int) and not isinstance(source, bool)
    return is_camera or (isinstance(source, str) and source.startswith(LIVE))


def is_video(source: Any) -> bool:
    """Whether it is a video file: by its content, or by its suffix where that does not tell."""
    if not isinstance(source, (str, Path)):
        return False
    return (content_of(source) or _by_suffix(source)) == "film"


def _by_suffix(source: str | Path) -> Content | None:
    return "film" if _suffix(source) in VIDEO_SUFFIXES else None


def _suffix(source: str | Path) -> str:
    text = str(source)
    return Path(text.partition("?")[0] if text.startswith(REMOTE) else text).suffix.lower()
