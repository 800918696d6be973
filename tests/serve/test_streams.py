"""Camera frames over a WebSocket."""

import threading
import time

import pytest
from starlette.websockets import WebSocketDisconnect

import mien
from mien.demo import PORTRAIT
from tests.serve.conftest import asking

PHOTO = PORTRAIT.read_bytes()
PATH = "/v1/stream"


def test_frames_are_answered_with_faces_that_keep_their_ids(client):
    with client.websocket_connect(PATH) as socket:
        for number in range(3):
            socket.send_bytes(PHOTO)
            told = socket.receive_json()
            (reading,) = told["readings"]
            assert told["frame"] == number
            assert (reading["label"], reading["face_id"]) == ("happy", 0)
            assert sum(reading["smoothed"].values()) == pytest.approx(1)


def test_what_comes_too_fast_is_dropped(monkeypatch):
    gate = threading.Event()
    find = mien.Recognizer.find

    def slow(self, frame):
        assert gate.wait(10)
        return find(self, frame)

    monkeypatch.setattr(mien.Recognizer, "find", slow)
    with asking() as client, client.websocket_connect(PATH) as socket:
        for _ in range(10):
            socket.send_bytes(PHOTO)
        time.sleep(0.3)
        gate.set()
        first, last = socket.receive_json(), socket.receive_json()
        assert (first["frame"], last["frame"], last["dropped"]) == (0, 1, 8)
        page = client.get("/metrics").text
        assert "mien_stream_frames_dropped_total 8.0" in page
        assert "mien_streams 1.0" in page


@pytest.mark.parametrize("data", [b"", b"nonsense", PHOTO[:2000]])
def test_a_frame_that_is_no_picture_is_told_and_the_stream_goes_on(client, data):
    with client.websocket_connect(PATH) as socket:
        socket.send_bytes(data)
        assert socket.receive_json()["error"]
        socket.send_text("hello")
        assert "binary" in socket.receive_json()["error"]
        socket.send_bytes(PHOTO)
        assert len(socket.receive_json()["readings"]) == 1


def test_a_frame_that_is_too_large_ends_the_stream():
    with asking(limits={"request_bytes": 1000}) as client:
        with pytest.raises(WebSocketDisconnect) as ended, client.websocket_connect(PATH) as socket:
            socket.send_bytes(PHOTO)
            socket.receive_json()
        assert ended.value.code == 1009


def test_one_camera_too_many_is_sent_away_until_another_goes():
    with asking(limits={"streams": 1}) as client:
        with client.websocket_connect(PATH):
            late = client.websocket_connect(PATH)
            with pytest.raises(WebSocketDisconnect) as ended, late:
                late.receive_json()
            assert ended.value.code == 1013
        with client.websocket_connect(PATH) as socket:
            socket.send_bytes(PHOTO)
            assert socket.receive_json()["readings"]


def test_a_camera_that_sends_nothing_is_sent_away():
    with asking(limits={"silence_s": 0.2, "streams": 1}) as client:
        with client.websocket_connect(PATH) as socket:
            socket.send_bytes(PHOTO)
            assert socket.receive_json()["readings"]
            with pytest.raises(WebSocketDisconnect) as ended:
                socket.receive_json()
        assert ended.value.code == 1001
        with client.websocket_connect(PATH) as socket:
            socket.send_bytes(PHOTO)
            assert socket.receive_json()["readings"]


def test_a_failure_ends_the_stream_alone(monkeypatch):
    with asking() as client:
        with monkeypatch.context() as patch, pytest.raises(ExceptionGroup):
            patch.setattr(mien.Recognizer, "answer", lambda *_: 1 / 0)
            with client.websocket_connect(PATH) as socket:
                socket.send_bytes(PHOTO)
                socket.receive_json()
        assert "mien_streams 0.0" in client.get("/metrics").text
        with client.websocket_connect(PATH) as socket:
            socket.send_bytes(PHOTO)
            assert socket.receive_json()["readings"]
