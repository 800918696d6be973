"""Camera frames over a WebSocket."""

import threading
from dataclasses import dataclass

import cv2
import numpy as np
import pytest
from starlette.websockets import WebSocketDisconnect

import mien
from mien.demo import PORTRAIT
from tests.serve.conftest import asking
from tests.serve.jobs import until

PHOTO = PORTRAIT.read_bytes()
EMPTY = cv2.imencode(".png", np.full((90, 90, 3), 90, np.uint8))[1].tobytes()
PATH = "/v1/stream"


def test_frames_are_answered_with_faces_that_keep_their_ids(client):
    with client.websocket_connect(PATH) as socket:
        for number in range(3):
            socket.send_bytes(PHOTO)
            told = socket.receive_json()
            (reading,) = told["readings"]
            assert told["frame"] == number
            assert (reading["label"], reading["face_id"]) == ("happy", 1)
            assert sum(reading["smoothed"].values()) == pytest.approx(1, abs=1e-5)


@dataclass
class Clock:
    """The time that streams believe it is."""

    now: float = 1e6

    def monotonic(self) -> float:
        return self.now


def test_frames_are_told_with_the_seconds_since_the_stream_began(client, monkeypatch):
    clock = Clock()
    monkeypatch.setattr("mien.serve.streams.time", clock)
    with client.websocket_connect(PATH) as socket:
        for time_s, told in ((0.0, 0.0), (0.12349, 0.123), (2.5, 2.5)):
            clock.now = 1e6 + time_s
            socket.send_bytes(PHOTO)
            answer = socket.receive_json()
            assert (answer["time_s"], answer["dropped"]) == (told, 0)


def test_a_face_that_was_away_for_long_is_another(client, monkeypatch):
    clock = Clock()
    monkeypatch.setattr("mien.serve.streams.time", clock)
    with client.websocket_connect(PATH) as socket:
        ids = []
        for time_s, data in ((0, PHOTO), (0.5, EMPTY), (1, PHOTO), (1.5, EMPTY), (3, PHOTO)):
            clock.now = 1e6 + time_s
            socket.send_bytes(data)
            ids += [reading["face_id"] for reading in socket.receive_json()["readings"]]
        assert ids == [1, 1, 2]


class Gate(threading.Event):
    """Until it is set, no face is found."""

    inside = 0


@pytest.fixture
def gate(monkeypatch) -> Gate:
    found, find = Gate(), mien.Recognizer.find

    def slow(self, frame, follower=None):
        found.inside += 1
        assert found.wait(10)
        return find(self, frame, follower)

    monkeypatch.setattr(mien.Recognizer, "find", slow)
    return found


def test_what_comes_too_fast_is_dropped(gate):
    with asking() as client, client.websocket_connect(PATH) as socket:
        for _ in range(10):
            socket.send_bytes(PHOTO)
        until(lambda: "mien_stream_frames_dropped_total 8.0" in client.get("/metrics").text)
        gate.set()
        first, last = socket.receive_json(), socket.receive_json()
        assert (first["frame"], last["frame"], last["dropped"]) == (0, 1, 8)
        assert "mien_streams 1.0" in client.get("/metrics").text


def test_a_camera_whose_frame_is_read_for_long_has_not_been_silent(gate):
    with asking(limits={"silence_s": 0.05}) as client, client.websocket_connect(PATH) as socket:
        socket.send_bytes(PHOTO)
        threading.Timer(0.25, gate.set).start()
        assert len(socket.receive_json()["readings"]) == 1


def test_a_frame_that_finds_no_room_is_told_and_the_stream_goes_on(gate):
    few = {"queue": 1, "files": 1}
    with (
        asking(limits=few) as client,
        client.websocket_connect(PATH) as first,
        client.websocket_connect(PATH) as second,
    ):
        first.send_bytes(PHOTO)
        until(lambda: gate.inside == 1)
        second.send_bytes(PHOTO)
        told = second.receive_json()
        assert told["error"] == "too many pictures wait; try again in a second"
        assert (told["frame"], told["readings"], told["dropped"]) == (0, [], 0)
        gate.set()
        assert len(first.receive_json()["readings"]) == 1
        second.send_bytes(PHOTO)
        assert second.receive_json()["frame"] == 1


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "frame is empty (0 bytes)"),
        (b"nonsense", "frame is not a readable picture"),
        (PHOTO[:2000], "frame is truncated"),
    ],
)
def test_a_frame_that_is_no_picture_is_told_and_the_stream_goes_on(client, data, words):
    with client.websocket_connect(PATH) as socket:
        socket.send_bytes(data)
        told = socket.receive_json()
        assert told["error"].startswith(words)
        assert (told["frame"], told["readings"]) == (0, [])
        socket.send_text("hello")
        assert socket.receive_json() == {
            "error": "expected frames as binary messages, one picture each"
        }
        socket.send_bytes(PHOTO)
        assert len(socket.receive_json()["readings"]) == 1


def test_a_frame_may_be_as_large_as_the_limit_and_one_that_is_larger_ends_the_stream():
    with asking(limits={"request_bytes": len(PHOTO)}) as client:
        with pytest.raises(WebSocketDisconnect) as ended, client.websocket_connect(PATH) as socket:
            socket.send_bytes(PHOTO)
            assert len(socket.receive_json()["readings"]) == 1
            socket.send_bytes(PHOTO + b"x")
            socket.receive_json()
        assert (ended.value.code, ended.value.reason) == (1009, "the frame is too large")


def test_one_camera_too_many_is_sent_away_until_another_goes():
    with asking(limits={"cameras": 1}) as client:
        with client.websocket_connect(PATH):
            late = client.websocket_connect(PATH)
            with pytest.raises(WebSocketDisconnect) as ended, late:
                late.receive_json()
            assert ended.value.code == 1013
            assert ended.value.reason == "too many cameras; try again later"
            assert "mien_streams 1.0" in client.get("/metrics").text
        with client.websocket_connect(PATH) as socket:
            socket.send_bytes(PHOTO)
            assert socket.receive_json()["readings"]


def test_a_camera_that_sends_nothing_is_sent_away():
    with asking(limits={"silence_s": 0.2, "cameras": 1}) as client:
        with client.websocket_connect(PATH) as socket:
            socket.send_bytes(PHOTO)
            assert socket.receive_json()["readings"]
            with pytest.raises(WebSocketDisconnect) as ended:
                socket.receive_json()
        assert (ended.value.code, ended.value.reason) == (1001, "no frame came for too long")
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
