"""Pictures and films that lie elsewhere, in a bucket or a table, once they are fetched."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from mien.sources.frames import VIDEO_SUFFIXES
from mien.sources.kinds import content_of_bytes

if TYPE_CHECKING:
    from mien.sources.films import How
    from mien.sources.frames import Source

_HEAD_BYTES = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """A fetched file: its bytes, or, of what may be long, a temporary file with them."""

    name: str | None
    """What it is called where it comes from."""
    data: bytes | IO[bytes]

    def read(self) -> bytes:
        """All of it."""
        if isinstance(self.data, bytes):
            return self.data
        self.data.seek(0)
        return self.data.read()

    def film(self, how: "How") -> "Source | None":
        """The frames of a film; None for a photo. PictureError or InputError for a broken one."""
        from mien.sources.animation import Animation
        from mien.sources.films import animated
        from mien.sources.video import fetched_video

        if (content_of_bytes(self._head()) or _by_suffix(self.name)) == "film":
            return fetched_video(self._file(), self.name, how.cut, most_pixels=how.most_pixels)
        if (data := animated(self.read())) is None:
            return None
        return Animation(data, self.name, how.cut, most_pixels=how.most_pixels)

    def _head(self) -> bytes:
        if isinstance(self.data, bytes):
            return self.data[:_HEAD_BYTES]
        self.data.seek(0)
        return self.data.read(_HEAD_BYTES)

    def _file(self) -> IO[bytes]:
        if not isinstance(self.data, bytes):
            return self.data
        file = temporary(self.name)
        file.write(self.data)
        file.flush()
        return file


def _by_suffix(name: str | None) -> str | None:
    return "film" if Path(name or "").suffix.lower() in VIDEO_SUFFIXES else None


def temporary(name: str | None) -> IO[bytes]:
    """An empty file that is there for as long as it is in use, of the suffix of `name`."""
    return tempfile.NamedTemporaryFile(suffix=Path(name or "").suffix[:8])
