"""The service's metrics, for Prometheus, and its access log."""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

ACCESS = logging.getLogger("mien.access")
"""One line for each request, where it is switched on."""

_SWITCHED = 101
_GONE = 499  # nginx's: the client went away before there was an answer
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The counters of one service; they hold numbers only, nothing about pictures or people."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "mien_requests",
            "Requests by path and status.",
            ("path", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "mien_request_seconds",
            "From the first byte in to the last one out.",
            ("path",),
            registry=self.registry,
        )
        self.faces = Counter("mien_faces", "Faces read.", ("label",), registry=self.registry)
        self.batch = Histogram(
            "mien_batch_faces",
            "Faces in a run of the network.",
            buckets=(0, 1, 2, 4, 8, 16, 32, 64),
            registry=self.registry,
        )
        self.streams = Gauge("mien_streams", "Cameras at this moment.", registry=self.registry)
        self.dropped = Counter(
            "mien_stream_frames_dropped", "Frames that came too fast.", registry=self.registry
        )

    def page(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self.registry)


class Observer:
    """An ASGI application whose requests are counted, and logged where the service logs them."""

    def __init__(self, app: Any, metrics: Metrics, known: frozenset[str]) -> None:
        self.app, self.metrics, self.known = app, metrics, known

    async def __call__(
        self, scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]
    ) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), _GONE

        async def noting(message: Any) -> None:
            nonlocal status
            if message["type"].endswith("http.response.start"):
                status = message["status"]
            elif message["type"] == "websocket.accept":
                status = _SWITCHED
            elif message["type"] == "websocket.close" and status == _GONE:
                status = 403  # what a server makes of it before there is a socket
            await send(message)

        try:
            await self.app(scope, receive, noting)
        finally:
            path, seconds = self._path(scope), time.perf_counter() - started
            if scope["type"] == "http":
                self.metrics.requests.labels(path, str(status)).inc()
                self.metrics.seconds.labels(path).observe(seconds)
            client = (scope.get("client") or ("-",))[0]
            method = scope.get("method", "WEBSOCKET")
            ACCESS.info("%s %s %s %d %.0f ms", client, method, path, status, 1000 * seconds)

    def _path(self, scope: Any) -> str:
        """The route's own pattern: it names no job and no file, and there are few of them."""
        route, path = getattr(scope.get("route"), "path", None), scope["path"]
        return str(route or (path if path in self.known else "other"))
