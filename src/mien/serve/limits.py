"""The limits of a service: each is a field here, an option of `mien serve` and a variable.

Nothing heavy is imported: the command line reads them before it does anything.
"""

import re
from dataclasses import Field, dataclass, field, fields
from typing import Any

from mien.errors import InputError

MIB = 2**20
_UNITS = {"": 1, "kib": 2**10, "mib": MIB, "gib": 2**30}


def _limit(default: Any, panel: str, means: str, least: float = 1) -> Any:
    """A field of `Limits`; `panel` is its heading in `mien serve --help`."""
    return field(default=default, metadata={"panel": panel, "means": means, "least": least})


_CLIENT, _PICTURES, _FILMS, _ALL = "One client", "Pictures", "Films", "All clients"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Requests beyond a limit are refused."""

    rate: int = _limit(600, _CLIENT, "Requests a minute; 0: any number.", 0)
    client_share: float = _limit(
        0.5, _CLIENT, "What one may have of the limits for all clients; 0.5: half.", 0.01
    )
    body_s: float = _limit(
        30, _CLIENT, "Seconds for a body to arrive; a film has more, as it may be larger.", 0.1
    )
    silence_s: float = _limit(
        60, _CLIENT, "Seconds without a frame; then a camera is closed.", 0.01
    )
    request_bytes: int = _limit(20 * MIB, _PICTURES, "Size of a request, or a camera's frame.")
    request_pixels: int = _limit(400_000_000, _PICTURES, "Pixels of a request's pictures together.")
    files: int = _limit(16, _PICTURES, "Pictures in a request.")
    pixels: int = _limit(25_000_000, _PICTURES, "Pixels of a picture, or a film's frame.")
    side_px: int = _limit(16_384, _PICTURES, "Pixels on a side of a picture.")
    faces: int = _limit(64, _PICTURES, "Faces of a picture: the largest ones are read.")
    video_bytes: int = _limit(200 * MIB, _FILMS, "Size of a film.")
    video_s: float = _limit(600, _FILMS, "Seconds that a film lasts.", 0.01)
    reading_s: float = _limit(3600, _FILMS, "Seconds of reading a film; then it is given up.", 0.01)
    queue: int = _limit(128, _ALL, "Pictures that wait or are read.")
    pixels_at_once: int = _limit(800_000_000, _ALL, "Pixels of these pictures.")
    bytes_at_once: int = _limit(
        420 * MIB, _ALL, "Size of requests with pictures; films: as much again."
    )
    cameras: int = _limit(16, _ALL, "Open cameras.", 0)
    videos: int = _limit(16, _ALL, "Films that wait or are read.", 0)

    def __post_init__(self) -> None:
        for one in fields(self):
            least, given = one.metadata["least"], getattr(self, one.name)
            if not given >= least:  # nor NaN
                raise InputError(f"expected {option(one)} of at least {least:g}, got {given:g}")
        if self.client_share > 1:
            raise InputError(f"expected --client-share of at most 1, got {self.client_share:g}")
        for part, whole in _FITTING:
            room = int(getattr(self, whole) * self.client_share)
            if getattr(self, part) > room:
                raise InputError(
                    f"expected {_flag(part)} of at most {room:,}, what one client may have of "
                    f"{_flag(whole)}, got {getattr(self, part):,}; see --client-share"
                )


_FITTING = (
    ("files", "queue"),
    ("request_pixels", "pixels_at_once"),
    ("pixels", "pixels_at_once"),
    ("request_bytes", "bytes_at_once"),
    ("video_bytes", "bytes_at_once"),
)
"""What one request may have, and must find room for."""


def option(limit: "Field[Any]") -> str:
    """The option of `mien serve` that sets a field of `Limits`."""
    return _flag(limit.name)


def size(text: object) -> int:
    """Bytes of a number with or without a unit, such as 20MiB; InputError for anything else."""
    found = re.fullmatch(r"(\d{1,15}) ?([kmg]ib|)", str(text).strip().lower())
    if found is None:
        raise InputError(f"expected a size such as 20MiB, got {text!r}")
    return int(found[1]) * _UNITS[found[2]]


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
