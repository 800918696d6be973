"""What recognition gives back: frozen values that cannot be wrong and that JSON can hold."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex, overload

from mien.errors import ShapeError
from mien.extras import need
from mien.labels import FER2013
from mien.style import percent

if TYPE_CHECKING:
    import numpy as np
    import pandas
    from numpy.typing import NDArray

    from mien.summary import SummaryTable

DECIMALS = 6
"""Of times and probabilities in tables."""

Status = Literal["ok", "small", "rotated", "blurred", "occluded", "unsure", "no_face", "unreadable"]
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in a picture, in pixels; (x, y) is the upper left corner."""

    x: int
    y: int
    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width <= 0 or self.height <= 0:
            raise ShapeError(f"expected a box with an area, got {self.width}x{self.height} px")

    @property
    def centre(self) -> Point:
        """(x, y) of its middle, in pixels."""
        return self.x + self.width / 2, self.y + self.height / 2

    def overlap(self, other: "Box") -> float:
        """Intersection over union with `other`, 0-1."""
        width = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        height = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        if width <= 0 or height <= 0:
            return 0.0
        both = width * height
        return both / (self.width * self.height + other.width * other.height - both)

    def within(self, width: int, height: int) -> "Box | None":
        """The part that lies in a picture of `width` x `height` px; None if there is none."""
        left, right = max(0, self.x), min(width, self.x + self.width)
        top, bottom = max(0, self.y), min(height, self.y + self.height)
        if left >= right or top >= bottom:
            return None
        return Box(left, top, right - left, bottom - top)

    def scaled(self, scale: float) -> "Box":
        """The same in a picture that is `scale` x as large."""
        left, top = round(self.x * scale), round(self.y * scale)
        right, bottom = round((self.x + self.width) * scale), round((self.y + self.height) * scale)
        return Box(left, top, max(1, right - left), max(1, bottom - top))

    def square(self, scale: float = 1.0) -> "Box":
        """The square of side `scale` x the longer side around the same centre."""
        side = max(1, round(max(self.width, self.height) * scale))
        x = round(self.x + (self.width - side) / 2)
        y = round(self.y + (self.height - side) / 2)
        return Box(x, y, side, side)


@dataclass(frozen=True, slots=True)
class Face:
    """One detected face: its box, the detector's score, 0-1, and landmarks, where it gives them.

    `landmarks` are pixels (x, y): right eye, left eye, nose, right and left corner of the mouth;
    right and left are the person's own.
    """

    box: Box
    score: float | None = None
    landmarks: tuple[Point, ...] | None = None

    @property
    def roll_deg(self) -> float:
        """By how much the eyes are off the level, clockwise; 0 without landmarks."""
        if self.landmarks is None:
            return 0.0
        (right_x, right_y), (left_x, left_y) = self.landmarks[:2]
        return math.degrees(math.atan2(left_y - right_y, left_x - right_x))


@dataclass(frozen=True, slots=True)
class Scores:
    """Probabilities of one face, in the order of `labels`; they sum to 1."""

    labels: tuple[str, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.values) != len(self.labels):
            raise ShapeError(f"expected {len(self.labels)} probabilities, got {len(self.values)}")
        if not all(math.isfinite(v) and 0 <= v <= 1 for v in self.values):
            raise ShapeError(f"expected probabilities from 0 to 1, got {self.values}")
        if abs(sum(self.values) - 1) > 1e-3:
            raise ShapeError(f"expected probabilities that sum to 1, got {sum(self.values):.4f}")

    @property
    def label(self) -> str:
        """The most probable label."""
        return self.labels[self.values.index(max(self.values))]

    @property
    def confidence(self) -> float:
        """The probability of `label`."""
        return max(self.values)

    def to_dict(self) -> dict[str, float]:
        """{label: probability}."""
        return dict(zip(self.labels, self.values, strict=True))


@dataclass(frozen=True, slots=True, repr=False)
class Reading:
    """One face of one picture or frame and the expression it shows.

    `status` is `ok`, or why to be careful: `small`, `rotated` (`align` is off),
    `blurred`, `occluded` (by a mask, sunglasses or a hand) or `unsure`. In tables of many pictures
    a picture without a face has one reading too, with `no_face` or `unreadable`, and neither `face`
    nor `scores`. `index` is the place of the photo or film among several, counted from 0; None for
    a single one. `time_s` (seconds from the beginning), `frame` (counted from 0), `face_id`
    (counted from 1) and `smoothed` are those of videos.
    """

    face: Face | None
    scores: Scores | None
    status: Status = "ok"
    path: str | None = None
    time_s: float | None = None
    frame: int | None = None
    face_id: int | None = None
    smoothed: Scores | None = None
    """Probabilities averaged over the last moments of the same face."""
    error: str | None = None
    """Why a picture is `unreadable`."""
    index: int | None = None

    def __post_init__(self) -> None:
        if (self.face is None) != (self.scores is None):
            raise ShapeError("expected a face with its scores, or neither")

    def __repr__(self) -> str:
        """At most 80 characters: where it is from, and what it is."""
        name = Path(self.path).name if self.path else ""
        time = "" if self.time_s is None else f"{self.time_s:.3f} s"
        told = [name if len(name) <= 16 else f"{name[:5]}...{name[-8:]}", time]
        if self.face is not None and self.scores is not None:
            told += [self.scores.label[:9], percent(self.scores.confidence)]
            told += [f"at ({self.face.box.x}, {self.face.box.y})"]
        told += [self.status] if self.status != "ok" else []
        return f"<Reading {' '.join(filter(None, told))}>"

    @property
    def expressions(self) -> dict[str, float]:
        """{expression: 0-1}; empty without a face."""
        return self.scores.to_dict() if self.scores else {}

    @property
    def place(self) -> tuple[str | None, int | None, float | None]:
        """What the readings of one picture or frame share: path, index and time."""
        return self.path, self.index, self.time_s

    @property
    def box(self) -> Box | None:
        """Where the face is."""
        return self.face.box if self.face else None

    @property
    def label(self) -> str | None:
        """The most probable expression."""
        return self.scores.label if self.scores else None

    @property
    def confidence(self) -> float | None:
        """The probability of `label`."""
        return self.scores.confidence if self.scores else None

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe; what is not known of this reading is left out."""
        told: dict[str, Any] = {
            "path": self.path,
            "index": self.index,
            "time_s": self.time_s,
            "frame": self.frame,
            "face_id": self.face_id,
            "status": self.status,
            "error": self.error,
        }
        if self.face is not None and self.scores is not None:
            box = self.face.box
            told |= {
                "box": {"x": box.x, "y": box.y, "width": box.width, "height": box.height},
                "score": self.face.score,
                "landmarks": self.face.landmarks and [list(p) for p in self.face.landmarks],
                "label": self.label,
                "confidence": self.confidence,
                "expressions": self.expressions,
                "smoothed": self.smoothed and self.smoothed.to_dict(),
            }
        return {name: value for name, value in told.items() if value is not None}

    def draw(self, picture: Any = None) -> "NDArray[np.uint8]":
        """`Readings.draw` of this face alone."""
        return Readings([self]).draw(picture)

    def show(self, picture: Any = None) -> None:
        """`Readings.show` of this face alone."""
        Readings([self]).show(picture)

    def _repr_html_(self) -> str:
        """For notebooks: its bars, and the face of a photo that is still where it was."""
        return Readings([self])._repr_html_()

    def to_row(self, labels: Sequence[str]) -> dict[str, Any]:
        """What `columns` names; None where not known."""
        box = self.face.box if self.face else None
        smoothed = self.smoothed.to_dict() if self.smoothed else {}
        return {
            "path": self.path,
            "index": self.index,
            "time_s": self.time_s,
            "frame": self.frame,
            "face_id": self.face_id,
            "x": box and box.x,
            "y": box and box.y,
            "width": box and box.width,
            "height": box and box.height,
            "score": self.face.score if self.face else None,
            "label": self.label,
            "confidence": self.confidence,
            "status": self.status,
            **{label: self.expressions.get(label) for label in labels},
            **{_smoothed(label): smoothed.get(label) for label in labels},
            "error": self.error,
        }


COLUMNS = (
    *("path", "index", "time_s", "frame", "face_id", "x", "y", "width", "height"),
    *("score", "label", "confidence", "status"),
)
"""Columns of every table, before those of the expressions."""
TEXTS = frozenset({"path", "label", "status", "error"})
"""Columns that hold text."""
WHOLES = frozenset({"index", "frame", "face_id", "x", "y", "width", "height"})
"""Columns that hold whole numbers; the others hold fractions."""


def columns(labels: Sequence[str]) -> tuple[str, ...]:
    """All columns of a table: `COLUMNS`, a probability and a smoothed one per expression, `error`.

    Smoothed ones (`smoothed_happy`) are those of films, and empty for photos.
    """
    return (*COLUMNS, *labels, *map(_smoothed, labels), "error")


def _smoothed(label: str) -> str:
    return f"smoothed_{label}"


SHOWN = 12
"""Readings that a notebook or a console shows; of more it says how many there are."""


class Readings(list[Reading]):
    """Readings in the order of pictures and frames, a picture's largest face first.

    `labels` are the expressions of their recognizer, for the columns of readings without a face.
    """

    def __init__(self, readings: Iterable[Reading] = (), *, labels: Sequence[str] = ()) -> None:
        super().__init__(readings)
        self._labels = tuple(labels)

    @property
    def labels(self) -> tuple[str, ...]:
        """The expressions of their faces and their recognizer; FER-2013's if none is known."""
        found = dict.fromkeys(r.scores.labels for r in self if r.scores)
        named = dict.fromkeys(label for labels in (self._labels, *found) for label in labels)
        return tuple(named) or FER2013

    @overload
    def __getitem__(self, place: SupportsIndex) -> Reading: ...

    @overload
    def __getitem__(self, place: slice) -> "Readings": ...

    def __getitem__(self, place: SupportsIndex | slice) -> "Reading | Readings":
        if isinstance(place, slice):
            return Readings(super().__getitem__(place), labels=self._labels)
        return super().__getitem__(place)

    def __add__(self, more: list[Reading]) -> "Readings":  # type: ignore[override]
        return Readings(super().__add__(more), labels=self._labels)

    def __mul__(self, times: SupportsIndex) -> "Readings":
        return Readings(super().__mul__(times), labels=self._labels)

    __rmul__ = __mul__

    def copy(self) -> "Readings":
        """The same readings, in a list of their own."""
        return self[:]

    def __repr__(self) -> str:
        """A line for each of the first `SHOWN`, and how many more there are."""
        more = [f"... {len(self) - SHOWN} more"] if len(self) > SHOWN else []
        lines = [*map(repr, self[:SHOWN]), *more]
        return f"Readings([{f',{chr(10)} '.join(lines)}])"

    def draw(self, picture: Any = None) -> "NDArray[np.uint8]":
        """(H, W, 3) uint8 RGB: the picture with numbered boxes, and bars beside it.

        Readings hold no pixels: `picture` is what they were read from, a path or an array as in
        `Recognizer.recognize`. Without it the file that they name is read again. Raises InputError
        where that is not one photo, and PictureError.
        """
        from mien.output.notebook import drawn

        return drawn(self, picture)

    def show(self, picture: Any = None) -> None:
        """Show what `draw` draws: in a notebook below the cell, else in the machine's viewer.

        Raises as `draw`, and InputError where no viewer opens.
        """
        from mien.output.notebook import show

        show(self.draw(picture))

    def _repr_html_(self) -> str:
        """For notebooks: bars, and the faces of the photos that are still where they were."""
        from mien.output.notebook import to_html

        return to_html(self)

    def to_dict(self) -> list[dict[str, Any]]:
        """A JSON-safe dictionary per reading."""
        return [reading.to_dict() for reading in self]

    def to_json(self) -> str:
        """A JSON list."""
        return json.dumps(self.to_dict(), indent=2)

    def to_pandas(self) -> "pandas.DataFrame":
        """A row per reading and all `columns`, of the same types whatever was read: `string`,
        `Int64` and `float64`. Needs mien[report]."""
        frames = need("pandas", extra="report")
        labels = self.labels
        names = columns(labels)
        rows = [reading.to_row(labels) for reading in self]
        table: pandas.DataFrame = frames.DataFrame(rows, columns=list(names), dtype=object)
        return table.astype({name: _pandas_type(name) for name in names})

    def summary(self) -> "SummaryTable":
        """A row for each face of each film, for each film, and for each folder of photos."""
        from mien.summary import Summarizer

        summarizer = Summarizer(self.labels)
        for _, readings in groupby(self, lambda reading: reading.place):
            summarizer.add(list(readings))
        return summarizer.table()


def _pandas_type(column: str) -> str:
    return "string" if column in TEXTS else "Int64" if column in WHOLES else "float64"
