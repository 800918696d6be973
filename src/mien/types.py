"""What recognition gives back: frozen values that cannot be wrong and that JSON can hold."""

import math
from dataclasses import dataclass
from typing import Any

from mien.errors import ShapeError


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

    def square(self, scale: float = 1.0) -> "Box":
        """The square of side `scale` x the longer side around the same centre."""
        side = max(1, round(max(self.width, self.height) * scale))
        x = round(self.x + (self.width - side) / 2)
        y = round(self.y + (self.height - side) / 2)
        return Box(x, y, side, side)


@dataclass(frozen=True, slots=True)
class Face:
    """One detected face: its box and the detector's score, 0-1 (None where it gives none)."""

    box: Box
    score: float | None = None


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


@dataclass(frozen=True, slots=True)
class Reading:
    """One face of one picture and the expression it shows."""

    face: Face
    scores: Scores

    @property
    def label(self) -> str:
        """The most probable expression."""
        return self.scores.label

    @property
    def confidence(self) -> float:
        """The probability of `label`."""
        return self.scores.confidence

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe: box in pixels, detector score, label, confidence, {expression: 0-1}."""
        box = self.face.box
        return {
            "box": {"x": box.x, "y": box.y, "width": box.width, "height": box.height},
            "score": self.face.score,
            "label": self.label,
            "confidence": self.confidence,
            "expressions": self.scores.to_dict(),
        }
