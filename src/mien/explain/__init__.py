"""Where a network looks: maps of a face, and the check that they are worth a look."""

from mien.explain.deletion import SHARES, area, deletion
from mien.explain.drawing import draw
from mien.explain.explainer import METHODS, Explainer, Explanation

__all__ = ["METHODS", "SHARES", "Explainer", "Explanation", "area", "deletion", "draw"]
