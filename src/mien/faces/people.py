"""People of a film by their looks: who comes back, or crosses another, keeps the id.

This is biometric processing, off unless it is asked for (docs/intended-use.md). Looks are kept in
memory for as long as the film is read, and nowhere else.
"""

import functools
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError, MissingExtra
from mien.extras import remedy
from mien.faces.dlib import SIDE_PX, WIDTH, to_onnx
from mien.faces.tracking import Pair, Tracker, nearest
from mien.published import DLIB
from mien.types import Box, Face

SAME = 0.52
"""Looks that are nearer to each other are one person's (docs/faces.md#people)."""
OTHER = 0.65
"""Looks that are further apart are two people's, even where one was a moment ago."""
LEAST_PX = 40
_AWAY = 0.35
"""So far is the nose from the middle of the eyes, in their distance, where a face looks away."""
_LANDMARKS = np.array(
    [(0.2255, 0.2160), (0.7548, 0.2160), (0.4901, 0.5156), (0.2541, 0.7802), (0.7261, 0.7802)]
)
"""Where dlib's mean face has them, in units of its side; around it is a quarter as much again."""
_OFTEN_S, _MANY, _RARELY_S = 0.2, 8, 1.0
"""A face is looked at so often until so many looks are known, then rarely."""
_YOUNG = 3
"""With fewer looks, who comes in may still turn out to be known."""

Pixels = NDArray[np.uint8]
Vector = NDArray[np.float32]
Look = Callable[[int], Vector | None]
"""The looks of the face at a place of the frame; None where its portrait shows too little."""


def portrait(picture: Pixels, face: Face) -> Pixels | None:
    """(150, 150, 3) uint8 RGB: the face as dlib's network wants it.

    None for one that is too small or looks away. Raises InputError for one without landmarks.
    """
    if face.landmarks is None:
        raise InputError(
            "looks are told apart by faces with landmarks, which this detector does not give; "
            "choose yunet, or leave identify out"
        )
    if max(face.box.width, face.box.height) < LEAST_PX:
        return None
    place = np.asarray(face.landmarks, float)
    eyes = place[1] - place[0]
    aside = (place[2] - place[:2].mean(0)) @ eyes / max(1e-6, eyes @ eyes)
    if abs(aside) > _AWAY:
        return None
    to_mean = _similarity(place, (_LANDMARKS + 0.25) / 1.5 * SIDE_PX)
    size = (SIDE_PX, SIDE_PX)
    warped = cv2.warpAffine(picture, to_mean, size, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.uint8)


def _similarity(start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2, 3): what turns, scales and moves points (N, 2) nearest to others, by least squares."""
    one, other = (points @ [1, 1j] for points in (start, end))
    middle = one.mean()
    factor = np.vdot(one - middle, other) / np.vdot(one - middle, one - middle).real
    shift = other.mean() - factor * middle
    turn = [[factor.real, -factor.imag], [factor.imag, factor.real]]
    return np.column_stack([turn, [shift.real, shift.imag]])


class Looks:
    """dlib's network: how a face looks, as 128 numbers; safe to share between threads.

    Raises MissingExtra or WeightsError where its weights are not there.
    """

    def __init__(self) -> None:
        import onnxruntime

        file = DLIB.installed()
        if file is None:
            raise MissingExtra(f"the weights of {DLIB.network} are missing; {remedy('identify')}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # 6 ms a face
        self._session = onnxruntime.InferenceSession(
            to_onnx(file.read_bytes()), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, seen: Pixels) -> Vector:
        """(128,): that of a `portrait`."""
        faces = np.ascontiguousarray(seen.transpose(2, 0, 1)[None], np.float32)
        return np.asarray(self._session.run(None, {"faces": faces})[0][0])


class Person:
    """The mean of someone's looks, and when the last one was taken."""

    def __init__(self) -> None:
        self.number = 0
        self.taken_s = -math.inf
        self._sum: Vector = np.zeros(WIDTH, np.float32)

    def add(self, look: Vector, time_s: float) -> None:
        """Count one more look."""
        self._sum = self._sum + look
        self.number += 1
        self.taken_s = time_s

    def is_due(self, time_s: float) -> bool:
        """Whether another look is worth its time."""
        return time_s - self.taken_s >= (_OFTEN_S if self.number < _MANY else _RARELY_S)

    def unlike(self, look: Vector) -> float:
        """The distance of a look from the mean."""
        return float(np.linalg.norm(self._sum / self.number - look))


class People(Tracker):
    """A tracker that knows the people of one film by their looks.

    A face that is near one track alone is taken for it, as ever. Looks decide where a face is near
    several, where one comes back, and, now and then, whether a track is still the same person's.
    Nobody is in a frame twice.
    """

    def __init__(self, looks: Looks, film: int | None = None) -> None:
        super().__init__(film)
        self._looks = looks
        self._people: defaultdict[int, Person] = defaultdict(Person)

    def _match(self, boxes: Sequence[Box], portraits: Sequence[Pixels | None]) -> list[int]:
        look = functools.cache(lambda place: self._look(portraits[place]))
        clear = [p for p, box in enumerate(boxes) if not _is_crowded(box, boxes)]
        found = nearest(self._judged(self._near(boxes), clear, look), {})
        strangers = [p for p in clear if p not in found or self._is_young(found[p])]
        for place, face_id in nearest(self._known(strangers, found, look), {}).items():
            if place in found:
                self._forget(found[place])
            found[place] = face_id
        ids = [found[p] if p in found else self._new() for p in range(len(boxes))]
        for place in clear:
            self._learn(ids[place], place, look)
        return ids

    def _look(self, seen: Pixels | None) -> Vector | None:
        return None if seen is None else self._looks(seen)

    def _judged(self, pairs: list[Pair], clear: list[int], look: Look) -> Iterator[Pair]:
        """The pairs that may be; where there is a doubt, as far apart as the looks are."""
        ids, places = (Counter(pair[i] for pair in pairs) for i in (1, 2))
        for pair in pairs:
            _, face_id, place = pair
            person = self._people[face_id]
            several = ids[face_id] > 1 or places[place] > 1
            asked = several or (place in clear and self._is_doubtful(face_id))
            if not asked or not person.number or (seen := look(place)) is None:
                yield pair
            elif (unlike := person.unlike(seen)) < OTHER or several:
                yield unlike, face_id, place

    def _known(self, places: list[int], found: Mapping[int, int], look: Look) -> Iterator[Pair]:
        """People who were `found` nowhere in the frame, and the faces that look like them."""
        away = {i: p for i, p in self._people.items() if p.number and i not in found.values()}
        for place in places if away else ():
            if (seen := look(place)) is not None:
                pairs = ((person.unlike(seen), i, place) for i, person in away.items())
                yield from (pair for pair in pairs if pair[0] < SAME)

    def _learn(self, face_id: int, place: int, look: Look) -> None:
        person = self._people[face_id]
        if person.is_due(self._now_s) and (seen := look(place)) is not None:
            person.add(seen, self._now_s)

    def _is_doubtful(self, face_id: int) -> bool:
        """Whether the frame before did not show it, or another look is due."""
        return self._was_away(face_id) or self._people[face_id].is_due(self._now_s)

    def _is_young(self, face_id: int) -> bool:
        """Whether it may still turn out to be someone known before."""
        person = self._people[face_id]
        return person.number < _YOUNG and person.is_due(self._now_s)

    def _forget(self, face_id: int) -> None:
        self._people.pop(face_id, None)
        self._tracks.pop(face_id, None)


def _is_crowded(box: Box, boxes: Sequence[Box]) -> bool:
    """Whether another face may hide a part of it."""
    return any(box.overlap(other) > 0 for other in boxes if other is not box)
