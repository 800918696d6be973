"""Checks before every request: host, origin, key, rate and size; security headers."""

import asyncio
import hmac
import logging
import math
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect

from mien.errors import Overloaded
from mien.page.parts import POLICY
from mien.serve.limits import Limits
from mien.serve.problems import Refused, problem, refused
from mien.serve.settings import Settings
from mien.serve.sharing import Room, Share, client_of

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

HEADERS = {
    "Content-Security-Policy": f"{POLICY}; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_API, _METRICS, _VIDEOS = "/v1/", "/metrics", "/v1/videos"
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[\w.-]+)(:\d{1,5})?", re.ASCII)
_POLICY_VIOLATION = 1008
_FORM_BYTES = 16_384  # of a form around its file
_ADDRESSES = 10_000
_log = logging.getLogger("mien.serve")


class Guard:
    """ASGI middleware that refuses what is not allowed."""

    def __init__(self, app: App, settings: Settings) -> None:
        self.app, self.settings = app, settings
        self._buckets = _TokenBuckets(settings.limits.rate)
        limits, full = settings.limits, "too much is being sent; try again in a second"
        share = Share("bytes", limits.bytes_at_once, limits.client_share, full)
        self._pictures, self._videos = Room(share), Room(share)

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
        taken = _Taken(inside, client_of(scope))
        body = _BoundedBody(receive, *_bounds(scope, self.settings.limits), taken)
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
            taken.leave()

    def _refusal(self, scope: Scope) -> Refused | None:
        headers = Headers(scope=scope)
        host = ", ".join(headers.getlist("host")).lower()
        name = _HOST.fullmatch(host)
        if host and name is None:
            return Refused(400, f"expected one Host, as name or name:port, got {host[:80]!r}")
        if not {"*", name and name[1]} & {*self.settings.hosts}:
            return Refused(421, f"this service does not answer to {host[:80]!r}; add --allow-host")
        origin = headers.get("origin")
        if origin is not None and origin.lower().partition("://")[2] != host:
            return Refused(403, "pages of other origins may not ask this service")
        if not needs_key(scope["path"]):
            return None
        wait_s = self._buckets.take(client_of(scope))
        if wait_s > 0:
            after = {"Retry-After": str(math.ceil(wait_s))}
            most = f"{self.settings.limits.rate:,} requests a minute from one address"
            return Refused(429, f"expected at most {most}; wait {after['Retry-After']} s", after)
        known = self.settings.api_key
        if known is not None and not hmac.compare_digest(_key(headers), known.encode()):
            asks = {"WWW-Authenticate": "Bearer"}
            return Refused(401, "expected the API key as Authorization: Bearer KEY", asks)
        packed = headers.get("content-encoding", "identity")
        if packed != "identity":
            return Refused(415, f"expected a body as it is, got Content-Encoding: {packed[:40]}")
        length = headers.get("content-length", "")
        largest, _ = _bounds(scope, self.settings.limits)
        if length.isdecimal() and (len(length) > 18 or int(length) > largest):
            return Refused(413, f"expected at most {largest:,} bytes, got {length[:30]}")
        return None


def needs_key(path: str) -> bool:
    """Whether a path asks for the key, where there is one, and counts towards the rate."""
    return path.startswith(_API) or path == _METRICS


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


class _Taken:
    """The bytes that a request takes of a client's room."""

    def __init__(self, room: Room, client: str) -> None:
        self._room, self._client, self.bytes = room, client, 0

    def take(self, came: int) -> None:
        """Raise Refused if there is no room for so many more."""
        try:
            self._room.take(self._client, came)
        except Overloaded as error:
            raise refused(error) from None
        self.bytes += came

    def leave(self) -> None:
        """The request is over."""
        self._room.leave(self._client, self.bytes)


class _BoundedBody:
    """A body that is cut off by its bytes or its time, and by those of others."""

    def __init__(self, receive: Receive, most: int, seconds: float, taken: _Taken) -> None:
        self._receive, self._most, self._taken = receive, most, taken
        self._seconds, self._until = seconds, time.monotonic() + seconds
        self._whole = False

    async def __call__(self) -> Message:
        if self._whole:
            return await self._receive()  # waits for the client to go away, as long as it takes
        try:
            left = max(0.0, self._until - time.monotonic())
            message = await asyncio.wait_for(self._receive(), left)
        except TimeoutError:
            # Nothing more is awaited from a client that is so slow.
            headers = {"Connection": "close"}
            words = f"expected the body within {self._seconds:g} s; send less"
            raise Refused(408, words, headers) from None
        came = len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if self._taken.bytes + came > self._most:
            raise Refused(413, f"expected at most {self._most:,} bytes")
        self._taken.take(came)
        return message


class _TokenBuckets:
    """A token bucket per client: a minute's requests at once, then as many as flow in."""

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
