"""Drawn faces that move: an expression comes and goes, eyes blink, mouths talk, heads turn."""

from dataclasses import astuple, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mien.data.drawn.anatomy import EXPRESSIONS, Actions, View, some_actions, some_person, some_view
from mien.data.drawn.painting import SIZE_PX, Grey, paint

FRAMES = 16
_BLINK = 0.06
"""Half of the time that a blink takes."""

Times = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Course:
    """When an expression comes and goes; the clip lasts from 0 to 1."""

    onset: tuple[float, float]
    """From where to where it rises from nothing to its apex."""
    offset: tuple[float, float] = (2.0, 3.0)
    """From where to where it falls again; by default after the end."""

    def strength(self, times: Times) -> Times:
        """0-1 at each of `times`."""
        return _ramp(times, *self.onset) * (1 - _ramp(times, *self.offset))


def some_course(rng: np.random.Generator) -> Course:
    """Onset, apex and offset as `rng` decides; a late offset is cut off by the clip's end."""
    start, rise, apex, fall = (
        rng.uniform(*ends) for ends in ((0, 0.3), (0.1, 0.3), (0.2, 0.6), (0.1, 0.3))
    )
    top = start + rise
    return Course((start, top), (top + apex, top + apex + fall))


def draw_clip(
    expression: str,
    rng: np.random.Generator,
    frames: int = FRAMES,
    size_px: int = SIZE_PX,
    course: Course | None = None,
) -> Grey:
    """(frames, size_px, size_px) uint8 grey: a face that rests, shows `expression` and rests again,
    or follows a `course`. `rng` decides the rest, as in `draw_face`."""
    person, view = some_person(rng), some_view(rng)
    rest, full = (some_actions(EXPRESSIONS[name], rng) for name in ("neutral", expression))
    course = course or some_course(rng)
    times = (np.arange(frames) + 0.5) / frames
    shown = _acted(rest, full, course.strength(times), _eyes(times, rng), _speech(times, rng))
    seen = _moved(view, times, rng)
    return np.stack([paint(person, a, v, size_px, rng) for a, v in zip(shown, seen, strict=True)])


def _acted(
    rest: Actions, full: Actions, strength: Times, eyes: Times, speech: Times
) -> list[Actions]:
    """What the face does in each frame."""
    start, end = np.array(astuple(rest)), np.array(astuple(full))
    drawn = [Actions(*row) for row in (start + strength[:, None] * (end - start)).tolist()]
    return [
        replace(
            actions,
            eye_opening=max(actions.eye_opening * lid, 0.1),
            mouth_opening=max(actions.mouth_opening, 0) + talk,
        )
        for actions, lid, talk in zip(drawn, eyes.tolist(), speech.tolist(), strict=True)
    ]


def _eyes(times: Times, rng: np.random.Generator) -> Times:
    """How far the lids are open, 0-1: up to two blinks."""
    blinks = rng.uniform(0, 1, rng.integers(0, 3))
    apart = np.abs(times[:, None] - blinks) / _BLINK
    return np.asarray(np.minimum(apart, 1).min(1, initial=1))


def _speech(times: Times, rng: np.random.Generator) -> Times:
    """How far the mouth is opened to talk; three of ten faces do."""
    size = rng.uniform(0.03, 0.08) * (rng.random() < 0.3)
    return np.asarray(size * np.sin(np.pi * (rng.uniform(3, 7) * times + rng.random())) ** 2)


def _moved(view: View, times: Times, rng: np.random.Generator) -> list[View]:
    """The view of each frame: the head turns, nods and leans slowly."""
    sizes, phases, speeds = rng.uniform(0, 1, 3), rng.uniform(0, 2, 3), rng.uniform(0.5, 2, 3)
    waves = np.sin(np.pi * (times[:, None] * speeds + phases)) * sizes * (0.12, 0.05, 0.08)
    return [
        replace(view, turn=view.turn + turn, nod=view.nod + nod, roll=view.roll + roll)
        for turn, nod, roll in waves.tolist()
    ]


def _ramp(times: Times, start: float, end: float) -> Times:
    """0 before `start`, 1 after `end`, smooth between them."""
    part = np.clip((times - start) / (end - start), 0, 1)
    return np.asarray(part * part * (3 - 2 * part))
