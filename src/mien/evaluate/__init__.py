"""Evaluations: probabilities of every image, and the figures made from them."""

from mien.evaluate.evaluation import (
    Evaluation,
    calibrate,
    evaluate,
    load,
    note,
    place_of,
    record,
    save,
)
from mien.evaluate.metrics import Metrics, measure

__all__ = [
    "Evaluation",
    "Metrics",
    "calibrate",
    "evaluate",
    "load",
    "measure",
    "note",
    "place_of",
    "record",
    "save",
]
