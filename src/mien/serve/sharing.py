"""What clients share: they take turns, and none may take more than its share of the room."""

import ipaddress
import math
import queue
import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from mien.errors import Overloaded, OverShare

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")

_OWN_BITS = 64  # of an IPv6 address, the rest is the client's to choose


def client_of(scope: Mapping[str, Any]) -> str:
    """Whose a request is: its address, of IPv6 the network of it; "" where there is none."""
    address = str((scope.get("client") or ("",))[0])
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(found), _OWN_BITS), strict=False))


@dataclass(frozen=True, slots=True)
class Turn(Generic[T]):
    """What waits, and whose it is."""

    client: str
    request: int
    item: T


class Turns(queue.Queue[Turn[T]]):
    """A queue in which clients take turns, and each client's requests take turns in its own.

    So what a request waits for does not grow with what another one holds.
    """

    def _init(self, maxsize: int) -> None:  # noqa: ARG002 - as Queue asks
        self._clients: dict[str, dict[int, deque[Turn[T]]]] = {}

    def _qsize(self) -> int:
        return sum(len(turns) for one in self._clients.values() for turns in one.values())

    def _put(self, turn: Turn[T]) -> None:
        requests = self._clients.setdefault(turn.client, {})
        requests.setdefault(turn.request, deque()).append(turn)

    def _get(self) -> Turn[T]:
        client, requests = _first(self._clients)
        request, turns = _first(requests)
        turn = turns.popleft()
        if turns:
            requests[request] = turns  # behind the others
        if requests:
            self._clients[client] = requests
        return turn


def _first(waiting: dict[K, V]) -> tuple[K, V]:
    """The entry that has waited longest; it is taken out."""
    key = next(iter(waiting))
    return key, waiting.pop(key)


@dataclass(frozen=True, slots=True)
class Share:
    """How much of something all clients may have together, and one of them."""

    what: str
    """In the plural: pictures."""
    most: int
    each: float
    """The share of `most` that one client may have, of at least one."""
    full: str
    """What is said where all have too much."""
    wait_s: int = 1

    def check(self, theirs: int, everyones: int) -> None:
        """Raise OverShare if a client would have too much, Overloaded if all would."""
        own = min(self.most, max(1, math.floor(self.most * self.each)))
        if theirs > own and own < self.most:
            raise OverShare(
                f"expected at most {own:,} {self.what} of one client at a time, got {theirs:,}; "
                "wait until some are done",
                self.wait_s,
            )
        if everyones > self.most:
            raise Overloaded(self.full, self.wait_s)


class Room:
    """What is taken of a `Share` at this moment, from many threads."""

    def __init__(self, share: Share) -> None:
        self.share = share
        self._taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def taken(self) -> int:
        """By all clients."""
        return self._taken.total()

    def take(self, client: str, number: int = 1) -> None:
        """Take so much; OverShare or Overloaded, and nothing is taken, if there is no room."""
        with self._lock:
            self.share.check(self._taken[client] + number, self._taken.total() + number)
            self._taken[client] += number

    def leave(self, client: str, number: int = 1) -> None:
        """Give so much back."""
        with self._lock:
            self._taken[client] -= number
            if not self._taken[client]:
                del self._taken[client]
