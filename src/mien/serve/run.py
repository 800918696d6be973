"""`mien serve`: the application in a server."""

import dataclasses
import sys

from mien.serve.app import create
from mien.serve.settings import Settings

_STOP_S = 30


def serve(settings: Settings, host: str, port: int, allowed: tuple[str, ...] = ()) -> None:
    """Serve until stopped; what was accepted is finished first.

    The service answers to the names of `settings`, to `host` and to `allowed`, and to any name
    where it listens on all addresses and none is `allowed`.
    """
    import uvicorn

    names = (*settings.hosts, host, *allowed)
    if host in ("0.0.0.0", "::") and not allowed:
        names = ("*",)
    app = create(dataclasses.replace(settings, hosts=names))
    sys.stderr.write(f"mien: http://{host}:{port} (Ctrl-C ends)\n")
    uvicorn.run(
        app,
        host=host,
        port=port,
        log_level="warning",
        access_log=False,  # who sent what is nobody's business
        server_header=False,
        ws_max_size=settings.limits.request_bytes,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=_STOP_S,
    )
