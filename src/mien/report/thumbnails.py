"""Small pictures of faces that a table tells of, where their photos and films can be found."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import MienError
from mien.output.veil import WIDER, hide
from mien.report.page import webp
from mien.sources import open_source
from mien.sources.frames import Cut
from mien.types import Reading

_SIDE_PX = 96


@dataclass(frozen=True)
class Thumbnails:
    """Makes pictures of the faces of a `table`, blurred unless `clear`."""

    table: Path
    clear: bool = False

    def of(self, reading: Reading) -> str | None:
        """A data URI; None where there is no such photo, film or face."""
        if reading.face is None or (path := self._found(reading.path)) is None:
            return None
        try:
            pixels = next(_frames(path, reading), None)
        except (MienError, OSError):
            return None
        if pixels is None:
            return None
        frame = reading.face.box.square(WIDER).within(pixels.shape[1], pixels.shape[0])
        if frame is None:
            return None
        if not self.clear:
            pixels = pixels.copy()
            hide(pixels, [reading.face.box])
        face = pixels[frame.y : frame.y + frame.height, frame.x : frame.x + frame.width]
        small = cv2.resize(face, (_SIDE_PX, _SIDE_PX))
        return webp(np.asarray(small[..., ::-1], np.uint8))

    def _found(self, name: str | None) -> Path | None:
        """The file, from here or from beside the table; nothing is fetched."""
        if not name or "://" in name:
            return None
        places = (Path(name), self.table.parent / name, self.table.parent / Path(name).name)
        return next((path for path in places if path.is_file()), None)


def _frames(path: Path, reading: Reading) -> Iterator[NDArray[np.uint8]]:
    """The photo, or the film's frame of that time."""
    cut = None if reading.time_s is None else Cut(start_s=max(0.0, reading.time_s - 1e-4))
    for item in open_source(path, cut=cut):
        frame = item.load()
        if frame.pixels is not None and frame.frame == reading.frame:
            yield frame.pixels
        return


def clearest(readings: Sequence[Reading]) -> Reading:
    """The reading of a face to show it by: not doubtful, large and sure."""

    def worth(reading: Reading) -> tuple[bool, float]:
        side = reading.box.width if reading.box else 0
        return reading.status == "ok", side * (reading.confidence or 0)

    return max(readings, key=worth)
