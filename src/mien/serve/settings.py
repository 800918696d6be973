"""Settings of a service."""

from dataclasses import dataclass, field
from pathlib import Path

from mien.bundle import DEFAULT
from mien.errors import InputError
from mien.serve.limits import Limits

LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of a service."""

    model: str = DEFAULT
    detector: str = "yunet"
    device: str = "auto"
    threads: int | None = None
    batch: int = 16
    """Faces of several requests that share a run of the network; 1 for none."""
    wait_s: float = 0.002
    """How long a picture waits for others to share a run with."""
    hosts: tuple[str, ...] = LOOPBACK
    """Names under which the service is asked for; others are refused (DNS rebinding)."""
    api_key: str | None = None
    access_log: bool = False
    """Whether each request is a line: its time, client, path, status and duration, no content."""
    urls: bool = False
    """Whether pictures may be given by their address; private networks are never asked."""
    jobs_folder: Path | None = None
    """Where videos and what was read from them lie; None for a folder that goes with the
    process."""
    keep_s: float = 3600
    """How long a finished job's files are kept."""
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise InputError(f"expected a batch of at least 1, got {self.batch}")
        if not self.keep_s > 0:  # nor NaN
            raise InputError("expected files to be kept for some time")
        if self.api_key is not None and not (len(self.api_key) >= 16 and self.api_key.isascii()):
            raise InputError("expected an API key of at least 16 characters, all of them ASCII")
