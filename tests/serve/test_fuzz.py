"""Damaged uploads: refused, or read where they are still pictures; never a failure."""

import io

import numpy as np
import pytest
from PIL import Image

from mien.demo import PORTRAIT
from tests.serve.conftest import asking

EACH = 150
HEAD = b'--x\r\nContent-Disposition: form-data; name="pictures"; filename="a.png"\r\n'
FORM = {"content-type": "multipart/form-data; boundary=x"}


def small(format: str) -> bytes:
    out = io.BytesIO()
    Image.open(PORTRAIT).resize((72, 60)).save(out, format)
    return out.getvalue()


def mutated(data: bytes, dice: np.random.Generator) -> bytes:
    """`data` with a few bytes changed, cut out, doubled or put elsewhere."""
    changed = bytearray(data)
    for _ in range(dice.integers(1, 8)):
        place = int(dice.integers(len(changed) + 1) * dice.random())  # rather in the head
        length = int(dice.integers(1, 40))
        match dice.integers(5):
            case 0:
                changed[place : place + 1] = dice.bytes(1)
            case 1:
                changed[place : place + length] = dice.bytes(length)
            case 2:
                del changed[place : place + length]
            case 3:
                changed[place:place] = changed[place : place + length]
            case 4:
                del changed[max(1, len(changed) - length) :]
    return bytes(changed)


@pytest.fixture(scope="module")
def client():
    """Of a service to which nothing is a video: no process is needed to see that."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mien.serve.app.worker_command", lambda *_: ["false"])
        with asking(batch=1) as found:
            yield found


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "BMP"])
def test_damaged_pictures_are_no_failure(client, format):
    dice, whole = np.random.default_rng(0), small(format)
    statuses = []
    for _ in range(EACH):
        body = HEAD + b"\r\n" + mutated(whole, dice) + b"\r\n--x--\r\n"
        statuses.append(client.post("/v1/recognize", content=body, headers=FORM).status_code)
    assert set(statuses) <= {200, 400, 413, 422}
    assert 422 in statuses


@pytest.mark.parametrize("kind", ["form", "json", "video"])
def test_damaged_requests_are_no_failure(client, kind):
    dice = np.random.default_rng(1)
    form = HEAD + b"\r\n" + small("PNG")[:200] + b"\r\n--x--\r\n"
    whole, path, headers = {
        "form": (form, "/v1/recognize", FORM),
        "video": (form.replace(b"pictures", b"video"), "/v1/videos", FORM),
        "json": (
            b'{"pictures": [{"name": "a", "base64": "iVBORw0KGgo="}]}',
            "/v1/recognize",
            {"content-type": "application/json"},
        ),
    }[kind]
    for _ in range(EACH):
        answer = client.post(path, content=mutated(whole, dice), headers=headers)
        assert 400 <= answer.status_code < 500, answer.text


@pytest.mark.parametrize("codec", ["idna", "utf-7", "punycode", "unicode_escape", "undefined", "x"])
def test_no_codec_that_a_form_names_is_a_failure(client, codec):
    name = HEAD.replace(b"a.png", b"\\ud800+2AA-xn--\xff.png")
    headers = {"content-type": f"multipart/form-data; charset={codec}; boundary=x"}
    for path in ("/v1/recognize", "/v1/videos"):
        form = name.replace(b"pictures", b"video") if "videos" in path else name
        body = form + b"\r\n" + small("PNG") + b"\r\n--x--\r\n"
        assert client.post(path, content=body, headers=headers).status_code in (200, 400, 422)


BOMBS = {
    "many fields": (b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n') * 5000,
    "many files": (HEAD + b"\r\n\r\n") * 5000,
    "many headers": HEAD + b"X: y\r\n" * 100_000,
    "a long header": HEAD + b"X: " + b"y" * 5_000_000,
    "a long name": HEAD.replace(b"a.png", b"a" * 5_000_000),
    "no end": HEAD + b"\r\n" + b"\r\n-" * 1_000_000,
    "a large field": b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + b"a" * 5_000_000,
}


@pytest.mark.parametrize("path", ["/v1/recognize", "/v1/videos"])
@pytest.mark.parametrize("bomb", BOMBS)
def test_a_form_that_is_a_bomb_is_refused(client, path, bomb):
    answer = client.post(path, content=BOMBS[bomb] + b"\r\n--x--\r\n", headers=FORM)
    assert 400 <= answer.status_code < 500
    assert len(answer.text) < 2000
