"""A connection to a Ray cluster."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from mien.errors import InputError, RunError
from mien.extras import need
from mien.stream import cores


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Ray, connected to a cluster, or to one of this machine's cores (`local`).

    InputError where none answers, RunError where none can be started.
    """
    ray = need("ray", extra="ray")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == "local":
        options["num_cpus"] = cores()
    try:
        ray.init(address, **options)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        if address == "local":
            raise RunError(f"Ray cannot start on this machine: {reason}; try again") from error
        raise InputError(
            f"no Ray cluster answers at {address}: {reason}; expected ray://HOST:10001, HOST:6379 "
            "or local"
        ) from error
    # Ray prints there what its machines said before they were lost; its logs have it, too.
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        try:
            yield ray
        finally:
            ray.shutdown()
