"""Segments of a video: from when to when a face shows an expression."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from mien.faces.tracking import GAP_S
from mien.types import Reading

HOLD_S = 0.2
"""An expression counts once it has been the most probable one for as long."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One face showing one expression: times in seconds, the peak as smoothed probability."""

    face_id: int
    expression: str
    from_s: float
    to_s: float
    peak: float
    peak_s: float

    def extended(self, time_s: float, value: float) -> "Segment":
        """The same up to `time_s`, at which its expression has the probability `value`."""
        if value <= self.peak:
            return replace(self, to_s=time_s)
        return replace(self, to_s=time_s, peak=value, peak_s=time_s)


class Segmenter:
    """Turns the readings of a video, frame by frame, into segments.

    An expression that lasts less than `HOLD_S` belongs to the segment that it interrupts.
    """

    def __init__(self) -> None:
        self._shown: dict[int, Segment] = {}
        self._rising: dict[int, Segment] = {}
        """Of each face another expression, on top for less than `HOLD_S` so far."""
        self._before_s = self._now_s = -math.inf

    def add(self, reading: Reading) -> Iterator[Segment]:
        """The segments that this reading ends."""
        if reading.time_s is None:
            return
        if reading.time_s > self._now_s:
            self._before_s, self._now_s = self._now_s, reading.time_s
        yield from self._gone()
        if reading.face_id is None or reading.smoothed is None:
            return
        key, time_s = reading.face_id, reading.time_s
        label, value = reading.smoothed.label, reading.smoothed.confidence
        new = Segment(key, label, time_s, time_s, value, time_s)
        shown, rising = self._shown.get(key), self._rising.pop(key, None)
        if shown is None:
            self._shown[key] = new
        elif label == shown.expression:
            self._shown[key] = shown.extended(time_s, value)
        else:
            if rising is None or rising.expression != label:
                rising = new
            rising = rising.extended(time_s, value)
            if round(time_s - rising.from_s, 6) >= HOLD_S:  # 1.2 - 1.0 is a little less than 0.2
                yield replace(shown, to_s=rising.from_s)
                self._shown[key] = rising
            else:
                self._rising[key] = rising
                self._shown[key] = replace(shown, to_s=time_s)

    def close(self) -> Iterator[Segment]:
        """The segments still open at the end."""
        yield from (segment for _, segment in sorted(self._shown.items()))
        self._shown.clear()

    def _gone(self) -> Iterator[Segment]:
        for key, segment in sorted(self._shown.items()):
            if segment.to_s < self._before_s and round(self._now_s - segment.to_s, 6) > GAP_S:
                self._rising.pop(key, None)
                yield self._shown.pop(key)
