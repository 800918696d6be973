"""What stands before every request: who may ask, how much and how often; headers for browsers."""

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders

from mien.serve.problems import Refused, problem
from mien.serve.settings import Settings

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; media-src 'self' blob:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_API = "/v1/"
_POLICY_VIOLATION = 1008
_ADDRESSES = 10_000


class Guard:
    """An ASGI application around another."""

    def __init__(self, app: App, settings: Settings) -> None:
        self.app, self.settings = app, settings
        self._buckets = _Buckets(settings.limits.requests_per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        refused = self._refusal(scope)
        if scope["type"] == "websocket":
            if refused is not None:
                await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
                return
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        if refused is not None:
            answer = problem(refused.status, refused.detail, refused.headers)
            await answer(scope, receive, with_headers)
            return
        bounded = _Bounded(receive, self._most_bytes(scope), self.settings.limits.body_s)
        await self.app(scope, bounded, with_headers)

    def _refusal(self, scope: Scope) -> Refused | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if "*" not in self.settings.hosts and _bare(host) not in self.settings.hosts:
            return Refused(421, f"this service does not answer to {host[:80]!r}; add --allow-host")
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            return Refused(403, "pages of other origins may not ask this service")
        if not scope["path"].startswith(_API):
            return None
        if self.settings.api_key is not None and not self._has_key(headers):
            asks = {"WWW-Authenticate": "Bearer"}
            return Refused(401, "expected the API key as Authorization: Bearer KEY", asks)
        length = headers.get("content-length")
        most = self._most_bytes(scope)
        if length is not None and length.isdecimal() and int(length) > most:
            return Refused(413, f"expected at most {most:,} bytes, got {int(length):,}")
        client = scope.get("client")
        wait_s = self._buckets.take(client[0] if client else "")
        if wait_s > 0:
            after = {"Retry-After": str(max(1, round(wait_s)))}
            return Refused(429, "too many requests from this address; wait", after)
        return None

    def _has_key(self, headers: Headers) -> bool:
        given = headers.get("authorization", "").removeprefix("Bearer ")
        known = self.settings.api_key or ""
        return hmac.compare_digest(given.encode(), known.encode())

    def _most_bytes(self, scope: Scope) -> int:
        limits = self.settings.limits
        return limits.video_bytes if scope["path"] == "/v1/videos" else limits.request_bytes


def _bare(host: str) -> str:
    """A Host header without its port."""
    return host.rpartition(":")[0] if ":" in host and not host.endswith("]") else host


class _Bounded:
    """A body that is cut off by its bytes or its time."""

    def __init__(self, receive: Receive, most: int, seconds: float) -> None:
        self._receive, self._most, self._bytes = receive, most, 0
        self._until = time.monotonic() + seconds
        self._whole = False

    async def __call__(self) -> Message:
        if self._whole:
            return await self._receive()  # waits for the client to go away, as long as it takes
        try:
            left = max(0.0, self._until - time.monotonic())
            message = await asyncio.wait_for(self._receive(), left)
        except TimeoutError:
            raise Refused(408, "the body took too long to arrive") from None
        self._bytes += len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if self._bytes > self._most:
            raise Refused(413, f"expected at most {self._most:,} bytes")
        return message


class _Buckets:
    """A token bucket per address: a minute's requests at once, then as many as flow in."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._tokens: dict[str, tuple[float, float]] = {}

    def take(self, address: str) -> float:
        """Take a token; 0, or the seconds until there is one."""
        if not self._per_minute:
            return 0.0
        now, rate = time.monotonic(), self._per_minute / 60
        tokens, since = self._tokens.get(address, (float(self._per_minute), now))
        tokens = min(float(self._per_minute), tokens + (now - since) * rate)
        if tokens < 1:
            return (1 - tokens) / rate
        if len(self._tokens) >= _ADDRESSES:
            self._tokens.clear()  # forgetful rather than large
        self._tokens[address] = (tokens - 1, now)
        return 0.0
