"""Who may ask, how much and how often."""

import asyncio
import json
from dataclasses import dataclass, field

import pytest
from starlette.requests import ClientDisconnect
from starlette.testclient import TestClient, WebSocketDenialResponse

from mien.serve.guard import HEADERS, Guard, _TokenBuckets
from mien.serve.limits import Limits
from mien.serve.settings import Settings
from tests.serve.conftest import asking

KEY = "a key of many letters: u"
BEARER = {"authorization": f"Bearer {KEY}".encode()}


async def echo(scope, receive, send) -> None:
    """An application that reads what it is sent, and says how much that was."""
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


def guarded(**chosen) -> TestClient:
    return TestClient(Guard(echo, Settings(**chosen)), base_url="http://localhost:8000")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:80", 200),
        ("127.0.0.1:8000", 200),
        ("[::1]", 200),
        ("[::1]:8000", 200),
        ("evil.example", 421),
        ("localhost.evil.example:8000", 421),
        ("127.0.0.1.evil.example", 421),
        ("[::2]:8000", 421),
        ("localhost:80:80", 400),
        ("localhost:no", 400),
        ("user@localhost", 400),
        ("localhost/", 400),
        ("", 421),
    ],
)
def test_a_name_that_is_not_its_own_is_refused(host, status):
    assert guarded().get("/", headers={"host": host}).status_code == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 200),
        ("http://localhost:8000", 200),
        ("https://localhost:8000", 200),
        ("http://localhost", 403),
        ("http://evil.example", 403),
        ("http://localhost:8000.evil.example", 403),
        ("null", 403),
        ("", 403),
    ],
)
def test_pages_of_others_are_refused(origin, status):
    headers = {} if origin is None else {"origin": origin}
    assert guarded().post("/v1/recognize", headers=headers).status_code == status


def test_cross_origin_requests_are_not_invited():
    headers = {"origin": "http://evil.example", "access-control-request-method": "POST"}
    answer = guarded().options("/v1/recognize", headers=headers)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("path", ["/", "/v1/recognize", "/healthz", "/nothing"])
def test_every_answer_has_the_headers_that_browsers_obey(client, path):
    answer = client.get(path)
    assert HEADERS.items() <= {k.title(): v for k, v in answer.headers.items()}.items()


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (None, 401),
        (b"", 401),
        (b"Bearer", 401),
        (b"Bearer wrong", 401),
        (b"Basic " + KEY.encode(), 401),
        (KEY.encode(), 401),
        (b"Bearer \xff\xfe", 401),
        (f"Bearer {KEY}".encode(), 200),
        (f"bearer {KEY}".encode(), 200),
    ],
)
def test_a_key_is_asked_for(authorization, status):
    headers = {} if authorization is None else {"authorization": authorization}
    answer = guarded(api_key=KEY).post("/v1/recognize", headers=headers)
    assert answer.status_code == status
    assert ("www-authenticate" in answer.headers) == (status == 401)


def test_two_names_are_refused_even_where_any_is_welcome():
    for hosts in (("localhost",), ("*",)):
        scope = {"type": "http", "path": "/", "method": "GET"}
        both = [(b"host", b"localhost"), (b"host", b"localhost")]
        _, sent = through(scope | {"headers": both}, hosts=hosts)
        assert (sent[0]["status"], b"expected one Host" in sent[1]["body"]) == (400, True)


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/version", "/docs"])
def test_the_page_and_the_state_need_no_key(path):
    assert guarded(api_key=KEY).get(path).status_code == 200


def test_the_metrics_need_the_key_where_there_is_one():
    assert guarded().get("/metrics").status_code == 200
    assert guarded(api_key=KEY).get("/metrics").status_code == 401
    assert guarded(api_key=KEY).get("/metrics", headers=BEARER).status_code == 200


def test_a_packed_body_is_refused():
    answer = guarded().post("/v1/recognize", headers={"content-encoding": "gzip"})
    assert answer.status_code == 415
    assert "expected a body as it is, got Content-Encoding: gzip" in answer.json()["detail"]
    plain = guarded().post("/v1/recognize", headers={"content-encoding": "identity"})
    assert plain.status_code == 200


FORM = 16_384  # bytes that a form may have around its file
SMALL = Limits(request_bytes=100, video_bytes=1000)
BODIES = [
    ("/v1/recognize", 100 + FORM, 200),
    ("/v1/recognize", 101 + FORM, 413),
    ("/v1/videos", 1000 + FORM, 200),
    ("/v1/videos", 1001 + FORM, 413),
    ("/v1/videos/x", 101 + FORM, 413),
]


@pytest.mark.parametrize(("path", "size", "status"), BODIES)
def test_a_body_may_be_as_large_as_the_limit_and_no_larger(path, size, status):
    """Whether it tells its length, and is refused before it comes, or not, and is cut off."""
    client = guarded(limits=SMALL)
    told = client.post(path, content=b"x" * size)
    parts = [b"x" * (size // 2), b"x" * (size - size // 2)]
    untold = client.post(path, content=iter(parts))
    assert (told.status_code, untold.status_code) == (status, status)
    if status == 413:
        assert told.json()["detail"] == f"expected at most {size - 1:,} bytes, got {size}"
        assert untold.json()["detail"] == f"expected at most {size - 1:,} bytes"
    else:
        assert told.text == untold.text == str(size)


@pytest.mark.parametrize(
    ("length", "status"),
    [
        ("123456", 413),
        ("9" * 18, 413),
        ("9" * 30, 413),
        ("9" * 5000, 413),
        ("0" * 17 + "1", 200),
        ("none", 200),
    ],
)
def test_a_length_is_believed_before_the_body_comes(length, status):
    headers = {"content-length": length}
    answer = guarded(limits=SMALL).post("/v1/recognize", content=b"x", headers=headers)
    assert answer.status_code == status
    assert length[:30] in answer.text or status == 200


def test_the_body_of_a_video_is_cut_off_by_the_real_service():
    with asking(limits={"request_bytes": 100_000, "video_bytes": 100_000}) as client:
        headers = {"content-type": "multipart/form-data; boundary=x"}
        body = [b'--x\r\nContent-Disposition: form-data; name="video"; filename="a"\r\n\r\n']
        answer = client.post(
            "/v1/videos", content=iter(body + [b"x" * 50_000] * 4), headers=headers
        )
    assert answer.status_code == 413


@dataclass
class Clock:
    """The time that the guard believes it is."""

    now: float = 1e6

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    found = Clock()
    monkeypatch.setattr("mien.serve.guard.time", found)
    return found


@dataclass
class PictureIn:
    """A request whose body comes in `chunks`, each after `tick`, and what was answered."""

    chunks: list[bytes] = field(default_factory=lambda: [b""])
    path: str = "/v1/recognize"
    client: tuple[str, int] | None = ("192.0.2.1", 1)
    tick: object = lambda: None
    sent: list = field(default_factory=list)

    async def ask(self, app: Guard) -> int:
        headers = [(b"host", b"localhost")]
        scope = {"type": "http", "path": self.path, "method": "POST", "headers": headers}
        await app(scope | {"client": self.client}, self._receive, self._send)
        return self.sent[0]["status"]

    async def _receive(self):
        self.tick()
        if not self.chunks:
            return {"type": "http.disconnect"}
        body = self.chunks.pop(0)
        await asyncio.sleep(0)
        return {"type": "http.request", "body": body, "more_body": bool(self.chunks)}

    async def _send(self, message):
        self.sent.append(message)

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])

    @property
    def detail(self) -> str:
        return json.loads(self.sent[1]["body"])["detail"]


def ask(app: Guard, **chosen) -> PictureIn:
    asked = PictureIn(**chosen)
    asyncio.run(asked.ask(app))
    return asked


@pytest.mark.parametrize(
    ("path", "seconds", "status"),
    [
        ("/v1/recognize", 29.9, 200),
        ("/v1/recognize", 30.1, 408),
        ("/v1/videos", 299.0, 200),  # ten times as large, ten times as long
        ("/v1/videos", 301.0, 408),
    ],
)
def test_a_body_that_drips_is_given_up(clock, path, seconds, status):
    app = Guard(echo, Settings(limits=Limits(body_s=30, request_bytes=1000, video_bytes=10_000)))
    times = iter([seconds / 2, seconds / 2, 0.0])

    def tick() -> None:
        clock.now += next(times)

    asked = ask(app, chunks=[b"x"] * 3, path=path, tick=tick)
    assert asked.sent[0]["status"] == status
    if status == 408:  # and nothing more is awaited from such a client
        assert asked.headers[b"connection"] == b"close"
        assert (
            asked.detail
            == f"expected the body within {300 if 'videos' in path else 30} s; send less"
        )


def test_small_videos_have_as_long_as_pictures(clock):
    app = Guard(echo, Settings(limits=Limits(body_s=30, request_bytes=1000, video_bytes=100)))
    times = iter([29.0, 0.0])

    def tick() -> None:
        clock.now += next(times)

    asked = ask(app, chunks=[b"x"] * 2, path="/v1/videos", tick=tick)
    assert asked.sent[0]["status"] == 200


def test_a_client_that_waits_for_its_answer_is_not_late(clock):
    """The body is there: what comes after it is the client's going away, whenever that is."""
    came = []

    async def app(scope, receive, send) -> None:
        came.append(await receive())
        clock.now += 3600
        came.append(await receive())
        await send({"type": "http.response.start", "status": 200, "headers": []})

    assert ask(Guard(app, Settings()), chunks=[b"x"]).sent[0]["status"] == 200
    assert [message["type"] for message in came] == ["http.request", "http.disconnect"]


def inside(most: int) -> Limits:
    """For so many bytes at once, all of them one client's."""
    return Limits(bytes_at_once=most, request_bytes=most, video_bytes=most, client_share=1)


def holding(size: int, more: int, path: str = "/v1/recognize", other: str = "/v1/recognize"):
    """Statuses of a request of `more` bytes while one of `size` is in the service, of the one
    that was there, and of a third of 1000 bytes afterwards; `bytes_at_once` is 1000."""
    gate = asyncio.Event()

    async def app(scope, receive, send) -> None:
        if not gate.is_set():
            await receive()
            await gate.wait()
        await echo(scope, receive, send)

    async def run() -> tuple[int, PictureIn, int]:
        guard = Guard(app, Settings(limits=inside(1000)))
        first = asyncio.create_task(PictureIn([b"x" * size, b""], path).ask(guard))
        for _ in range(10):
            await asyncio.sleep(0)
        second = PictureIn([b"x" * more, b""], other)
        task = asyncio.create_task(second.ask(guard))
        for _ in range(10):
            await asyncio.sleep(0)
        gate.set()
        statuses = await first, await task
        return statuses[0], second, await PictureIn([b"x" * 1000]).ask(guard)

    return asyncio.run(run())


@pytest.mark.parametrize(("size", "more", "status"), [(600, 400, 200), (600, 401, 503)])
def test_all_bodies_together_are_bounded_and_their_room_comes_back(size, more, status):
    first, second, third = holding(size, more)
    assert (first, second.sent[0]["status"], third) == (200, status, 200)
    if status == 503:
        assert second.headers[b"retry-after"] == b"1"
        assert second.detail == "too much is being sent; try again in a second"


def test_videos_that_are_being_sent_leave_room_for_pictures():
    for path, other in (("/v1/videos", "/v1/recognize"), ("/v1/recognize", "/v1/videos")):
        first, second, _ = holding(900, 900, path, other)
        assert (first, second.sent[0]["status"]) == (200, 200)


def test_a_minutes_requests_may_come_at_once_and_then_as_many_as_flow_in(clock):
    app = Guard(echo, Settings(limits=Limits(rate=3)))

    def statuses(number: int) -> list[int]:
        return [ask(app).sent[0]["status"] for _ in range(number)]

    assert statuses(5) == [200, 200, 200, 429, 429]
    refused = ask(app)
    assert refused.headers[b"retry-after"] == b"20"
    assert refused.detail == "expected at most 3 requests a minute from one address; wait 20 s"
    clock.now += 15
    assert ask(app).headers[b"retry-after"] == b"5"
    clock.now += 4.5
    assert ask(app).headers[b"retry-after"] == b"1"
    clock.now += 0.5
    assert statuses(2) == [200, 429]
    clock.now += 40
    assert statuses(3) == [200, 200, 429]
    clock.now += 86_400
    assert statuses(4) == [200, 200, 200, 429], "no more at once than a minute's"


def test_each_address_has_a_rate_of_its_own(clock):
    app = Guard(echo, Settings(limits=Limits(rate=1)))
    for client in (("192.0.2.1", 1), ("192.0.2.2", 1), ("2001:db8::1", 1), None):
        assert ask(app, client=client).sent[0]["status"] == 200
        assert ask(app, client=client).sent[0]["status"] == 429
    assert ask(app, client=("192.0.2.1", 2)).sent[0]["status"] == 429, "whatever its port"


def test_a_rate_of_none_is_no_limit_and_the_state_is_told_at_any_rate(clock):
    app = Guard(echo, Settings(limits=Limits(rate=0)))
    assert {ask(app).sent[0]["status"] for _ in range(50)} == {200}
    app = Guard(echo, Settings(limits=Limits(rate=1)))
    for path in ["/healthz", "/", "/v1"] * 5:
        assert ask(app, path=path).sent[0]["status"] == 200


def test_of_very_many_addresses_it_keeps_no_more_than_some(clock, monkeypatch):
    monkeypatch.setattr("mien.serve.guard._ADDRESSES", 3)
    app = Guard(echo, Settings(limits=Limits(rate=1)))

    def statuses(*names: str) -> list[int]:
        return [ask(app, client=(name, 1)).sent[0]["status"] for name in names]

    assert statuses("a", "b", "c", "a", "b", "c") == [200] * 3 + [429] * 3
    assert statuses("d", "a", "a", "d") == [200, 200, 429, 429]
    for number in range(20):
        statuses(str(number))
        assert len(app._buckets._tokens) <= 3


def test_ten_thousand_addresses_are_remembered(clock):
    buckets = _TokenBuckets(1)
    assert [buckets.take(str(number)) for number in range(10_000)] == [0.0] * 10_000
    assert buckets.take("0") == 60
    assert buckets.take("one more") == 0.0
    assert buckets.take("0") == 0.0


def test_who_guesses_keys_waits_too():
    client = guarded(limits=Limits(rate=3), api_key=KEY)
    assert [client.post("/v1/models").status_code for _ in range(4)] == [401, 401, 401, 429]


def test_what_is_refused_says_why():
    asked = {
        "/": ({"host": "evil.example"}, "this service does not answer to 'evil.example'; add"),
        "/v1/a": ({"origin": "http://a"}, "pages of other origins may not ask this service"),
        "/v1/b": ({}, "expected the API key as Authorization: Bearer KEY"),
    }
    for path, (headers, words) in asked.items():
        answer = guarded(api_key=KEY).post(path, headers=headers)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["detail"].startswith(words)
        assert HEADERS["Content-Security-Policy"] == answer.headers["content-security-policy"]


def test_a_service_for_all_names_still_refuses_pages_of_others():
    client = guarded(hosts=("*",))
    for host in ("any.example", "other:8000", ""):
        assert client.post("/v1/a", headers={"host": host}).status_code == 200
    headers = {"host": "any.example", "origin": "http://other.example"}
    assert client.post("/v1/a", headers=headers).status_code == 403
    headers["origin"] = "http://ANY.example"
    assert client.post("/v1/a", headers=headers).status_code == 200


def test_a_failure_is_told_while_nothing_has_been_and_its_room_comes_back(caplog):
    async def app(scope, receive, send) -> None:
        await receive()
        raise ZeroDivisionError

    guard = Guard(app, Settings(limits=inside(10)))
    for _ in range(3):
        asked = ask(guard, chunks=[b"x" * 10])
        assert asked.sent[0]["status"] == 500
        assert asked.detail == "the service failed at this request; its log says more"
        assert asked.headers[b"x-content-type-options"] == b"nosniff"
    assert "ZeroDivisionError" in caplog.text


def test_a_failure_in_the_midst_of_an_answer_is_the_servers_to_end():
    async def app(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ZeroDivisionError

    asked = PictureIn()
    with pytest.raises(ZeroDivisionError):
        asyncio.run(asked.ask(Guard(app, Settings())))
    assert [message["type"] for message in asked.sent] == ["http.response.start"]


def test_who_goes_away_is_answered_nothing(caplog):
    async def app(scope, receive, send) -> None:
        raise ClientDisconnect

    asked = PictureIn()
    with pytest.raises(IndexError):
        asyncio.run(asked.ask(Guard(app, Settings())))
    assert asked.sent == [] and caplog.text == ""


def test_headers_that_an_answer_has_are_left_as_they_are():
    async def app(scope, receive, send) -> None:
        headers = [(b"cache-control", b"max-age=60")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})

    headers = ask(Guard(app, Settings())).headers
    assert headers[b"cache-control"] == b"max-age=60"
    assert headers[b"referrer-policy"] == b"no-referrer"


def test_browsers_are_told_to_load_and_to_frame_nothing_of_others():
    policy = dict(rule.split(" ", 1) for rule in HEADERS["Content-Security-Policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' blob: data:",
        "media-src": "'self' blob:",
        "font-src": "'self'",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert {
        name: value for name, value in HEADERS.items() if name != "Content-Security-Policy"
    } == {
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cache-Control": "no-store",
    }


def through(scope: dict[str, object], **chosen) -> tuple[list[str], list[dict]]:
    """The types of scope that reach the application, and what was sent instead."""
    reached, sent = [], []

    async def app(scope, receive, send) -> None:
        reached.append(scope["type"])

    async def send(message) -> None:
        sent.append(message)

    asyncio.run(Guard(app, Settings(**chosen))(scope, lambda: None, send))
    return reached, sent


def test_what_is_no_request_passes():
    assert through({"type": "lifespan"}) == (["lifespan"], [])


def test_a_stream_that_is_refused_is_closed_where_the_server_cannot_tell_why():
    scope = {"type": "websocket", "path": "/v1/stream", "headers": [(b"host", b"localhost")]}
    assert through(scope) == (["websocket"], [])
    closed = {"type": "websocket.close", "code": 1008}
    assert through(scope, api_key=KEY) == ([], [closed])
    told = scope | {"extensions": {"websocket.http.response": {}}}
    reached, sent = through(told, api_key=KEY)
    assert reached == []
    assert sent[0]["type"] == "websocket.http.response.start"
    assert sent[0]["status"] == 401


@pytest.mark.parametrize(
    ("protocols", "status"),
    [
        (f"key.{KEY.encode().hex()}", 101),
        (f"mien, key.{KEY.encode().hex()}", 101),
        (f"mien,key.{KEY.encode().hex().upper()}", 101),
        (f"lock.{KEY.encode().hex()}", 401),
        (f"key.{KEY.encode().hex()}0", 401),
        (f"key.{KEY.encode().hex()[2:]}", 401),
        ("key. ,mien", 401),
        (f"mien, key.{'ff' * 9}", 401),
    ],
)
def test_a_page_brings_its_key_as_a_protocol(protocols, status):
    headers = [(b"host", b"localhost"), (b"sec-websocket-protocol", protocols.encode())]
    scope = {"type": "websocket", "path": "/v1/stream", "headers": headers}
    reached, sent = through(scope, api_key=KEY)
    assert (reached == ["websocket"]) == (status == 101) == (not sent)


STREAM = "/v1/stream"


@pytest.mark.parametrize(
    ("protocols", "headers", "welcome"),
    [
        (None, {}, False),
        (None, BEARER, True),
        (["mien"], {}, False),
        (["mien", f"key.{KEY.encode().hex()}"], {}, True),
        (["mien", f"key.{b'wrong'.hex()}"], {}, False),
        (["mien", "key.zz"], {}, False),
        (["mien", "key."], {}, False),
        (None, BEARER | {"origin": "http://evil.example"}, False),
        (None, BEARER | {"host": "evil.example"}, False),
        (None, BEARER | {"origin": "http://testserver"}, True),
    ],
)
def test_a_stream_asks_for_the_same(keyed, protocols, headers, welcome):
    connected = keyed.websocket_connect(STREAM, subprotocols=protocols, headers=headers)
    if not welcome:
        with pytest.raises(WebSocketDenialResponse) as refused, connected:
            pass
        assert refused.value.headers["content-type"] == "application/problem+json"
        assert "content-security-policy" in refused.value.headers
        return
    with connected as socket:
        assert socket.accepted_subprotocol == ("mien" if protocols else None)


@pytest.fixture(scope="module")
def keyed():
    with asking(api_key=KEY) as client:
        yield client
