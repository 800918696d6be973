"""Decoded frames → pixels as a screen shows them: fields, aspect, rotation, colours."""

import functools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
from av.filter import Graph
from av.video.reformatter import ColorPrimaries, ColorTrc, VideoReformatter
from numpy.typing import NDArray

Curve = Callable[[NDArray[np.float64]], NDArray[np.float64]]
Timed = tuple[int, float, Any]
"""A frame with its number and its time in seconds."""

_WIDEST = 8
"""Times as wide or as high as a pixel can be; more comes of a damaged head."""
_WHITE_NITS = 203.0
"""What HDR shows white paper with (ITU-R BT.2408), and what is white here."""
_PEAK_NITS = 1000.0
_KNEE = 0.75
"""Share of white up to which light is kept; what is brighter is compressed below full white."""
_CODES = 4096
_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]],
    np.float32,
)
"""Linear light of BT.2020 in the primaries of BT.709 (ITU-R BT.2407)."""


class Screen:
    """Makes (H, W, 3) uint8 RGB of frames whose pixels are `aspect` times as wide as high."""

    def __init__(self, aspect: Fraction | None, most_pixels: int) -> None:
        self._aspect = shown_aspect(aspect)
        self._most_pixels = most_pixels
        self._reformatter = VideoReformatter()

    def __call__(self, frame: Any) -> NDArray[np.uint8]:
        """The frame in square pixels, turned as the display matrix says (phones store turned
        pictures); ValueError if it has more than `most_pixels`."""
        width, height = shown_size(frame.width, frame.height, self._aspect)
        if width * height > self._most_pixels:
            raise ValueError(f"{width}x{height} pixels")
        light = _light_of(frame)
        kind = "rgb24" if light is None else "rgb48le"
        pixels: Any = self._reformatter.reformat(
            frame,
            width,
            height,
            kind,
            threads=1,  # more take longer, all together
        ).to_ndarray()
        if light is not None:
            pixels = _in_bt709(pixels, light)
        turns = round(getattr(frame, "rotation", 0) / 90) % 4
        return np.ascontiguousarray(np.rot90(pixels, turns) if turns else pixels)


def shown_aspect(aspect: Fraction | None) -> Fraction:
    """Width of a pixel by its height; 1 where that is not known, or cannot be."""
    believed = aspect is not None and Fraction(1, _WIDEST) <= aspect <= _WIDEST
    return aspect if aspect is not None and believed else Fraction(1)


def shown_size(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """Width and height in square pixels; as browsers do it, no side gets shorter."""
    if aspect >= 1:
        return round(width * aspect), height
    return width, round(height / aspect)


def deinterlaced(frames: Iterable[Timed]) -> Iterator[Timed]:
    """The same frames; from the first interlaced one on, each of one moment (FFmpeg's bwdif)."""
    weaver: _Deinterlacer | None = None
    for timed in frames:
        frame = timed[2]
        if weaver is not None and not weaver.fits(frame):
            yield from weaver.close()
            weaver = None
        if weaver is None and frame.interlaced_frame:
            weaver = _Deinterlacer(frame)
        if weaver is None:
            yield timed
        else:
            yield from weaver.add(timed)
    if weaver is not None:
        yield from weaver.close()


class _Deinterlacer:
    """A filter that gives a frame for each one it takes, one later."""

    def __init__(self, frame: Any) -> None:
        self._kind = _kind(frame)
        self._graph = Graph()
        begin = self._graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=frame.time_base or Fraction(1, 1000),
        )
        bwdif = self._graph.add("bwdif", "mode=send_frame:deint=interlaced")
        self._graph.link_nodes(begin, bwdif, self._graph.add("buffersink")).configure()
        self._waiting: deque[Timed] = deque()

    def fits(self, frame: Any) -> bool:
        """Whether a frame has the size and the format of those before."""
        return _kind(frame) == self._kind

    def add(self, timed: Timed) -> Iterator[Timed]:
        self._waiting.append(timed)
        self._graph.vpush(timed[2])
        return self._ready()

    def close(self) -> Iterator[Timed]:
        self._graph.vpush(None)
        return self._ready()

    def _ready(self) -> Iterator[Timed]:
        while self._waiting:
            try:
                frame = self._graph.vpull()
            except (BlockingIOError, EOFError):
                return
            number, time_s, _ = self._waiting.popleft()
            yield number, time_s, frame


def _kind(frame: Any) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name


def _light_of(frame: Any) -> NDArray[np.float32] | None:
    """(4096,) float32: the light that each value of a wide or bright picture stands for; None for
    ordinary pictures, whose values are shown as they are."""
    if frame.color_trc == ColorTrc.SMPTE2084:
        return _light_table(_pq)
    if frame.color_trc == ColorTrc.ARIB_STD_B67:
        return _light_table(_hlg)
    if frame.color_primaries == ColorPrimaries.BT2020:
        return _light_table(_gamma)
    return None


def _pq(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light as a share of white (SMPTE ST 2084)."""
    m1, m2 = 2610 / 16384, 2523 / 32
    c1, c2, c3 = 3424 / 4096, 2413 / 128, 2392 / 128
    root = signal ** (1 / m2)
    light = (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)
    return np.asarray(light * 10_000 / _WHITE_NITS)


def _hlg(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light as a share of white on a screen of 1,000 nits (ARIB STD-B67, ITU-R BT.2100)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    return np.asarray(scene**1.2 * _PEAK_NITS / _WHITE_NITS)


def _gamma(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(signal**2.2)


@functools.cache
def _light_table(curve: Curve) -> NDArray[np.float32]:
    """What a curve makes of each value; light above the knee nears 1, however bright it is."""
    light = curve(np.linspace(0, 1, _CODES))
    if curve is not _gamma:
        over = np.maximum(light - _KNEE, 0) / (1 - _KNEE)
        light = np.where(light <= _KNEE, light, 1 - (1 - _KNEE) * np.exp(-over))
    return light.astype(np.float32)


@functools.cache
def _value_table() -> NDArray[np.uint8]:
    """(65536,) uint8: the value that shows a light, 0-1 in 16 bits."""
    return np.rint(255 * np.linspace(0, 1, 65_536) ** (1 / 2.2)).astype(np.uint8)


def _in_bt709(pixels: NDArray[np.uint16], light: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 of (H, W, 3) uint16 values in the primaries of BT.2020."""
    linear = cv2.transform(light[pixels >> 4], _TO_BT709)
    return _value_table()[np.clip(65_535 * linear, 0, 65_535).astype(np.uint16)]
