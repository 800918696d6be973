"""The mark in what mien has drawn, by which it does not take its own drawings for photos."""

import os
from pathlib import Path

MARK = "drawn by mien"
_BYTES = 4096
"""The mark lies among so many of the first or the last ones, in each format that is drawn."""


def is_drawn(path: Path) -> bool:
    """Whether mien has drawn this picture, video or timeline."""
    try:
        if not path.is_file():  # a pipe would be waited for
            return False
        with path.open("rb") as file:
            head = file.read(_BYTES)
            file.seek(max(0, file.seek(0, os.SEEK_END) - _BYTES))
            return MARK.encode() in head + file.read(_BYTES)
    except OSError:  # told when it is read
        return False
