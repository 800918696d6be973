"""What can be asked, and what comes back."""

import base64
import io
import json
import logging
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image
from starlette.testclient import TestClient

import mien
from mien.demo import PORTRAIT
from mien.labels import FER2013
from mien.serve.app import create
from mien.serve.metrics import ACCESS
from mien.serve.problems import MEDIA_TYPE, Problem
from mien.serve.schemas import Answer, JobOut, ModelOut, VersionOut
from mien.style import font, ink_on, palette
from tests.serve.conftest import asking, settings
from tests.sources.test_pictures import bmp

PATH = "/v1/recognize"
PHOTO = PORTRAIT.read_bytes()


def files(*pictures: bytes, field: str = "pictures"):
    return [(field, (f"{number}.jpg", data)) for number, data in enumerate(pictures)]


def as_json(*pictures: bytes) -> dict[str, object]:
    return {"pictures": [{"base64": base64.b64encode(data).decode()} for data in pictures]}


def picture(size: tuple[int, int], format: str, **options: object) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, "#808080").save(out, format, **options)
    return out.getvalue()


def test_a_photo_is_answered_as_the_package_would(client):
    answer = Answer.model_validate(client.post(PATH, files=files(PHOTO)).json())
    expected = mien.Recognizer(detector="yunet").recognize(PHOTO)[0]
    (reading,) = answer.pictures[0].readings
    assert reading.label == expected.label == "happy"
    assert reading.expressions == pytest.approx(expected.expressions)
    assert reading.confidence == max(reading.expressions.values())
    assert reading.box == expected.face.box
    assert (reading.score, reading.status) == (expected.face.score, expected.status)
    assert (reading.face_id, reading.smoothed) == (None, None)
    assert (answer.model, answer.pictures[0].name) == ("mien-m-int8", "0.jpg")


def test_base64_and_data_urls_are_answered_as_files_are(client):
    told = as_json(PHOTO)
    told["pictures"].append({"name": "a", "base64": f"data:image/jpeg;base64,{_text(PHOTO)}"})
    sent = client.post(PATH, json=told).json()["pictures"]
    assert [p["name"] for p in sent] == ["picture 0", "a"]
    expected = client.post(PATH, files=files(PHOTO)).json()["pictures"][0]["readings"]
    assert sent[0]["readings"] == sent[1]["readings"] == expected


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_of_many_pictures_a_bad_one_is_told_beside_the_others(client):
    answer = client.post(PATH, files=files(PHOTO, b"nonsense", picture((40, 40), "PNG")))
    first, bad, empty = answer.json()["pictures"]
    assert answer.status_code == 200
    assert len(first["readings"]) == 1
    assert bad["error"] == "1.jpg is not a readable picture (png, jpeg, webp, bmp, tiff, heic)"
    assert empty["readings"] == [] and empty["error"] is None


def test_a_photo_that_lies_on_its_side_is_read_upright(client):
    image = Image.open(PORTRAIT)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    out = io.BytesIO()
    image.rotate(90, expand=True).save(out, "JPEG", quality=95, exif=exif)
    (reading,) = client.post(PATH, files=files(out.getvalue())).json()["pictures"][0]["readings"]
    assert reading["label"] == "happy"


SIZE = (6000, 5000)
BOMBS: dict[str, Callable[[], bytes]] = {  # made where they are wanted: that takes a second
    "png": lambda: picture(SIZE, "PNG"),
    "jpeg": lambda: picture(SIZE, "JPEG"),
    "webp": lambda: picture(SIZE, "WEBP", lossless=True),
    "webp with a canvas": lambda: picture(SIZE, "WEBP", exif=b"Exif\0\0"),
    "bmp head": lambda: bmp(6000, -5000),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_too_many_pixels_are_refused_before_they_are_decoded(client, monkeypatch, kind):
    monkeypatch.setattr("mien.serve.uploads.decoded", lambda *_a, **_k: pytest.fail("decoded"))
    bomb = BOMBS[kind]()
    for given in ({"files": files(bomb)}, {"json": as_json(bomb)}):
        answer = client.post(PATH, **given)
        assert answer.status_code == 422
        assert "expected at most 25,000,000" in answer.json()["detail"]


@pytest.mark.parametrize("size", [(200_000, 1), (3, 20_000)])
def test_a_side_that_is_too_long_is_refused(client, size):
    answer = client.post(PATH, files=files(picture(size, "PNG")))
    assert answer.status_code == 422
    assert "expected at most 16,384 on a side" in answer.json()["detail"]


MANY = {
    "objects": b'{"pictures":[' + b"{}," * 300_000 + b"{}]}",
    "numbers": b'{"pictures":[' + b"0," * 500_000 + b"0]}",
    "keys": b'{"pictures":[],' + b",".join(b'"%d":0' % i for i in range(100_000)) + b"}",
    "depths": b'{"pictures":' + b"[" * 500_000,
}


@pytest.mark.parametrize("what", MANY)
def test_a_body_of_many_things_is_refused_at_once(client, what):
    headers = {"content-type": "application/json"}
    began = time.perf_counter()
    answer = client.post(PATH, content=MANY[what], headers=headers)
    assert answer.status_code == 413
    assert time.perf_counter() - began < 10  # telling what is wrong would take minutes


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/v1/nothing", 404),
        ("POST", "/nothing", 404),
        ("GET", "/index.html/../../app.py", 404),
        ("GET", "/%2e%2e/app.py", 404),
        ("GET", PATH, 405),
        ("POST", "/healthz", 405),
        ("DELETE", "/", 405),
        ("GET", "/v1/videos/nothing", 404),
        ("GET", "/v1/videos/nothing/table.csv", 404),
        ("DELETE", "/v1/videos/nothing", 404),
        ("GET", "/v1/videos/..%2f..", 404),
    ],
)
def test_what_is_not_there_is_a_problem_too(client, method, path, status):
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert ("allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize(
    ("path", "allow"), [(PATH, "POST"), ("/v1/videos/x", "DELETE, GET, HEAD"), ("/", "GET, HEAD")]
)
def test_a_method_that_is_not_there_is_told_those_that_are(client, path, allow):
    answer = client.request("PATCH", path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allow)
    assert answer.json()["detail"] == f"expected {allow}, got PATCH"


def test_the_example_of_the_description_is_answered(client):
    body = client.get("/openapi.json").json()["paths"][PATH]["post"]["requestBody"]
    answer = client.post(PATH, json=body["content"]["application/json"]["example"])
    assert answer.json()["pictures"] == [
        {"name": "a dot", "readings": [], "unread": [], "error": None}
    ]


def test_addresses_are_fetched_where_allowed_but_never_private_ones(monkeypatch):
    monkeypatch.setenv("MIEN_OFFLINE", "0")
    with asking(urls=True) as client:
        for url in ("http://127.0.0.1/a.png", "http://[::1]/a.png", "file:///etc/passwd"):
            answer = client.post(PATH, json={"pictures": [{"url": url}]})
            assert answer.status_code == 422
            assert "private" in answer.json()["detail"] or "not fetched" in answer.json()["detail"]


def test_it_says_what_it_is(client):
    told = VersionOut.model_validate(client.get("/version").json())
    (model,) = client.get("/v1/models").json()
    assert told.mien == mien.__version__
    assert told.digest == model["digest"] == mien.Recognizer(detector="yunet").card.digest
    card = mien.Recognizer(detector="yunet").card
    assert told.detector == "yunet"
    assert (told.model, model["name"], model["labels"]) == (card.name, card.name, list(card.labels))
    assert model["unsure_below"] == card.unsure_below
    assert [m["accuracy"] for m in model["measured"]] == [m.accuracy for m in card.measured]
    assert (model["licence"], model["parameters"]) == (card.licence, card.parameters)
    assert model["views"] == card.views
    assert client.get("/healthz").json() == client.get("/readyz").json() == {"status": "ok"}


def test_it_is_ready_between_its_beginning_and_its_end():
    app = create(settings())
    asked = TestClient(app)
    early = asked.get("/readyz")
    assert (early.status_code, early.headers["retry-after"]) == (503, "1")
    assert early.json()["detail"] == "the service is starting or stopping"
    with TestClient(app):
        assert asked.get("/readyz").status_code == 200
    assert asked.get("/readyz").status_code == 503
    late = asked.post(PATH, files=files(PHOTO))
    assert late.status_code == 503
    assert late.headers["retry-after"] == "1"
    assert late.json()["detail"] == "the service is stopping; try again in a while"


@pytest.mark.parametrize("path", ["/", "/app.js", "/healthz", "/v1/models", "/metrics"])
def test_what_can_be_got_can_be_asked_for_its_head(client, path):
    assert client.head(path).status_code == 200
    assert client.head(path).headers["content-type"] == client.get(path).headers["content-type"]


def test_the_page_has_the_colours_and_the_typeface_of_all_drawings(client):
    script = client.get("/colours.js")
    assert script.headers["content-type"].startswith("text/javascript")
    told = json.loads(re.search(r"\{.*\}", script.text)[0])
    assert told == {label: [colour, ink_on(colour)] for label, colour in palette(FER2013).items()}
    assert client.get("/aileron.ttf").content == font(16).font_bytes
    assert client.get("/sample.jpg").content == PORTRAIT.read_bytes()


def counted(client) -> dict[str, float]:
    """What /metrics tells."""
    lines = client.get("/metrics").text.splitlines()
    return {
        name: float(value)
        for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    }


def test_counts_do_not_grow_with_what_is_asked(client):
    for number in range(9):
        client.get(f"/{number}")
        client.get(f"/v1/videos/{number}")
    told = counted(client)
    client.post(PATH, files=files(PHOTO, PHOTO))
    answer = client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    page = answer.text
    assert counted(client)['mien_faces_total{label="happy"}'] == 2 + told.get(
        'mien_faces_total{label="happy"}', 0
    )
    posted = 'mien_requests_total{path="/v1/recognize",status="200"}'
    assert counted(client)[posted] == 1 + told.get(posted, 0)
    assert told['mien_requests_total{path="/v1/videos/{name}",status="404"}'] >= 9
    paths = {line.split('path="')[1].split('"')[0] for line in page.splitlines() if "path=" in line}
    routes = {route.path for route in client.app.routes}
    assert paths <= routes | {"other"}


def test_a_full_service_says_so_and_when_to_come_back(monkeypatch):
    inside, gate, find = threading.Event(), threading.Event(), mien.Recognizer.find

    def slow(self, item):
        inside.set()
        assert gate.wait(60)
        return find(self, item)

    monkeypatch.setattr(mien.Recognizer, "find", slow)
    few = {"queue": 4, "files": 4}
    with asking(limits=few) as client, ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.post, PATH, files=files(*[PHOTO] * 3))
        assert inside.wait(60)
        answer = client.post(PATH, files=files(b"x", b"y"))
        assert answer.status_code == 503
        assert client.get("/healthz").status_code == 200
        gate.set()
        assert first.result().status_code == 200
        assert client.post(PATH, files=files(PHOTO)).status_code == 200
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["detail"] == "too many pictures wait; try again in a second"


@pytest.mark.parametrize(
    ("limits", "sent", "status", "words"),
    [
        (
            {"request_pixels": 9000},
            2,
            413,
            "expected pictures of at most 9,000 pixels together, got 10,000; send fewer in a "
            "request, or smaller ones",
        ),
        ({"request_pixels": 10_000}, 2, 200, None),
        (
            {"pixels": 5000, "request_pixels": 10_000, "pixels_at_once": 20_000},
            1,
            429,
            "expected at most 10,000 pixels of one client at a time, got 15,000; wait until some "
            "are done",
        ),
        (
            {"queue": 4, "files": 2},
            1,
            429,
            "expected at most 2 pictures of one client at a time, got 3; wait until some are done",
        ),
    ],
)
def test_of_pixels_and_pictures_a_request_and_a_client_have_their_part(
    monkeypatch, limits, sent, status, words
):
    """Two pictures are inside already where one more is too much for the client."""
    inside, gate, find = threading.Event(), threading.Event(), mien.Recognizer.find

    def slow(self, item):
        inside.set()
        assert gate.wait(60)
        return find(self, item)

    monkeypatch.setattr(mien.Recognizer, "find", slow)
    given = picture((50, 100), "PNG")
    with asking(limits={"client_share": 0.5, **limits}) as client, ThreadPoolExecutor(1) as pool:
        if status == 429:
            first = pool.submit(client.post, PATH, files=files(given, given))
            assert inside.wait(60)
        else:
            gate.set()
        answer = client.post(PATH, files=files(*[given] * sent))
        gate.set()
        assert (answer.status_code, answer.json().get("detail")) == (status, words)
        if status == 429:
            assert answer.headers["retry-after"] == "1"
            assert first.result().status_code == 200
            assert client.post(PATH, files=files(given)).status_code == 200


def test_untold_no_request_is_logged(client):
    client.get("/healthz")
    assert not ACCESS.isEnabledFor(logging.INFO)


def test_an_unforeseen_error_says_nothing_of_itself(monkeypatch, caplog):
    with asking() as client:
        monkeypatch.setattr(mien.Recognizer, "answer", lambda *_: 1 / 0)
        answer = client.post(PATH, files=files(PHOTO))
    assert answer.status_code == 500
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "division" not in answer.text and "Traceback" not in answer.text
    assert "division" in caplog.text


def test_the_description_is_whole(client):
    told = client.get("/openapi.json").json()
    text = json.dumps(told)
    names = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names <= set(told["components"]["schemas"])
    assert told["info"]["description"].startswith("Expressions, not feelings")
    for model in (Answer, JobOut, ModelOut, Problem, VersionOut):
        (example,) = told["components"]["schemas"][model.__name__]["examples"]
        model.model_validate(example)
    for path, operations in told["paths"].items():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                if status >= "400":
                    assert list(answer["content"]) == [MEDIA_TYPE], (path, status)


@pytest.mark.parametrize("key", [None, "a key of many letters"])
def test_the_description_says_what_asks_for_the_key(key):
    with asking(api_key=key) as client:
        told = client.get("/openapi.json").json()
    assert told["components"]["securitySchemes"] == {"key": {"type": "http", "scheme": "bearer"}}
    asked = [{"key": []}] if key else [{}, {"key": []}]
    for path, operations in told["paths"].items():
        secured = path.startswith("/v1/") or path == "/metrics"
        for operation in operations.values():
            assert operation.get("security") == (asked if secured else None), path


def test_what_the_package_reads_the_service_does(client, shared):
    """Or both say the same: of an animated picture, that it is none."""
    heic, animated = ((shared / "cases" / n).read_bytes() for n in CASES)
    told = client.post(PATH, files=files(heic, PHOTO, animated)).json()["pictures"]
    assert [[r["label"] for r in picture["readings"]] for picture in told] == [["happy"]] * 2 + [[]]
    assert told[2]["error"].startswith("2.jpg is a film of 2 frames; expected one picture")


CASES = ("photo.heic", "face_in_frame_2.webp")
