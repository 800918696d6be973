"""What a request may hold: taken up to each limit, refused beyond it in words."""

import base64
import io
import json

import pytest
from PIL import Image

from mien.demo import PORTRAIT
from mien.errors import InputError, PictureError
from mien.serve.problems import MEDIA_TYPE, Problem
from mien.serve.uploads import Upload
from tests.serve.conftest import asking, settings

PATH = "/v1/recognize"
LIMITS = {"files": 3, "queue": 3, "pixels": 1200, "side_px": 50, "request_bytes": 60_000}
JSON = {"content-type": "application/json"}


def picture(width: int = 40, height: int = 30, format: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "#808080").save(out, format)
    return out.getvalue()


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def form(*pictures: bytes | str):
    return {"files": [("pictures", (f"{i}.png", data)) for i, data in enumerate(pictures)]}


def asked(*pictures: dict[str, str]):
    return {"json": {"pictures": list(pictures)}}


GREY = {"base64": text(picture())}


@pytest.fixture(scope="module")
def small():
    with asking(limits=LIMITS) as client:
        yield client


def send(client, given) -> tuple[int, str]:
    """Status, and the detail of a problem or the names of the pictures."""
    answer = client.post(PATH, **given)
    told = answer.json()
    assert (answer.headers["content-type"] == MEDIA_TYPE) == (answer.status_code != 200)
    assert answer.status_code == 200 or Problem.model_validate(told).status == answer.status_code
    names = told.get("detail") or [p["name"] for p in told["pictures"]]
    return answer.status_code, names


ACCEPTED = {
    "as many files as may be": (form(*[picture()] * 3), ["0.png", "1.png", "2.png"]),
    "as many pictures as may be": (asked(*[GREY] * 3), ["picture 0", "picture 1", "picture 2"]),
    "as many pixels as may be": (form(picture(30, 40)), ["0.png"]),
    "as wide as may be": (form(picture(50, 1)), ["0.png"]),
    "as high as may be": (form(picture(1, 50)), ["0.png"]),
    "as many fields as may be": (form(picture()) | {"data": dict.fromkeys("abcdefgh", "x")}, None),
    "the longest name": (asked(GREY | {"name": "n" * 200}), ["n" * 200]),
    "a data address": (asked({"base64": "data:image/png;base64," + GREY["base64"]}), None),
    "names of its own": (asked(GREY | {"name": "a"}, GREY), ["a", "picture 1"]),
    "a file without a name": (
        {
            "content": b'--x\r\nContent-Disposition: form-data; name="pictures"; filename=""'
            b"\r\n\r\n" + picture() + b"\r\n--x--\r\n",
            "headers": {"content-type": "Multipart/Form-Data; boundary=x"},
        },
        ["picture"],
    ),
    "a file of a long name": (
        {"files": [("pictures", ("n" * 300, picture()))]},
        ["n" * 200],
    ),
    "JSON by another name": (
        {
            "content": json.dumps({"pictures": [GREY]}),
            "headers": {"content-type": "APPLICATION/JSON ; charset=utf-8"},
        },
        ["picture 0"],
    ),
}


@pytest.mark.parametrize("what", ACCEPTED)
def test_what_is_within_the_limits_is_answered(small, what):
    given, names = ACCEPTED[what]
    status, told = send(small, given)
    assert (status, told) == (200, names or ["0.png" if "files" in given else "picture 0"])


REFUSED = {
    "one file too many": (form(*[b"x"] * 4), 413, "expected at most 3 pictures, got 4"),
    "one picture too many": (asked(*[GREY] * 4), 413, "expected at most 3 pictures, got 4"),
    "far too many files": (form(*[b"x"] * 5), 400, "the form cannot be read: Too many files"),
    "one field too many": (
        form(picture()) | {"data": dict.fromkeys("abcdefghi", "x")},
        400,
        "the form cannot be read: Too many fields",
    ),
    "a row of pixels too many": (
        form(picture(40, 31)),
        422,
        "0.png has 40x31 pixels; expected at most 1,200",
    ),
    "too wide": (form(picture(51, 1)), 422, "0.png has 51x1 pixels; expected at most 50 on a side"),
    "too high": (form(picture(1, 51)), 422, "0.png has 1x51 pixels; expected at most 50 on a side"),
    "too large as base64": (
        asked({"name": "me", "base64": text(picture(41, 30))}),
        422,
        "me has 41x30 pixels; expected at most 1,200",
    ),
    "too long a name": (
        asked(GREY | {"name": "n" * 201}),
        422,
        "pictures.0.name: String should have at most 200 characters",
    ),
    "too long an address": (
        asked(GREY, {"url": "http://a/" + "b" * 1992}),
        422,
        "pictures.1.url: String should have at most 2000 characters",
    ),
    "another type": (
        {"content": b"hello", "headers": {"content-type": "text/plain"}},
        415,
        "expected multipart/form-data or application/json, got 'text/plain'",
    ),
    "a type without end": (
        {"content": b"hello", "headers": {"content-type": "x" * 100}},
        415,
        f"expected multipart/form-data or application/json, got {'x' * 80!r}",
    ),
    "no type": ({}, 415, "expected multipart/form-data or application/json, got ''"),
    "another field": (
        {"files": [("other", ("a.png", picture()))]},
        422,
        "expected at least one picture, in a part named pictures",
    ),
    "text": (
        {"data": {"pictures": "me"}, "files": [("other", ("a.png", b""))]},
        422,
        "expected pictures to be files, got text; give a file's name",
    ),
    "no pictures": (
        asked(),
        422,
        "pictures: List should have at least 1 item after validation, not 0",
    ),
    "broken JSON": ({"content": b"{", "headers": JSON}, 422, "body: Invalid JSON: EOF"),
    "neither": (asked(GREY, {"name": "a"}), 422, "pictures.1: expected either base64 or url"),
    "both": (asked(GREY | {"url": "http://a"}), 422, "pictures.0: expected either base64 or url"),
    "an unknown key": (
        asked({"path": "/etc/passwd"}),
        422,
        "pictures.0.path: Extra inputs are not permitted",
    ),
    "an unknown key of all": (
        {"json": {"pictures": [GREY], "model": "x"}},
        422,
        "model: Extra inputs are not permitted",
    ),
    "no base64": (asked({"base64": "%%%"}), 422, "expected base64 text, got '%%%'"),
    "nothing as base64": (
        asked({"base64": ""}),
        422,
        "picture 0 is empty (0 bytes)",
    ),
    "an empty file": (form(b""), 422, "0.png is empty (0 bytes)"),
    "all of them bad": (form(b"x", b"y", b"z"), 422, "0.png is not"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_beyond_them_is_refused_in_words(small, what):
    given, status, words = REFUSED[what]
    told = send(small, given)
    assert told[0] == status
    assert told[1].startswith(words)


def test_where_all_pictures_are_bad_each_is_told(small):
    _, told = send(small, form(b"x", b"y", b"z"))
    assert told == "; ".join(
        f"{i}.png is not a readable picture (png, jpeg, webp, bmp, tiff, heic)" for i in range(3)
    )


@pytest.mark.parametrize(("marks", "status"), [(10_000, 422), (10_001, 413)])
@pytest.mark.parametrize("mark", [",", "{", "["])
def test_json_of_very_many_things_is_refused_unread(small, marks, status, mark):
    body = '{"pictures":[{"name":"' + mark * (marks - 3) + '"}]}'
    assert sum(body.count(each) for each in ",{[") == marks
    told = send(small, {"content": body, "headers": JSON})
    assert told[0] == status
    assert status == 422 or told[1] == "expected at most 3 pictures"


def fetcher(monkeypatch, answer):
    """Every address that is fetched from here on, and how many bytes it may have."""
    asked: list[tuple[str, dict[str, object]]] = []

    def fetch(url: str, **how: object) -> bytes:
        asked.append((url, how))
        return answer(url)

    monkeypatch.setenv("MIEN_OFFLINE", "0")
    monkeypatch.setattr("mien.sources.remote.fetch", fetch)
    return asked


def test_no_address_is_fetched_where_that_is_not_allowed(small, monkeypatch):
    fetched = fetcher(monkeypatch, lambda _url: picture())
    status, told = send(small, asked(GREY, {"url": "http://example.org/a.png"}))
    assert status == 422
    assert told == "pictures.1: this service fetches no addresses; send base64"
    assert fetched == []


def test_what_is_fetched_counts_as_what_is_sent_and_private_networks_are_never_asked(monkeypatch):
    def answer(url: str) -> bytes:
        if url.endswith("gone"):
            raise InputError(f"{url} answers 404")
        return picture()

    fetched = fetcher(monkeypatch, answer)
    with asking(urls=True, limits=LIMITS) as client:
        told = client.post(
            PATH,
            **asked({"url": "http://a/1", "name": "one"}, {"url": "http://a/gone"}, GREY),
        ).json()
    assert [(p["name"], p["error"]) for p in told["pictures"]] == [
        ("one", None),
        ("picture 1", "http://a/gone answers 404"),
        ("picture 2", None),
    ]
    assert sorted(url for url, _ in fetched) == ["http://a/1", "http://a/gone"]
    assert [how for _, how in fetched] == [{"max_bytes": 20_000}] * 2


def test_a_frame_of_a_stream_knows_when_it_was():
    data = PORTRAIT.read_bytes()
    frame = Upload("frame", data, settings().limits, 7, 1.5).load()
    assert (frame.path, frame.frame, frame.time_s) == ("frame", 7, 1.5)
    assert frame.pixels.shape == (512, 512, 3)


@pytest.mark.parametrize(("width", "height"), [(40, 30), (50, 24), (51, 20), (40, 31)])
@pytest.mark.parametrize("format", ["PNG", "JPEG", "BMP"])
def test_a_picture_counts_as_many_pixels_however_it_is_measured(format, width, height):
    """Those of one beyond the limits are none: it will not be decoded."""
    limits = settings(limits=LIMITS).limits
    upload = Upload("a", picture(width, height, format), limits)
    assert upload.is_measured() == (format != "BMP")
    quick = upload.area_px
    upload.measure()
    assert upload.area_px == (width * height if width * height <= 1200 and width <= 50 else 0)
    assert quick == (upload.area_px if format != "BMP" else 0)


def test_a_picture_of_another_size_than_was_counted_is_refused():
    """A PNG with two heads: the first is counted, the second would be decoded."""
    small, large = picture(4, 3), picture(40, 30)
    upload = Upload("a.png", large[:8] + small[8:33] + large[8:], settings(limits=LIMITS).limits)
    assert upload.is_measured() and upload.area_px == 12
    with pytest.raises(PictureError, match=r"a\.png is damaged: its head tells of another size"):
        upload.load()
