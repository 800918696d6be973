"""Who a client is, whose turn it is, and how much each may take."""

import queue

import pytest

from mien.errors import Overloaded, OverShare
from mien.serve.sharing import Room, Share, Turn, Turns, client_of


@pytest.mark.parametrize(
    ("client", "who"),
    [
        (None, ""),
        (("192.0.2.1", 5), "192.0.2.1"),
        (("2001:db8:1:2:3:4:5:6", 5), "2001:db8:1:2::/64"),
        (("2001:db8:1:2::7", 6), "2001:db8:1:2::/64"),
        (("fe80::1%eth0", 6), "fe80::/64"),
        (("::ffff:192.0.2.1", 6), "192.0.2.1"),
        (("::2", 6), "::/64"),
        (("testclient", 1), "testclient"),
        (("no:address", 1), "no:address"),
    ],
)
def test_a_client_is_its_address_or_the_network_of_which_it_may_choose_any(client, who):
    assert client_of({"client": client}) == who


def test_whoever_has_waited_longest_is_next():
    turns: Turns[int] = Turns()
    for client, request, item in [("a", 1, 1), ("a", 1, 2), ("a", 2, 3), ("b", 3, 4), ("a", 1, 5)]:
        turns.put(Turn(client, request, item))
    assert turns.qsize() == 5
    order = [turns.get_nowait().item for _ in range(3)]
    turns.put(Turn("c", 4, 6))
    order += [turns.get_nowait().item for _ in range(3)]
    assert order == [1, 4, 3, 2, 6, 5]
    with pytest.raises(queue.Empty):
        turns.get_nowait()


@pytest.mark.parametrize(
    ("most", "each", "own"), [(10, 0.5, 5), (3, 0.5, 1), (1, 0.5, 1), (10, 1, 10)]
)
def test_a_client_may_take_its_share_and_at_least_one(most, each, own):
    room = Room(Share("things", most, each, "full"))
    room.take("a", own)
    with pytest.raises(OverShare if own < most else Overloaded) as told:
        room.take("a")
    assert room.taken == own
    words = f"expected at most {own} things of one client at a time, got {own + 1}; wait until some"
    assert str(told.value).startswith("full" if own == most else words)
    room.leave("a", own)
    room.take("a", own)


def test_all_clients_together_may_take_no_more_than_there_is():
    room = Room(Share("things", 3, 0.7, "full", 9))
    room.take("a", 2)
    room.take("b")
    with pytest.raises(Overloaded, match="full") as told:
        room.take("c")
    assert (type(told.value), told.value.wait_s, room.taken) == (Overloaded, 9, 3)
    with pytest.raises(Overloaded, match="full"):
        Share("things", 0, 0.5, "full").check(1, 1)
