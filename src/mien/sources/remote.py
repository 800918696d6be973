"""Fetch a file from the web, but never from a private network (SSRF).

The name is resolved once and the address that was checked is the one connected to, so that a name
whose second answer is private (DNS rebinding) gains nothing; each redirect is checked again.
See OWASP, "Server Side Request Forgery Prevention".

Proxies of the environment (`HTTPS_PROXY` and so on) are not used: a proxy would resolve the name
by itself, past the check.
"""

import contextlib
import http.client
import io
import re
import socket
import ssl
import string
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from mien.errors import InputError
from mien.files import offline

MAX_BYTES = 50_000_000
MAX_REDIRECTS = 5
TIMEOUT_S = 20.0

_PORTS = {"http": 80, "https": 443}
_REDIRECTS = {301, 302, 303, 307, 308}
_HEADERS = {"Accept-Encoding": "identity", "Connection": "close", "User-Agent": "mien"}
_CHUNK_BYTES = 65_536
_NAT64 = IPv6Network("64:ff9b::/96")  # names every public IPv4 host where there is only IPv6


def fetch(
    url: str, *, private: bool = False, max_bytes: int = MAX_BYTES, timeout_s: float = TIMEOUT_S
) -> bytes:
    """The body that an http or https address answers with, of at most `max_bytes`.

    `timeout_s` covers names, connections, redirects and reading together. Hosts of a private
    network are refused unless `private`.

    Raises InputError if the address cannot be used, is refused, answers with an error, too much
    or too slowly, or if `MIEN_OFFLINE` is set.
    """
    end_s = time.monotonic() + timeout_s
    place = _place(url)
    for _ in range(1 + MAX_REDIRECTS):
        with _explaining(place, timeout_s), _connected(place, end_s, private) as connected:
            answer = _ask(place, connected, end_s)
            if answer.status not in _REDIRECTS:
                return _body(answer, max_bytes, _shown(place))
            # http.client reads headers as Latin-1; quoting them as such restores the bytes.
            location = answer.getheader("Location", "")
            place = _place(quote(location, string.punctuation, "latin-1"), place.geturl())
    raise InputError(f"{_shown(place)} is one redirect too many; check the address.")


def _place(url: str, base: str = "") -> SplitResult:
    """The parts of an address in ASCII; InputError if it is no web address or has a password."""
    try:
        parts = urlsplit(urljoin(base, url))
        host = (parts.hostname or "").encode("idna").decode("ascii")
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError as error:
        raise InputError("a web address cannot be read; check its host and port.") from error
    if parts.scheme not in _PORTS:
        raise InputError(f"{parts.scheme[:20]!r} is not fetched; give an http or https address.")
    if "@" in parts.netloc:
        raise InputError("an address has a user name or password in it; take them out.")
    if not re.fullmatch(r"[\w.:%-]+", host, re.ASCII):
        raise InputError(f"{host[:60]!r} is no name of a host; check the address.")
    netloc = (f"[{host}]" if ":" in host else host) + port
    path, query = (quote(part, string.punctuation) for part in (parts.path or "/", parts.query))
    return SplitResult(parts.scheme, netloc, path, query, "")


def _shown(place: SplitResult) -> str:
    return place._replace(query="").geturl()[:150]  # a query may hold a secret


@contextlib.contextmanager
def _explaining(place: SplitResult, timeout_s: float) -> Iterator[None]:
    shown = _shown(place)
    if offline():
        raise InputError(
            f"{shown} is not fetched, as MIEN_OFFLINE is set; unset it or give a file."
        )
    try:
        yield
    except TimeoutError as error:
        raise InputError(f"{shown} took longer than {timeout_s:g} s; try again.") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise InputError(f"{shown} cannot be fetched ({reason}); check the address.") from error


@contextlib.contextmanager
def _connected(place: SplitResult, end_s: float, private: bool) -> Iterator[socket.socket]:
    """A socket to a checked address of `place`; TLS verifies the name of the host."""
    host = place.hostname or ""
    addresses = _resolve(host, place.port or _PORTS[place.scheme], end_s)
    if not private and not all(_is_public(address[4][0]) for address in addresses):
        raise InputError(f"{host} is in a private network; save the file and give its path.")
    with _connect(addresses, end_s) as plain:
        plain.settimeout(_left_s(end_s))
        if place.scheme == "http":
            yield plain
            return
        context = ssl.create_default_context()
        with context.wrap_socket(plain, server_hostname=host) as encrypted:
            yield encrypted


def _resolve(host: str, port: int, end_s: float) -> list[tuple[Any, ...]]:
    """The result of getaddrinfo, called in a thread because it has no time limit."""
    answer: Future[list[tuple[Any, ...]]] = Future()

    def ask() -> None:
        try:
            answer.set_result([*socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)])
        except OSError as error:
            answer.set_exception(error)

    threading.Thread(target=ask, daemon=True).start()
    return answer.result(_left_s(end_s))


def _is_public(text: str) -> bool:
    """Whether an address, or the IPv4 address within it, belongs to the open internet."""
    address = ip_address(text)
    if isinstance(address, IPv6Address):
        if address.is_site_local:
            return False  # fec0::/10, which Python 3.11 takes for global
        nat64 = IPv4Address(int(address) & 0xFFFF_FFFF) if address in _NAT64 else None
        address = nat64 or address.ipv4_mapped or address.sixtofour or address
    return address.is_global and not (address.is_multicast or address.is_reserved)


def _connect(addresses: list[tuple[Any, ...]], end_s: float) -> socket.socket:
    """A socket to the first address that answers; each gets its share of the time left."""
    failure = OSError(0, "it has no address")
    for after, (family, kind, protocol, _, address) in enumerate(addresses):
        connected = socket.socket(family, kind, protocol)
        try:
            connected.settimeout(_left_s(end_s) / (len(addresses) - after))
            connected.connect(address)
            return connected
        except OSError as error:
            connected.close()
            failure = error
    raise failure


def _ask(place: SplitResult, connected: socket.socket, end_s: float) -> http.client.HTTPResponse:
    """The answer to a GET, its headers read."""
    connection = http.client.HTTPConnection(place.netloc)
    connection.sock = connected
    target = f"{place.path}?{place.query}" if place.query else place.path
    connection.request("GET", target, headers={"Host": place.netloc, **_HEADERS})
    answer = http.client.HTTPResponse(connected, method="GET")
    answer.fp = io.BufferedReader(_Reader(connected, end_s))
    answer.begin()
    return answer


class _Reader(io.RawIOBase):
    """What a socket receives; TimeoutError after `end_s`, even while data still comes."""

    def __init__(self, connected: socket.socket, end_s: float) -> None:
        self._socket, self._end_s = connected, end_s

    def readable(self) -> bool:
        """True; io.BufferedReader asks."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Number of bytes put into `buffer`."""
        self._socket.settimeout(_left_s(self._end_s))
        return self._socket.recv_into(buffer)


def _left_s(end_s: float) -> float:
    """Seconds until `time.monotonic()` is `end_s`; TimeoutError if there are none left."""
    if (left_s := end_s - time.monotonic()) <= 0:
        raise TimeoutError
    return left_s


def _body(answer: http.client.HTTPResponse, max_bytes: int, shown: str) -> bytes:
    if not 200 <= answer.status < 300:
        raise InputError(f"{shown} answered with status {answer.status}; check the address.")
    if (encoding := answer.getheader("Content-Encoding", "identity")) != "identity":
        raise InputError(f"{shown} sent {encoding[:20]!r}, not the plain file; give a file.")
    too_large = InputError(f"{shown} is larger than {max_bytes:,} bytes; give a smaller file.")
    if (answer.length or 0) > max_bytes:
        raise too_large
    body = bytearray()
    # read1, because read() believes a chunk of size -1 and reads on without end.
    while chunk := answer.read1(_CHUNK_BYTES):
        body += chunk
        if len(body) > max_bytes:
            raise too_large
    if answer.length:
        raise InputError(f"{shown} was cut short by {answer.length:,} bytes; try again.")
    return bytes(body)
