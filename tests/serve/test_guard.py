"""Who may ask, how much and how often."""

import asyncio

import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse

from mien.errors import InputError
from mien.serve.guard import HEADERS, Guard
from mien.serve.settings import Limits, Settings
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
        ("localhost:80:80", 421),
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


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/version", "/metrics"])
def test_the_page_and_the_state_need_no_key(path):
    assert guarded(api_key=KEY).get(path).status_code == 200


@pytest.mark.parametrize("key", ["secret", "a key of many letters: ü"])
def test_a_key_that_is_short_or_that_browsers_send_otherwise_is_refused(key):
    with pytest.raises(InputError, match="at least 16 characters, all of them ASCII"):
        Settings(api_key=key)


@pytest.mark.parametrize("keep_s", [0, float("nan")])
def test_files_are_kept_for_some_time(keep_s):
    with pytest.raises(InputError, match="some time"):
        Settings(keep_s=keep_s)


def test_a_rate_below_zero_is_refused():
    with pytest.raises(InputError, match="0 for any"):
        Settings(limits=Limits(requests_per_minute=-1))


def test_a_packed_body_is_refused():
    answer = guarded().post("/v1/recognize", headers={"content-encoding": "gzip"})
    assert answer.status_code == 415
    assert "gzip" in answer.json()["detail"]


@pytest.mark.parametrize("length", ["123456", "9" * 30, "9" * 5000])
def test_a_length_beyond_the_limit_is_refused_before_the_body(length):
    client = guarded(limits=Limits(request_bytes=10))
    headers = {"content-length": length}
    assert client.post("/v1/recognize", content=b"x", headers=headers).status_code == 413


@pytest.mark.parametrize(("path", "status"), [("/v1/recognize", 413), ("/v1/videos", 200)])
def test_a_body_that_does_not_tell_its_length_is_cut_off(path, status):
    client = guarded(limits=Limits(request_bytes=100_000, video_bytes=1_000_000))
    assert client.post(path, content=iter([b"x" * 50_000] * 4)).status_code == status


def test_the_body_of_a_video_is_cut_off_by_the_real_service():
    with asking(limits={"request_bytes": 100_000, "video_bytes": 100_000}) as client:
        headers = {"content-type": "multipart/form-data; boundary=x"}
        body = [b'--x\r\nContent-Disposition: form-data; name="video"; filename="a"\r\n\r\n']
        answer = client.post(
            "/v1/videos", content=iter(body + [b"x" * 50_000] * 4), headers=headers
        )
    assert answer.status_code == 413


def test_a_body_that_drips_is_given_up():
    app = Guard(echo, Settings(limits=Limits(body_s=0.2)))
    status, headers = asyncio.run(post(app, [b"x"] * 50, wait_s=0.02))
    assert status == 408
    assert headers[b"connection"] == b"close"


def test_all_bodies_together_are_bounded_and_their_room_comes_back():
    app = Guard(echo, Settings(limits=Limits(bytes_at_once=1000)))

    async def ask() -> list[int]:
        answers = [post(app, [b"x" * 100] * 4, wait_s=0.01) for _ in range(4)]
        return [status for status, _ in await asyncio.gather(*answers)]

    statuses = asyncio.run(ask())
    assert {200, 503} == set(statuses)
    assert asyncio.run(post(app, [b"x" * 100] * 9))[0] == 200


def test_videos_that_are_being_sent_leave_room_for_pictures():
    app = Guard(echo, Settings(limits=Limits(bytes_at_once=1000)))

    async def ask() -> list[int]:
        slow = asyncio.create_task(post(app, [b"x" * 450] * 2 + [b"x"], 0.1, "/v1/videos"))
        await asyncio.sleep(0.25)
        return [(await post(app, [b"x" * 900]))[0], (await slow)[0]]

    assert asyncio.run(ask()) == [200, 200]


async def post(app: Guard, chunks: list[bytes], wait_s: float = 0.0, path: str = "/v1/recognize"):
    """Status and headers of a request whose body comes in chunks."""
    left, sent = list(chunks), []

    async def receive():
        await asyncio.sleep(wait_s)
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    async def send(message):
        sent.append(message)

    headers = [(b"host", b"localhost")]
    scope = {"type": "http", "path": path, "method": "POST", "headers": headers}
    await app(scope, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"])


def test_who_asks_too_often_waits():
    client = guarded(limits=Limits(requests_per_minute=3))
    statuses = [client.post("/v1/recognize").status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    assert int(client.post("/v1/recognize").headers["retry-after"]) >= 1
    assert client.get("/healthz").status_code == 200


def test_who_guesses_keys_waits_too():
    client = guarded(limits=Limits(requests_per_minute=3), api_key=KEY)
    assert [client.post("/v1/models").status_code for _ in range(4)] == [401, 401, 401, 429]


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
