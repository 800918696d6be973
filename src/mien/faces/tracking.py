"""Track faces over the frames of a video, and smooth their scores."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.types import DECIMALS, Box, Face, Scores

GAP_S = 1.0
"""A face that was away for longer comes back as another."""
MEMORY_S = 0.4
"""Time constant of the exponential average over a face's probabilities."""
SMOOTHED = f"smoothed over {MEMORY_S:g} s"
"""What is said wherever the averages are shown."""
_NEAR = 0.6
_NONE = Scores(("face",), (1.0,))

Pair = tuple[float, int, int]
"""How unlike a face is to a track: the distance, the track's id, the face's place in its frame."""


@dataclass(slots=True)
class Track:
    """Where and when a face was seen last, and its smoothed probabilities."""

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
        self._tracks: dict[int, Track] = {}
        self._next = 1
        self._before_s = self._now_s = -math.inf

    def update(
        self,
        time_s: float,
        faces: Sequence[Face],
        scores: Sequence[Scores],
        portraits: Sequence[NDArray[np.uint8] | None] = (),
    ) -> list[tuple[int, Scores]]:
        """For each face its id, counted from 1, and its smoothed scores.

        `portraits` are those of `mien.faces.people`, for a tracker that knows people by them.
        """
        self._advance(time_s)
        ids = self._match([face.box for face in faces], portraits)
        return [
            (face_id, self._see(face_id, face.box, score))
            for face_id, face, score in zip(ids, faces, scores, strict=True)
        ]

    def identify(self, time_s: float, faces: Sequence[Face]) -> list[int]:
        """For each face its id, the same as of `update`: scores have no part in it."""
        return [face_id for face_id, _ in self.update(time_s, faces, [_NONE] * len(faces))]

    @property
    def known(self) -> frozenset[int]:
        """Ids of the faces that are followed still."""
        return frozenset(self._tracks)

    def cut(self, time_s: float) -> None:
        """End the tracks from before the cut at `time_s`: whoever comes then has a new id."""
        time_s = round(time_s, DECIMALS)
        tracks = self._tracks.items()
        self._tracks = {i: track for i, track in tracks if track.seen_s >= time_s}

    def recall(self, face_id: int, time_s: float, face: Face, smoothed: Scores) -> None:
        """Restore a face of an interrupted run."""
        self._advance(time_s)
        self._next = max(self._next, face_id + 1)
        self._tracks[face_id] = Track(face.box, self._now_s, smoothed.values)

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
        self._before_s, self._now_s = self._now_s, time_s

    def _was_away(self, face_id: int) -> bool:
        """Whether the frame before did not show it."""
        return self._tracks[face_id].seen_s < self._before_s

    def _see(self, face_id: int, box: Box, scores: Scores) -> Scores:
        values = scores.values
        track = self._tracks.get(face_id)
        if track is not None:
            weight = -math.expm1(-(self._now_s - track.seen_s) / MEMORY_S)
            pairs = zip(track.average, (round(v, DECIMALS) for v in values), strict=True)
            values = tuple(before + weight * (now - before) for before, now in pairs)
        average = tuple(round(float(v), DECIMALS) for v in values)
        self._tracks[face_id] = Track(box, self._now_s, average)
        return Scores(scores.labels, average)

    def _match(
        self, boxes: Sequence[Box], _portraits: Sequence[NDArray[np.uint8] | None]
    ) -> list[int]:
        found = nearest(self._near(boxes), {})
        return [found[place] if place in found else self._new() for place in range(len(boxes))]

    def _near(self, boxes: Sequence[Box]) -> list[Pair]:
        """Tracks and boxes that may be the same face; below 1."""
        pairs = (
            (_distance(track.box, box), face_id, place)
            for face_id, track in self._tracks.items()
            for place, box in enumerate(boxes)
        )
        return [pair for pair in pairs if pair[0] < 1]

    def _new(self) -> int:
        self._next += 1
        return self._next - 1


def nearest(pairs: Iterable[Pair], found: Mapping[int, int]) -> dict[int, int]:
    """The ids of the places in `found`, and those of the nearest of `pairs`, then of the next."""
    ids = dict(found)
    for _, face_id, place in sorted(pairs):
        if place not in ids and face_id not in ids.values():
            ids[place] = face_id
    return ids


def _distance(one: Box, other: Box) -> float:
    """0 for the same box; 1 or more for boxes that cannot be the same face.

    Between centres, in units of `_NEAR` of the mean side, and of the ratio of the sides.
    """
    (x, y), (u, v) = one.centre, other.centre
    sides = max(one.width, one.height), max(other.width, other.height)
    apart = math.hypot(x - u, y - v) / (_NEAR * sum(sides) / 2)
    return apart + abs(math.log2(sides[0] / sides[1]))
