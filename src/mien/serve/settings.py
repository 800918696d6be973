"""Settings and limits of a service."""

from dataclasses import dataclass, field
from pathlib import Path

from mien.bundle import DEFAULT
from mien.errors import InputError

_MB = 2**20
LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Requests beyond a limit are refused."""

    request_bytes: int = 20 * _MB
    """Of a request with pictures, and of a frame of a stream."""
    pixels: int = 25_000_000
    """Of a picture or a frame of a video, decoded."""
    side_px: int = 16_384
    """Of a picture: a long and narrow one takes more than its pixels."""
    files: int = 16
    """Pictures in a request."""
    faces: int = 64
    """Of a picture: the largest ones are read."""
    bytes_at_once: int = 400 * _MB
    """Of all requests with pictures in the service, and of all with videos; beyond it, 503."""
    video_bytes: int = 200 * _MB
    """Of a film."""
    video_s: float = 600
    """Duration of a video."""
    reading_s: float = 3600
    """Until the reading of a video is given up."""
    jobs: int = 16
    """Videos that wait or are read."""
    streams: int = 16
    """Cameras at a time."""
    silence_s: float = 60
    """Until a camera that sends nothing is sent away."""
    requests_per_minute: int = 600
    """From one address; 0 for no limit."""
    body_s: float = 30
    """For a request's body to arrive; for a video, longer by as much as it may be larger."""
    queue: int = 64
    """Pictures that wait; beyond it, 503."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of a service."""

    model: str = DEFAULT
    detector: str = "yunet"
    threads: int | None = None
    batch: int = 16
    """Faces of several requests that share a run of the network; 1 for none."""
    wait_s: float = 0.002
    """How long a picture waits for others to share a run with."""
    hosts: tuple[str, ...] = LOOPBACK
    """Names under which the service is asked for; others are refused (DNS rebinding)."""
    api_key: str | None = None
    urls: bool = False
    """Whether pictures may be given by their address; private networks are never asked."""
    jobs_folder: Path | None = None
    """Where videos and what was read from them lie; None for a folder that goes with the
    process."""
    keep_s: float = 3600
    """How long a finished job's files are kept."""
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if self.batch < 1 or self.limits.queue < self.limits.files:
            raise InputError("expected a batch of at least 1, a queue of at least `files` pictures")
        if not self.keep_s > 0:  # nor NaN
            raise InputError("expected files to be kept for some time")
        if self.limits.requests_per_minute < 0:
            raise InputError("expected a rate of requests a minute, or 0 for any")
        if self.api_key is not None and not (len(self.api_key) >= 16 and self.api_key.isascii()):
            raise InputError("expected an API key of at least 16 characters, all of them ASCII")
