"""The service's metrics, for Prometheus."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

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


class MetricsMiddleware:
    """An ASGI application whose requests are counted."""

    def __init__(self, app: Any, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(
        self, scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]
    ) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), _GONE

        async def noting(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noting)
        finally:
            # The route's own pattern: a label for every path that is asked would never end.
            route = getattr(scope.get("route"), "path", "other")
            self.metrics.requests.labels(route, str(status)).inc()
            self.metrics.seconds.labels(route).observe(time.perf_counter() - started)
