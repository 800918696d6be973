"""Evaluations: probabilities of every image, and the figures made from them."""

from mien.evaluate.evaluation import (
    Evaluation,
    check_place,
    evaluate,
    load,
    note,
    place_of,
    save,
)
from mien.evaluate.fitting import calibrate
from mien.evaluate.metrics import Metrics, measure

__all__ = [
    "Evaluation",
    "Metrics",
    "calibrate",
    "check_place",
    "evaluate",
    "load",
    "measure",
    "note",
    "place_of",
    "save",
]
