"""Checks before every request: host, origin, key, rate and size; security headers."""

import asyncio
import hmac
import logging
import math
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect

from mien.serve.problems import Refused, problem
from mien.serve.settings import Limits, Settings

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
_API, _VIDEOS = "/v1/", "/v1/videos"
_POLICY_VIOLATION = 1008
_FORM_BYTES = 16_384  # of a form around its file
_ADDRESSES = 10_000
_log = logging.getLogger("mien.serve")


class Guard:
    """ASGI middleware that refuses what is not allowed."""

    def __init__(self, app: App, settings: Settings) -> None:
        self.app, self.settings = app, settings
        self._buckets = _TokenBuckets(settings.limits.requests_per_minute)
        most = settings.limits.bytes_at_once
        self._pictures, self._videos = _BytesInside(most), _BytesInside(most)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        refused = self._refusal(scope)
        if scope["type"] == "http":
            await self._answer(refused, scope, receive, send)
        elif refused is None:
            await self.app(scope, receive, send)
        elif "websocket.http.response" in scope.get("extensions", {}):
            await _answer_with(refused, scope, receive, _with_headers(send))
        else:
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})

    async def _answer(
        self, refused: Refused | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        begun = False
        with_headers = _with_headers(send)

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await with_headers(message)

        if refused is not None:
            await _answer_with(refused, scope, receive, noting)
            return
        inside = self._videos if scope["path"] == _VIDEOS else self._pictures
        body = _BoundedBody(receive, *_bounds(scope, self.settings.limits), inside)
        try:
            await self.app(scope, body, noting)
        except ClientDisconnect:
            pass
        except Refused as error:
            await _answer_with(error, scope, receive, noting)
        except Exception as error:
            _log.exception("unforeseen", exc_info=error)
            if begun:  # too late to say so
                raise
            failure = Refused(500, "the service failed at this request; its log says more")
            await _answer_with(failure, scope, receive, noting)
        finally:
            body.left()

    def _refusal(self, scope: Scope) -> Refused | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "").lower()
        if "*" not in self.settings.hosts and _bare(host) not in self.settings.hosts:
            return Refused(421, f"this service does not answer to {host[:80]!r}; add --allow-host")
        origin = headers.get("origin")
        if origin is not None and origin.lower().partition("://")[2] != host:
            return Refused(403, "pages of other origins may not ask this service")
        if not scope["path"].startswith(_API):
            return None
        client = scope.get("client")
        wait_s = self._buckets.take(client[0] if client else "")
        if wait_s > 0:
            after = {"Retry-After": str(math.ceil(wait_s))}
            return Refused(429, "too many requests from this address; wait", after)
        known = self.settings.api_key
        if known is not None and not hmac.compare_digest(_key(headers), known.encode()):
            asks = {"WWW-Authenticate": "Bearer"}
            return Refused(401, "expected the API key as Authorization: Bearer KEY", asks)
        packed = headers.get("content-encoding", "identity")
        if packed != "identity":
            return Refused(415, f"expected a body as it is, got Content-Encoding: {packed[:40]}")
        length = headers.get("content-length", "")
        most, _ = _bounds(scope, self.settings.limits)
        if length.isdecimal() and (len(length) > 18 or int(length) > most):
            return Refused(413, f"expected at most {most:,} bytes, got {length[:30]}")
        return None


def _with_headers(send: Send) -> Send:
    """`send`, with the headers that browsers obey on every answer."""

    async def sending(message: Message) -> None:
        if message["type"].endswith("http.response.start"):
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sending


async def _answer_with(refused: Refused, scope: Scope, receive: Receive, send: Send) -> None:
    await problem(refused.status_code, refused.detail, refused.headers)(scope, receive, send)


def _bare(host: str) -> str:
    """A Host header without its port."""
    return host.rpartition(":")[0] if ":" in host and not host.endswith("]") else host


def _key(headers: Headers) -> bytes:
    """The key of a request; a page can send it with a WebSocket only as a protocol."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return key.strip().encode("latin-1")
    for offered in headers.get("sec-websocket-protocol", "").split(","):
        kind, _, key = offered.strip().partition(".")
        if kind == "key" and key.isascii() and key.isalnum():
            try:
                return bytes.fromhex(key)
            except ValueError:
                return b""
    return b""


def _bounds(scope: Scope, limits: Limits) -> tuple[int, float]:
    """The bytes and the seconds that a request's body may have."""
    if scope["path"] == _VIDEOS:
        longer = max(1.0, limits.video_bytes / limits.request_bytes)
        return limits.video_bytes + _FORM_BYTES, limits.body_s * longer
    return limits.request_bytes + _FORM_BYTES, limits.body_s


class _BytesInside:
    """The bytes of all bodies of a kind that are in the service at this moment."""

    def __init__(self, most: int) -> None:
        self.most, self.bytes = most, 0


class _BoundedBody:
    """A body that is cut off by its bytes or its time, and by the bytes of all."""

    def __init__(self, receive: Receive, most: int, seconds: float, inside: _BytesInside) -> None:
        self._receive, self._most, self._bytes = receive, most, 0
        self._until = time.monotonic() + seconds
        self._whole = False
        self._inside = inside

    async def __call__(self) -> Message:
        if self._whole:
            return await self._receive()  # waits for the client to go away, as long as it takes
        try:
            left = max(0.0, self._until - time.monotonic())
            message = await asyncio.wait_for(self._receive(), left)
        except TimeoutError:
            # Nothing more is awaited from a client that is so slow.
            headers = {"Connection": "close"}
            raise Refused(408, "the body took too long to arrive; send less", headers) from None
        came = len(message.get("body", b""))
        self._bytes += came
        self._inside.bytes += came
        self._whole = not message.get("more_body", False)
        if self._bytes > self._most:
            raise Refused(413, f"expected at most {self._most:,} bytes")
        if self._inside.bytes > self._inside.most:
            wait = {"Retry-After": "1"}
            raise Refused(503, "too much is being sent; try again in a second", wait)
        return message

    def left(self) -> None:
        """Its request is over."""
        self._inside.bytes -= self._bytes
        self._bytes = 0


class _TokenBuckets:
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
