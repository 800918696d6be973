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

if TYPE_CHECKING:
    from mien.errors import MienError
    from mien.recognizer import Recognizer
    from mien.types import Box, Face, Reading, Readings, Scores

__all__ = ["Box", "Face", "MienError", "Reading", "Readings", "Recognizer", "Scores", "recognize"]

_HOMES = {
    "Box": "mien.types",
    "Face": "mien.types",
    "MienError": "mien.errors",
    "Reading": "mien.types",
    "Readings": "mien.types",
    "Recognizer": "mien.recognizer",
    "Scores": "mien.types",
}


def recognize(
    source: Any, *, detector: Any = "yunet", color: Any = "rgb", strict: bool = False
) -> "Readings":
    """A reading per face of a photo (or of many, or a video) with the default weights.

    `source`, `color` and `strict` as in `Recognizer.recognize`, `detector` as in `Recognizer`. To
    read more than once, make a `Recognizer` and keep it.
    """
    from mien.recognizer import Recognizer

    return Recognizer(detector=detector).recognize(source, color=color, strict=strict)


def __getattr__(name: str) -> Any:
    # `import mien` loads nothing heavy; each public name is fetched on first use (PEP 562).
    if name not in _HOMES:
        raise AttributeError(f"module 'mien' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
