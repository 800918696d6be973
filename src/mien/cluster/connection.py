"""A connection to a Ray cluster."""

import logging
import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mien.errors import InputError, RunError
from mien.extras import need
from mien.stream import cores

_EXPECTED = "expected ray://HOST:10001, HOST:6379 or local"
_PATIENCE_S = 10.0


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Ray, connected to a cluster, or to one of this machine's cores (`local`).

    InputError where none answers, RunError where none can be started, and where it is lost.
    """
    check_answers(address)
    ray = need("ray", extra="ray")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == "local":
        options["num_cpus"] = cores()
    else:  # one try, of 40 s, and not twenty
        os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "1")
    try:
        with warnings.catch_warnings(action="ignore"):
            ray.init(address, **options)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        if address == "local":
            raise RunError(f"Ray cannot start on this machine: {reason}; try again") from error
        raise InputError(f"no Ray cluster answers at {address}: {reason}; {_EXPECTED}") from error
    # Ray prints there what its machines said before they were lost; its logs have it, too.
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        try:
            yield ray
        except ConnectionError as error:
            reason = " ".join(str(error).split())[:200]
            raise RunError(
                f"the Ray cluster at {address} was lost: {reason}; once it is back, the same "
                "command goes on"
            ) from error
        finally:
            ray.shutdown()


def check_answers(address: str) -> None:
    """InputError at once where nothing listens: Ray would try for minutes."""
    try:
        parts = urlsplit(address if "://" in address else f"//{address}")
        port = parts.port or (10001 if parts.scheme == "ray" else None)
        if parts.hostname and port and parts.scheme in ("", "ray"):
            socket.create_connection((parts.hostname, port), _PATIENCE_S).close()
    except (OSError, ValueError) as error:
        raise InputError(f"nothing answers at {address}: {error}; {_EXPECTED}") from error
