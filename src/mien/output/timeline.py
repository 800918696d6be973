"""Smoothed probabilities of each face of a film over time: what a timeline shows."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path

from mien.types import Reading

MOST_FACES = 8
SUFFIXES = (".png", ".svg", ".pdf", ".html")
_MOST_MOMENTS = 4_000
_AWAY_S = 0.25
"""A face that is missed for less is not shown as away."""
_TICKS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
_MOST_TICKS = 12


@dataclass(frozen=True, slots=True)
class Moment:
    """A face at one time: its probabilities, and whether its status is `ok`.

    `run` counts how often the face was away before.
    """

    time_s: float
    values: tuple[float, ...]
    sure: bool
    run: int


@dataclass(slots=True)
class Lane:
    """One face over time, at most some thousand moments of it."""

    face_id: int
    seen: int = 0
    moments: list[Moment] = field(default_factory=list)
    _stride: int = 1
    _last_s: float = 0.0
    _run: int = 0

    def add(self, reading: Reading, time_s: float, values: Sequence[float], away_s: float) -> None:
        """Keep a reading; `away_s` is from when on a gap before it is one."""
        self._run += self.seen > 0 and time_s - self._last_s > away_s
        if self.seen % self._stride == 0:
            self.moments.append(Moment(time_s, tuple(values), reading.status == "ok", self._run))
        self._last_s, self.seen = time_s, self.seen + 1
        if len(self.moments) >= _MOST_MOMENTS:
            del self.moments[1::2]
            self._stride *= 2

    def runs(self, step_s: float, most: int = _MOST_MOMENTS) -> list[list[Moment]]:
        """At most so many moments, without a gap each; a single one is shown for `step_s`."""
        some = self.moments[:: -(-len(self.moments) // most)]
        found = [[*moments] for _, moments in groupby(some, lambda moment: moment.run)]
        for run in found:
            if len(run) == 1:
                run.append(replace(run[0], time_s=run[0].time_s + step_s))
        return found


class Timeline:
    """Collects the readings of a film, in the order of time."""

    def __init__(self) -> None:
        self.title = ""
        self.labels: tuple[str, ...] = ()
        self.cuts_s: list[float] = []
        self.span_s: tuple[float, float] = (0.0, 0.0)
        """The times of the first and the last frame, with or without a face."""
        self.step_s = 0.0
        """From one frame to the next, at the end."""
        self._lanes: dict[int, Lane] = {}
        self._begun = False

    def add(self, reading: Reading) -> None:
        """Add a reading; those of photos are ignored."""
        if reading.time_s is None:
            return
        self._pass(reading.time_s)
        if self.title == "" and reading.path is not None:
            self.title = Path(reading.path).name
        if reading.face_id is None or reading.smoothed is None:
            return
        self.labels = reading.smoothed.labels
        lane = self._lanes.setdefault(reading.face_id, Lane(reading.face_id))
        away_s = max(_AWAY_S, 1.5 * self.step_s)
        lane.add(reading, reading.time_s, reading.smoothed.values, away_s)

    def cut(self, time_s: float) -> None:
        """Another shot begins at `time_s`."""
        self._pass(time_s)
        if time_s > self.span_s[0]:
            self.cuts_s.append(time_s)

    def _pass(self, time_s: float) -> None:
        first, last = self.span_s if self._begun else (time_s, time_s)
        if time_s > last:
            self.step_s = time_s - last
        self._begun, self.span_s = True, (first, max(last, time_s))

    def lanes(self) -> list[Lane]:
        """Those of the faces that were seen longest, in the order of their ids."""
        longest = sorted(self._lanes.values(), key=lambda lane: (-lane.seen, lane.face_id))
        return sorted(longest[:MOST_FACES], key=lambda lane: lane.face_id)

    def heading(self) -> str:
        """The film's name, and how many of its faces are shown."""
        return f"{self.title}: {self.count()}" if self.title else self.count()

    def count(self) -> str:
        """How many of the film's faces are shown."""
        faces, shown = len(self._lanes), len(self.lanes())
        if shown < faces:
            return f"{shown} of {faces} faces, those seen longest"
        return f"{faces} face{'s' * (faces != 1)}" if faces else "no face"

    def ticks(self) -> list[tuple[float, str]]:
        """Times for the axis, and how they are written: seconds, or minutes and seconds."""
        first, last = self.span_s
        step = next((s for s in _TICKS_S if (last - first) / s <= _MOST_TICKS), _TICKS_S[-1])
        times = [step * n for n in range(int(first // step), int(last // step) + 2)]
        return [(t, _clock(t, last)) for t in times if first <= t <= last + 1e-9]

    @property
    def unit(self) -> str:
        """What the ticks count."""
        return "s" if self.span_s[1] <= 120 else "min:s" if self.span_s[1] < 3600 else "h:min:s"

    def save(self, path: Path) -> None:
        """Write a page to point at (.html), or a picture, which needs mien[report]."""
        if path.suffix.lower() == ".html":
            from mien.output.timeline_page import save
        else:
            from mien.output.timeline_figure import save
        save(self, path)


def stretches(run: Sequence[Moment]) -> list[tuple[float, float, int]]:
    """From when to when which expression, by its place, is the most probable one."""
    tops = [moment.values.index(max(moment.values)) for moment in run]
    ends = [*run[1:], run[-1]]
    whole = zip([m.time_s for m in run], [m.time_s for m in ends], tops, strict=True)
    parts = [[*part] for _, part in groupby(whole, lambda top: top[2])]
    return [(part[0][0], part[-1][1], part[0][2]) for part in parts]


def _clock(time_s: float, last_s: float) -> str:
    if last_s <= 120:
        return f"{round(time_s, 1):g}"
    minutes, seconds = divmod(round(time_s), 60)
    if last_s < 3600:
        return f"{minutes}:{seconds:02}"
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
