"""Readings of a video → who showed which expression from when to when."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

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


@dataclass(slots=True)
class _Run:
    """Frames in a row with one expression on top."""

    expression: str
    from_s: float
    to_s: float
    peak: float
    peak_s: float

    def extend(self, time_s: float, value: float) -> None:
        self.to_s = time_s
        if value > self.peak:
            self.peak, self.peak_s = value, time_s

    def segment(self, face_id: int) -> Segment:
        return Segment(face_id, self.expression, self.from_s, self.to_s, self.peak, self.peak_s)


class Segmenter:
    """Takes the readings of frame after frame; gives segments as they end.

    A run shorter than `HOLD_S` belongs to the segment that it interrupts.
    """

    def __init__(self) -> None:
        self._settled: dict[int, _Run] = {}
        self._rising: dict[int, _Run] = {}
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
        settled, rising = self._settled.get(key), self._rising.pop(key, None)
        if settled is None:
            self._settled[key] = _Run(label, time_s, time_s, value, time_s)
        elif label == settled.expression:
            settled.extend(time_s, value)
        else:
            if rising is None or rising.expression != label:
                rising = _Run(label, time_s, time_s, value, time_s)
            rising.extend(time_s, value)
            if round(time_s - rising.from_s, 6) >= HOLD_S:  # 1.2 - 1.0 is a little less than 0.2
                settled.to_s = rising.from_s
                yield settled.segment(key)
                self._settled[key] = rising
            else:
                self._rising[key] = rising
                settled.to_s = time_s

    def close(self) -> Iterator[Segment]:
        """The segments still open at the end."""
        for key in sorted(self._settled):
            yield self._settled[key].segment(key)
        self._settled.clear()

    def _gone(self) -> Iterator[Segment]:
        for key, run in sorted(self._settled.items()):
            if run.to_s < self._before_s and round(self._now_s - run.to_s, 6) > GAP_S:
                self._rising.pop(key, None)
                yield self._settled.pop(key).segment(key)
