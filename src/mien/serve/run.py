"""`mien serve`: the application in a server."""

import asyncio
import contextlib
import dataclasses
import socket
import sys

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mien.errors import InputError
from mien.serve.app import create
from mien.serve.folders import LockedFolder
from mien.serve.guard import HEADERS
from mien.serve.problems import problem
from mien.serve.settings import LOOPBACK, Settings

_STOP_S = 30
_HEAD_S = 10
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
            http=_TimedProtocol,
            log_level="warning",
            access_log=False,  # requests are private
            server_header=False,
            ws_max_size=settings.limits.request_bytes,
            ws_max_queue=2,
            ws_per_message_deflate=False,  # JPEG does not shrink
            backlog=_WAITING,
            timeout_keep_alive=_HEAD_S,
            timeout_graceful_shutdown=_STOP_S,
        )
        server = _Server(config, f"mien: http://{shown}:{port} (Ctrl-C ends)\n")
        with contextlib.suppress(KeyboardInterrupt):
            server.run([listening])


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_WAITING)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot listen on {host}:{port} ({reason}); try another --port") from None


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


class _TimedProtocol(HttpToolsProtocol):
    """A connection that is closed if a request's head does not come in time (slow loris), or is
    too long; what follows a body in chunks (trailers) counts as head."""

    _late: asyncio.TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # asyncio does so for sockets of its own making alone; without, answers wait for 40 ms
        sent = transport.get_extra_info("socket")
        sent.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._start_timer()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._late is not None:
            self._head_bytes += len(data)
            if self._head_bytes > _UNPARSED_BYTES:
                self.transport.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > _HEAD_BYTES:
            raise ValueError("too long a head")  # the parser's to catch: 400
        super().on_header(name, value)

    def send_400_response(self, msg: str) -> None:
        answer = problem(400, msg, {**HEADERS, "Connection": "close"})
        lines = [b"HTTP/1.1 400 Bad Request", *(b"%s: %s" % pair for pair in answer.raw_headers)]
        self.transport.write(b"\r\n".join([*lines, b"", bytes(answer.body)]))
        self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._start_timer()

    def on_headers_complete(self) -> None:
        self._stop_timer()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.timeout_keep_alive_task is not None:  # no other request has come meanwhile
            self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def _start_timer(self) -> None:
        self._stop_timer()
        self._head_bytes = 0
        self._late = self.loop.call_later(_HEAD_S, self.transport.close)

    def _stop_timer(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
