"""mien: facial-expression recognition, from FER-2013 to a face in a photo.

import mien
for reading in mien.recognize("photo.jpg"):
    print(reading.label, reading.confidence)
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0.dev0"

# OpenCV reads these once, when it is first imported: refuse decompression bombs above 2^27 pixels
# (sources.MAX_PIXELS), and leave it to our errors to speak.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(2**27))
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

# Since 1.29, ONNX Runtime tells its makers of every session, and numbers the machine for that.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from pathlib import Path

    from mien.errors import MienError
    from mien.faces import Detector, Finder
    from mien.faces.tracking import Tracker
    from mien.output import draw
    from mien.recognizer import Recognizer
    from mien.sources import Cut
    from mien.sources.pictures import Color
    from mien.types import Box, Face, Reading, Readings, Scores

__all__ = [
    "Box",
    "Cut",
    "Face",
    "MienError",
    "Reading",
    "Readings",
    "Recognizer",
    "Scores",
    "Tracker",
    "draw",
    "recognize",
]

_HOMES = {
    "Box": "mien.types",
    "Cut": "mien.sources",
    "Face": "mien.types",
    "MienError": "mien.errors",
    "Reading": "mien.types",
    "Readings": "mien.types",
    "Recognizer": "mien.recognizer",
    "Scores": "mien.types",
    "Tracker": "mien.faces.tracking",
    "draw": "mien.output",
}


def recognize(
    source: Any,
    *,
    model: "str | Path | None" = None,
    detector: "str | Detector | Finder" = "yunet",
    color: "Color" = "rgb",
    strict: bool = False,
) -> "Readings":
    """A reading per face of a photo (or of many, or a video), by default with the default weights.

    `source`, `color` and `strict` as in `Recognizer.recognize`, `model` and `detector` as in
    `Recognizer`. To read more than once, make a `Recognizer` and keep it.
    """
    from mien.bundle import DEFAULT
    from mien.recognizer import Recognizer

    recognizer = Recognizer(DEFAULT if model is None else model, detector=detector)
    return recognizer.recognize(source, color=color, strict=strict)


def __getattr__(name: str) -> Any:
    # `import mien` loads nothing heavy; each public name is fetched on first use (PEP 562).
    if name not in _HOMES:
        raise AttributeError(f"module 'mien' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
