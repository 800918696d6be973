"""What was seen of each face of a film, of each film and of each folder of photos, in one row."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mien.extras import need
from mien.files import csv_text, write_text
from mien.segments import Segment, Segmenter
from mien.types import DECIMALS, Reading, Scores

if TYPE_CHECKING:
    import pandas

_TEXTS = ("kind", "path")
_WHOLES = ("index", "face_id", "pictures", "faces", "no_face", "unreadable")
_FRACTIONS = ("seconds", "from_s", "to_s", "unsure")
_OF_EXPRESSIONS = {
    **dict.fromkeys(("share", "mean"), "float64"),
    **dict.fromkeys(("count", "segments"), "Int64"),
    **dict.fromkeys(("segment_s", "last"), "float64"),
}
"""What is told of each expression, and what pandas calls its type."""


@dataclass(frozen=True, slots=True)
class ExpressionSummary:
    """One expression of a row: on top of how many readings, and how probable on average.

    Of films the smoothed probabilities say which is on top, and `share` is one of time; of photos
    it is one of faces. `segments` are those of `mien.segments`, `segment_s` their mean length.
    `last` is the probability in a face's last frame: from a network for clips, that of the whole
    clip. None is what nothing was seen of.
    """

    count: int
    share: float | None
    mean: float | None
    segments: int | None
    segment_s: float | None
    last: float | None = None


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """A face of a film, a film with all its faces, or the photos of a folder."""

    kind: Literal["face", "film", "folder"]
    path: str | None
    index: int | None
    """The film's place among several sources."""
    face_id: int | None
    pictures: int
    """Photos, or frames; of a face those that show it."""
    faces: int
    no_face: int
    unreadable: int
    seconds: float | None
    """How long the film is, or the face is seen: each frame counts up to the next one."""
    from_s: float | None
    to_s: float | None
    """The times of the first and the last frame."""
    unsure: float | None
    """The share of readings with that status."""
    expressions: dict[str, ExpressionSummary]

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe, with the expressions by their names."""
        return asdict(self)

    def to_row(self) -> dict[str, Any]:
        """The columns of a table: those of the row, then six per expression (`share_happy`)."""
        told = {name: getattr(self, name) for name in (*_TEXTS, *_WHOLES, *_FRACTIONS)}
        for name in _OF_EXPRESSIONS:
            told |= {f"{name}_{label}": getattr(e, name) for label, e in self.expressions.items()}
        return told


class SummaryTable(list[SummaryRow]):
    """Rows in the order in which their sources were read; a film comes before its faces."""

    def __init__(self, rows: Sequence[SummaryRow] = (), *, labels: Sequence[str] = ()) -> None:
        super().__init__(rows)
        self.labels = tuple(labels)

    @property
    def columns(self) -> dict[str, str]:
        """Each column and what pandas calls its type."""
        kinds = dict.fromkeys(_TEXTS, "string") | dict.fromkeys(_WHOLES, "Int64")
        kinds |= dict.fromkeys(_FRACTIONS, "float64")
        for name, kind in _OF_EXPRESSIONS.items():
            kinds |= {f"{name}_{label}": kind for label in self.labels}
        return kinds

    def to_dict(self) -> list[dict[str, Any]]:
        """A JSON-safe dictionary per row."""
        return [row.to_dict() for row in self]

    def to_pandas(self) -> "pandas.DataFrame":
        """A line per row, `columns` of their types; needs mien[report]."""
        frames = need("pandas", extra="report")
        rows = [row.to_row() for row in self]
        table: pandas.DataFrame = frames.DataFrame(rows, columns=list(self.columns), dtype=object)
        return table.astype(self.columns)

    def save(self, path: Path | str, *, bom: bool = False) -> None:
        """Write a .csv, numbers to six decimals; `bom` tells Excel that it is in UTF-8."""
        lines = [[_rounded(value) for value in row.to_row().values()] for row in self]
        write_text(Path(path), ("\ufeff" if bom else "") + csv_text([tuple(self.columns), *lines]))


class Summarizer:
    """Takes the readings of one picture or frame after the other, in constant memory.

    Numbers count as a table has them, in six decimals: so a run that is continued gives the same.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = tuple(labels)
        self._rows: dict[str | int, list[SummaryRow] | _Sum] = {}
        """The sums of folders by their paths, the rows of films by their numbers."""
        self._film: _Film | None = None

    def add(self, readings: Sequence[Reading]) -> None:
        """Count the readings of one picture or frame."""
        first = readings[0]
        source = (first.path, first.index)
        if self._film is not None and self._film.source != source:
            self._end_film()
        if first.time_s is not None and self._film is None:
            self._film = _Film(source, self._labels)
        if self._film is not None:
            self._film.add(readings)
        else:
            self._add_photo(_folder_of(first.path), readings)

    def _add_photo(self, folder: str, readings: Sequence[Reading]) -> None:
        sums = self._rows.setdefault(folder, _Sum(self._labels))
        if isinstance(sums, _Sum):
            sums.add_picture(readings)
            for reading in readings:
                sums.add_face(reading, reading.scores)

    def table(self) -> SummaryTable:
        """All rows; nothing can be added afterwards."""
        self._end_film()
        found = SummaryTable(labels=self._labels)
        for key, value in self._rows.items():
            found += [value.row("folder", str(key))] if isinstance(value, _Sum) else value
        return found

    def _end_film(self) -> None:
        if self._film is not None:
            self._rows[len(self._rows)] = self._film.rows()
            self._film = None


class _Film:
    """The sums of a film and of its faces."""

    def __init__(self, source: tuple[str | None, int | None], labels: tuple[str, ...]) -> None:
        self.source, self._labels = source, labels
        self._whole, self._faces = _Sum(labels), dict[int, _Sum]()
        self._segmenter = Segmenter()
        self._shown: list[tuple[_Sum, int]] = []
        """The sums of the last frame's faces, and which expression is on top."""
        self._now_s = self._step_s = 0.0

    def add(self, readings: Sequence[Reading]) -> None:
        time_s = self._now_s  # of what breaks off at an unknown time
        if readings[0].time_s is not None:
            time_s = round(readings[0].time_s, DECIMALS)
        if self._whole.pictures:
            self._step_s = time_s - self._now_s
            self._pass(self._step_s)
        self._now_s = time_s
        self._whole.add_picture(readings, time_s)
        self._shown = []
        for reading in readings:
            self._count(self._segmenter.add(reading))
            if reading.face_id is not None:
                face = self._faces.setdefault(reading.face_id, _Sum(self._labels))
                face.add_picture([reading], time_s)
                self._whole.add_face(reading, reading.smoothed)
                self._shown.append((face, face.add_face(reading, reading.smoothed)))

    def rows(self) -> list[SummaryRow]:
        self._pass(self._step_s)  # the last frame is as long as the one before it
        self._count(self._segmenter.close())
        faces = sorted(self._faces.items())
        return [
            self._whole.row("film", *self.source),
            *(face.row("face", *self.source, face_id) for face_id, face in faces),
        ]

    def _pass(self, step_s: float) -> None:
        """The last frame was shown for so long."""
        self._whole.seconds += step_s
        for face, top in self._shown:
            face.seconds += step_s
            for one in (face, self._whole):
                one.times[top] += step_s

    def _count(self, segments: Iterator[Segment]) -> None:
        for segment in segments:
            place = self._labels.index(segment.expression)
            for one in (self._faces[segment.face_id], self._whole):
                one.segments[place] += 1
                one.lengths[place] += segment.to_s - segment.from_s


class _Sum:
    """Sums over readings, and per expression in the order of `labels`."""

    def __init__(self, labels: tuple[str, ...]) -> None:
        self.labels = labels
        self.pictures = self.faces = self.no_face = self.unreadable = self.unsure = 0
        self.seconds = 0.0
        self.from_s: float | None = None
        self.to_s: float | None = None
        self.counts, self.segments = [0] * len(labels), [0] * len(labels)
        self.totals, self.times, self.lengths = ([0.0] * len(labels) for _ in range(3))
        self.last: tuple[float, ...] = ()

    def add_picture(self, readings: Sequence[Reading], time_s: float | None = None) -> None:
        self.pictures += 1
        self.no_face += readings[0].status == "no_face"
        self.unreadable += readings[0].status == "unreadable"
        self.from_s = time_s if self.from_s is None else self.from_s
        self.to_s = time_s

    def add_face(self, reading: Reading, shown: Scores | None) -> int:
        """The place of the expression that is on top of the scores that are `shown`."""
        if reading.scores is None or shown is None:
            return 0
        self.faces += 1
        self.unsure += reading.status == "unsure"
        self.last = tuple(round(value, DECIMALS) for value in reading.scores.values)
        for place, value in enumerate(self.last):
            self.totals[place] += value
        values = [round(value, DECIMALS) for value in shown.values]
        top = values.index(max(values))
        self.counts[top] += 1
        return top

    def row(
        self,
        kind: Literal["face", "film", "folder"],
        path: str | None,
        index: int | None = None,
        face_id: int | None = None,
    ) -> SummaryRow:
        counts = (self.pictures, self.faces, self.no_face, self.unreadable)
        seconds = None if kind == "folder" else self.seconds
        times = (seconds, self.from_s, self.to_s, _share(self.unsure, self.faces))
        told = {label: self._of(place, kind) for place, label in enumerate(self.labels)}
        return SummaryRow(kind, path, index, face_id, *counts, *times, told)

    def _of(self, place: int, kind: str) -> ExpressionSummary:
        count, mean = self.counts[place], _share(self.totals[place], self.faces)
        if kind == "folder":
            return ExpressionSummary(count, _share(count, self.faces), mean, None, None)
        share = _share(self.times[place], sum(self.times))
        segments = self.segments[place]
        length = _share(self.lengths[place], segments)
        last = self.last[place] if kind == "face" and self.last else None
        return ExpressionSummary(count, share, mean, segments, length, last)


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _folder_of(path: str | None) -> str:
    """That of a photo, or of its address; nothing of one that is in memory."""
    return path.rpartition("/")[0] if path and "://" in path else str(Path(path or "").parent)


def _rounded(value: Any) -> Any:
    return round(value, DECIMALS) if isinstance(value, float) else value
