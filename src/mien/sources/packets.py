"""Packets of a film → decoded frames, past the damaged ones."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from av.codec.context import Flags
from av.error import FFmpegError, InvalidDataError

_MOST_FAULTS_IN_A_ROW = 100
"""Reading that fails so often without one packet between gets nowhere."""
_A_FRAME_A_PACKET = {"h264", "hevc", "vp9", "libdav1d", "mpeg2video", "mpeg1video"}
"""Decoders of FFmpeg that make one frame of each packet, fields apart. Of others only what they
refuse is known to be damaged: some packets are never shown."""


class Careless(Exception):
    """Damage was met where good frames may be lost with it: while threads decode, or at the first
    packet after a seek."""


@dataclass(slots=True)
class Damage:
    """What a film lacks; times are ticks of its stream."""

    packets: int = 0
    """Packets that the decoder refuses, before the last one that it takes."""
    last_packets: int = 0
    """Those after it."""
    lost: int = 0
    """Frames that cannot be decoded, before the last one that can."""
    first: int | None = None
    """Time of the first of them."""
    tail: int = 0
    """Frames that cannot be decoded after the last one that can."""
    partly: int = 0
    """Frames that are given although FFmpeg had to fill parts of them."""
    empty: int = 0
    """Packets without data: each repeats the frame before it."""
    is_torn: bool = False
    """Whether the last packet of the file is damaged."""
    failure: str | None = None
    """Why reading ended before the file did."""

    def lose(self, time: int | None) -> None:
        """One more lost frame."""
        self.lost += 1
        if self.first is None:
            self.first = time


class Care(Enum):
    """How packets are decoded."""

    STOP = "with threads, which are fast; the first damage raises Careless"
    GO_ON = "with threads; good frames may be lost beside damaged ones, as of a live stream"
    EACH = "packet by packet"


def decoded(
    container: Any, stream: Any, damage: Damage, care: Care, begin: int | None = None
) -> Iterator[tuple[int, Any]]:
    """The frames of `stream` and their numbers, from 0 on; a frame that is lost keeps its number.

    What cannot be decoded is passed over and added to `damage`. Frames before `begin` (ticks) are
    left out: after a seek they lack what they are built on.
    """
    _prepare(stream, care)
    ledger = _Ledger(damage, begin, stream.codec_context.name)
    for packet in packets(container, stream, damage):
        if packet.size == 0 and packet.dts is not None:
            damage.empty += 1
            continue
        ledger.send(packet)
        try:
            frames = packet.decode()
        except (FFmpegError, ValueError, MemoryError, IndexError) as error:
            if care is Care.STOP:
                raise Careless from error
            ledger.fail(packet)
            continue
        ledger.succeed(packet)
        for frame in frames:
            if ledger.takes(frame):
                yield ledger.number(frame), frame
        if damage.lost and care is Care.STOP:
            raise Careless
    ledger.close()
    if damage.tail and care is Care.STOP:
        raise Careless  # PyAV drops what FFmpeg's threads still hold after a damaged frame


def packets(container: Any, stream: Any, damage: Damage) -> Iterator[Any]:
    """Packets of `stream` (or several), then one without data: it asks for what is held back.

    Where the file cannot be read, reading goes on behind.
    """
    faults = 0
    while True:
        try:
            for packet in container.demux(stream):
                faults = 0
                yield packet
            return
        except InvalidDataError as error:
            faults += 1
            if faults >= _MOST_FAULTS_IN_A_ROW:
                damage.failure = error.strerror
                return
        except (FFmpegError, ValueError) as error:  # a stream that stays silent, a disk that fails
            damage.failure = getattr(error, "strerror", None) or str(error)
            return


def _prepare(stream: Any, care: Care) -> None:
    if care is not Care.EACH:
        stream.thread_type = "AUTO"
        return
    stream.codec_context.thread_count = 1
    if stream.codec_context.name == "hevc":  # FFmpeg 8 withholds all up to the next key frame
        stream.codec_context.flags |= Flags.output_corrupt


class _Ledger:
    """Compares packets with the frames that come of them.

    A frame has the time of its packet, and frames come in the order of time: a packet whose time
    is passed has given none.
    """

    def __init__(self, damage: Damage, begin: int | None, codec: str) -> None:
        self._damage, self._begin = damage, begin
        self._comparable = codec in _A_FRAME_A_PACKET
        self._withholds = codec == "hevc"
        self._waiting: list[int] = []
        self._failed: set[int] = set()
        self._has_jumped = False
        self._last_dts: int | None = None
        self._last_pts: int | None = None
        self._corrupt_pts: int | None = None
        self._untimed, self._in_a_row, self._given = 0, 0, 0

    def send(self, packet: Any) -> None:
        """It goes to the decoder."""
        if packet.dts is not None:
            if self._last_dts is not None and packet.dts < self._last_dts:
                self._has_jumped = True  # films were joined, and their clocks overlap
                self._comparable = False
                self._waiting.clear()
            self._last_dts = packet.dts
        if packet.size:
            self._last_pts = packet.pts
        if not packet.size or packet.pts is None or packet.is_discard or self._has_jumped:
            return
        if self._begin is None or packet.pts >= self._begin:
            heapq.heappush(self._waiting, packet.pts)

    def fail(self, packet: Any) -> None:
        """The decoder refuses it; Careless if all that follows is built on it."""
        if packet.pts is not None and packet.pts == self._begin:
            raise Careless
        if not packet.size:
            return
        self._in_a_row += 1
        if packet.pts is None or self._has_jumped:
            self._untimed += 1
        else:
            self._failed.add(packet.pts)

    def succeed(self, packet: Any) -> None:
        """The decoder takes it."""
        if not packet.size:
            return
        self._damage.packets += self._in_a_row
        self._in_a_row = 0
        for _ in range(self._untimed):
            self._damage.lose(None)
        self._untimed = 0

    def takes(self, frame: Any) -> bool:
        """Whether a frame is whole enough: not of a group whose key frame is missing."""
        if self._begin is not None and frame.pts is not None and frame.pts < self._begin:
            return False
        self._withholds = self._withholds and frame.is_corrupt
        return not self._withholds

    def number(self, frame: Any) -> int:
        """The number of a frame that is given; packets that it passes are lost."""
        if frame.interlaced_frame:
            self._comparable = False  # each field may be a packet
        if frame.pts is not None:
            self._pass(frame.pts)
        if frame.is_corrupt:
            self._damage.partly += 1
            self._corrupt_pts = frame.pts
        self._given += 1
        return self._given - 1 + self._damage.lost

    def _pass(self, time: int) -> None:
        passed = []
        while self._waiting and self._waiting[0] < time:
            passed.append(heapq.heappop(self._waiting))
        if self._waiting and self._waiting[0] == time:
            heapq.heappop(self._waiting)
        else:
            self._comparable = False
        for one in filter(self._is_lost, passed):
            self._damage.lose(one)

    def _is_lost(self, time: int) -> bool:
        """Frames before the first that is given are lost only if damage is the reason."""
        return time in self._failed or (self._comparable and bool(self._given or self._failed))

    def close(self) -> None:
        """The film is over: what still waits is lost."""
        self._damage.tail = max(sum(map(self._is_lost, self._waiting)), self._in_a_row)
        is_corrupt = self._last_pts is not None and self._last_pts == self._corrupt_pts
        self._damage.last_packets = self._in_a_row
        self._damage.is_torn = self._in_a_row > 0 or is_corrupt
