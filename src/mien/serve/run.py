"""`mien serve`: the application in a server."""

import contextlib
import dataclasses
import logging
import socket
import sys

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mien.errors import InputError
from mien.serve.app import create
from mien.serve.folders import LockedFolder
from mien.serve.guard import HEADERS
from mien.serve.metrics import ACCESS
from mien.serve.problems import problem
from mien.serve.settings import LOOPBACK, Settings

_STOP_S = 30
_IDLE_S = 10
_HEAD_BYTES = 65_536
_UNPARSED_BYTES = 4 * _HEAD_BYTES  # asyncio reads as many at once
_WAITING = 512
_EVERYWHERE = ("0.0.0.0", "::")


def serve(settings: Settings, host: str, port: int, allowed: tuple[str, ...] = ()) -> None:
    """Serve until stopped; what was accepted is finished first.

    The service answers to the names of `settings`, to `host` and to `allowed`, and to any name
    where it listens on all addresses and none is `allowed`. Raises InputError if the port or the
    folder of jobs cannot be had.
    """
    shown = f"[{host}]" if ":" in host else host
    names = (*settings.hosts, shown.lower(), *(name.lower() for name in allowed))
    if host in _EVERYWHERE and not allowed:
        names = ("*",)
    if host not in LOOPBACK and settings.api_key is None:
        sys.stderr.write("mien: anyone who reaches this address may ask; see --api-key-file\n")
    if settings.jobs_folder is not None:
        LockedFolder(settings.jobs_folder).close()  # an error here is one line, later a traceback
    with _listening(host, port) as listening:
        app = create(dataclasses.replace(settings, hosts=names))
        port = listening.getsockname()[1]
        config = uvicorn.Config(
            app,
            http=_Protocol,
            log_level="warning",
            access_log=False,  # requests are private
            server_header=False,
            ws_max_size=settings.limits.request_bytes,
            ws_max_queue=2,
            ws_per_message_deflate=False,  # JPEG does not shrink
            backlog=_WAITING,
            timeout_keep_alive=_IDLE_S,
            timeout_graceful_shutdown=_STOP_S,
        )
        _configure_logs(settings.access_log)
        model = f"{app.state.model}, faces by {app.state.detector}"
        server = _Server(config, f"mien: http://{shown}:{port} serves {model} (Ctrl-C ends)\n")
        with contextlib.suppress(KeyboardInterrupt):
            server.run([listening])


def _configure_logs(access: bool) -> None:
    if access:
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        ACCESS.addHandler(handler)
        ACCESS.setLevel(logging.INFO)
    # Said of every WebSocket that is refused with a problem, though that is an answer.
    logging.getLogger("uvicorn.error").addFilter(
        lambda told: not str(told.msg).startswith("ASGI callable returned without")
    )


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        made = socket.create_server((host, port), family=family, backlog=_WAITING)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot listen on {host}:{port} ({reason}); try another --port") from None
    # asyncio sends at once where it is told that this is TCP; else, answers wait for 40 ms
    return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, made.detach())


class _Server(uvicorn.Server):
    """Prints its address as soon as it answers."""

    def __init__(self, config: uvicorn.Config, words: str) -> None:
        super().__init__(config)
        self._words = words

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            sys.stderr.write(self._words)
            sys.stderr.flush()


class _Protocol(HttpToolsProtocol):
    """A connection that is closed if the head of a request is too long; what follows a body in
    chunks (trailers) counts as head. Slow clients are for a proxy to keep away."""

    _in_head = True
    _head_bytes = 0

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > _UNPARSED_BYTES:
                self.transport.abort()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > _HEAD_BYTES:
            raise ValueError("too long a head")  # the parser's to catch: 400
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        answer = problem(400, msg, {**HEADERS, "Connection": "close"})
        lines = [b"HTTP/1.1 400 Bad Request", *(b"%s: %s" % pair for pair in answer.raw_headers)]
        self.transport.write(b"\r\n".join([*lines, b"", bytes(answer.body)]))
        self.transport.close()
