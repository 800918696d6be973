"""Track faces over the frames of a video, and smooth their scores."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mien.types import DECIMALS, Box, Face, Scores

GAP_S = 1.0
"""A face that was away for longer comes back as another."""
MEMORY_S = 0.4
"""Time constant of the exponential average over a face's probabilities."""
SMOOTHED = f"smoothed over {MEMORY_S:g} s"
"""What is said wherever the averages are shown."""
_NEAR = 0.6


@dataclass(slots=True)
class _Track:
    box: Box
    seen_s: float
    average: tuple[float, ...]


class Tracker:
    """Gives faces ids by their distance to the last frames' boxes, and averages their scores.

    Frames must come in the order of time. The nearest pair of all is matched first, then the next.
    Times and scores count as a table has them, in six decimals: so a run that is continued from one
    gives the same averages to the last digit.
    `film` is the place of the film among several.
    """

    def __init__(self, film: int | None = None) -> None:
        self.film = film
        self._tracks: dict[int, _Track] = {}
        self._next = 0
        self._now_s = -math.inf

    def update(
        self, time_s: float, faces: Sequence[Face], scores: Sequence[Scores]
    ) -> list[tuple[int, Scores]]:
        """For each face its id, counted from 0, and its smoothed scores."""
        self._advance(time_s)
        ids = self._match([face.box for face in faces])
        return [
            (face_id, self._see(face_id, face.box, score))
            for face_id, face, score in zip(ids, faces, scores, strict=True)
        ]

    def cut(self, time_s: float) -> None:
        """End the tracks from before the cut at `time_s`: whoever comes then has a new id."""
        time_s = round(time_s, DECIMALS)
        tracks = self._tracks.items()
        self._tracks = {i: track for i, track in tracks if track.seen_s >= time_s}

    def recall(self, face_id: int, time_s: float, face: Face, smoothed: Scores) -> None:
        """Restore a face of an interrupted run."""
        self._advance(time_s)
        self._next = max(self._next, face_id + 1)
        self._tracks[face_id] = _Track(face.box, self._now_s, smoothed.values)

    def _advance(self, time_s: float) -> None:
        """Forget faces that were away for longer than `GAP_S`; those of the last frame stay."""
        time_s = round(time_s, DECIMALS)
        if time_s <= self._now_s:
            return
        self._tracks = {
            face_id: track
            for face_id, track in self._tracks.items()
            if track.seen_s >= self._now_s or round(time_s - track.seen_s, 6) <= GAP_S
        }
        self._now_s = time_s

    def _see(self, face_id: int, box: Box, scores: Scores) -> Scores:
        values = scores.values
        track = self._tracks.get(face_id)
        if track is not None:
            weight = -math.expm1(-(self._now_s - track.seen_s) / MEMORY_S)
            pairs = zip(track.average, (round(v, DECIMALS) for v in values), strict=True)
            values = tuple(before + weight * (now - before) for before, now in pairs)
        average = tuple(round(float(v), DECIMALS) for v in values)
        self._tracks[face_id] = _Track(box, self._now_s, average)
        return Scores(scores.labels, average)

    def _match(self, boxes: list[Box]) -> list[int]:
        pairs = sorted(
            (_distance(track.box, box), face_id, place)
            for face_id, track in self._tracks.items()
            for place, box in enumerate(boxes)
        )
        found: dict[int, int] = {}
        for distance, face_id, place in pairs:
            if distance < 1 and place not in found and face_id not in found.values():
                found[place] = face_id
        for place in range(len(boxes)):
            if place not in found:
                found[place] = self._next
                self._next += 1
        return [found[place] for place in range(len(boxes))]


def _distance(one: Box, other: Box) -> float:
    """0 for the same box; 1 or more for boxes that cannot be the same face.

    Between centres, in units of `_NEAR` of the mean side, and of the ratio of the sides.
    """
    (x, y), (u, v) = one.centre, other.centre
    sides = max(one.width, one.height), max(other.width, other.height)
    apart = math.hypot(x - u, y - v) / (_NEAR * sum(sides) / 2)
    return apart + abs(math.log2(sides[0] / sides[1]))
