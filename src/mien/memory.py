"""What a network for clips remembers of the faces of a film or camera."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.bundle import Classifier, State
from mien.faces.tracking import Tracker
from mien.stream import Detections
from mien.style import percent
from mien.types import Reading


@dataclass(frozen=True, slots=True)
class _Face:
    time_s: float
    state: State
    """After the frame at that time."""


class Memory:
    """Of one film, whose frames come in order: the state of each face, which ends with its track.

    The state goes on as many times a second as in training, so that a film of more frames is read
    at the same pace; frames between are read on top of it, and not kept.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._tracker = Tracker()
        self._faces: dict[int, _Face] = {}

    def scores(self, classifier: Classifier, found: Detections) -> NDArray[np.float64]:
        """(faces, classes) probabilities of the faces that were `found` in the next frame: of all
        that was seen of each up to now."""
        time_s = found.time_s or 0.0
        if found.new_shot:
            self._tracker.cut(time_s)
        ids = self._tracker.identify(time_s, found.faces)
        known = self._tracker.known
        self._faces = {i: face for i, face in self._faces.items() if i in known}
        if not ids:
            return np.empty((0, len(classifier.card.labels)))
        before = [self._faces[i].state if i in self._faces else classifier.begin(1) for i in ids]
        state = [np.concatenate(rows) for rows in zip(*before, strict=True)]
        scores, after = classifier.next_scores(np.stack(found.crops.inputs), state)
        for row, face_id in enumerate(ids):
            if self._is_due(face_id, time_s):
                kept = [tensor[row : row + 1] for tensor in after]
                self._faces[face_id] = _Face(time_s, kept)
        return scores

    def _is_due(self, face_id: int, time_s: float) -> bool:
        """Whether the state goes on with this frame; times alone decide."""
        if face_id not in self._faces:
            return True
        last_s = self._faces[face_id].time_s
        return math.floor(time_s * self._rate + 1e-6) > math.floor(last_s * self._rate + 1e-6)


class ClipReadings(dict[tuple[str | None, int | None, int], Reading]):
    """The reading of each clip, by path, index and face id: that of the last frame of each face,
    which a network for clips gives from all of them."""

    def add(self, reading: Reading) -> None:
        """Take the next reading."""
        if reading.face_id is not None:
            self[reading.path, reading.index, reading.face_id] = reading

    def lines(self) -> list[str]:
        """One for each, for the terminal."""
        return [
            f"{path or 'clip'} face {face_id}, whole clip: "
            f"{reading.label} {percent(reading.confidence or 0.0)}"
            for (path, _, face_id), reading in self.items()
        ]
