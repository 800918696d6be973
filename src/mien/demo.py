"""The portrait of `mien demo`."""

from importlib import resources
from pathlib import Path

PORTRAIT = Path(str(resources.files("mien") / "assets" / "astronaut.jpg"))
"""Eileen Collins, NASA, 1999; public domain; scikit-image's `data.astronaut` as a JPEG."""
