"""Cameras and streams; their clocks and frames are told, so that no test waits for either."""

import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from mien.errors import PictureError
from mien.sources import Frame, open_source
from mien.sources import live as module
from mien.sources.live import Live
from mien.sources.packets import Care
from mien.sources.playback import Playback
from mien.sources.video import open_container
from tests.clips import film

NAME = "udp://127.0.0.1:9"


def a_frame(index: int, time_s: float | None = None) -> Frame:
    return Frame(NAME, np.full((2, 2, 3), index, np.uint8), index, time_s)


def live_of(frames: Iterator[Frame], monkeypatch: pytest.MonkeyPatch) -> Live:
    """The newest of `frames`, as they come."""
    monkeypatch.setattr(module, "Video", lambda source: frames)
    return Live(NAME)


def until_gone(name: str = NAME) -> None:
    """Wait for the thread that reads."""
    for thread in threading.enumerate():
        if thread.name == name:
            thread.join(5)
            assert not thread.is_alive()


def test_a_slow_consumer_gets_the_newest_frame_and_the_rest_are_dropped(monkeypatch):
    go_on = [threading.Event(), threading.Event()]

    def frames() -> Iterator[Frame]:
        yield a_frame(0)
        go_on[0].wait(5)
        yield from map(a_frame, (1, 2, 3))

    live = live_of(frames(), monkeypatch)
    assert live.live
    assert live.name == NAME
    seen = iter(live)
    assert (next(seen).frame, live.dropped) == (0, 0)
    go_on[0].set()
    until_gone()
    assert [frame.frame for frame in seen] == [3]
    assert live.dropped == 2


def test_a_quick_consumer_gets_every_frame(monkeypatch):
    taken = threading.Semaphore(1)

    def frames() -> Iterator[Frame]:
        for index in range(20):
            taken.acquire(timeout=5)
            yield a_frame(index)

    live = live_of(frames(), monkeypatch)
    seen = []
    for frame in live:
        seen.append(frame.frame)
        taken.release()
    assert (seen, live.dropped) == (list(range(20)), 0)
    until_gone()


def test_a_source_without_frames_ends_at_once(monkeypatch):
    assert list(live_of(iter(()), monkeypatch)) == []


def test_leaving_early_stops_the_reader(monkeypatch):
    def frames() -> Iterator[Frame]:
        while True:
            yield a_frame(0)

    for _ in live_of(frames(), monkeypatch):
        (reader,) = (thread for thread in threading.enumerate() if thread.name == NAME)
        assert reader.daemon, "a program that ends waits for no camera"
        break
    until_gone()


def test_a_consumer_that_waits_is_told_of_the_end_at_once(monkeypatch):
    waits = threading.Event()

    class Told(threading.Condition):
        def wait(self, timeout=None):
            waits.set()
            return super().wait(timeout)

    def frames() -> Iterator[Frame]:
        waits.wait(5)
        yield from ()

    live, began = live_of(frames(), monkeypatch), time.monotonic()
    live._fresh = Told()
    assert list(live) == []
    assert time.monotonic() - began < 4  # its patience would be at an end after five seconds


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (OSError("no route"), f"{NAME} has stopped (no route); check it"),
        (cv2.error("lost"), f"{NAME} has stopped (lost); check it"),
        (PictureError("camera 1 has stopped"), "camera 1 has stopped"),
    ],
)
def test_a_source_that_fails_is_an_error_after_what_came(monkeypatch, failure, message):
    def frames() -> Iterator[Frame]:
        yield a_frame(0)
        raise failure

    seen = iter(live_of(frames(), monkeypatch))
    assert next(seen).frame == 0
    with pytest.raises(PictureError) as caught:
        next(seen)
    assert str(caught.value) == message
    until_gone()


def test_what_is_damaged_is_an_error(monkeypatch):
    broken = [a_frame(0), Frame(NAME, None, error=f"{NAME} breaks off here (bits)")]
    monkeypatch.setattr(module, "is_live", lambda source: True)
    with pytest.raises(PictureError, match=r"breaks off here \(bits\)"):
        list(live_of(iter(broken), monkeypatch))


def test_a_source_that_goes_silent_is_told_after_five_seconds(monkeypatch):
    released, waited = threading.Event(), []

    def frames() -> Iterator[Frame]:
        released.wait(5)
        yield a_frame(0)

    class Impatient(threading.Condition):
        def wait_for(self, predicate, timeout=None):
            waited.append(timeout)
            return super().wait_for(predicate, 0.01)

    live = live_of(frames(), monkeypatch)
    live._fresh = Impatient()
    with pytest.raises(PictureError) as caught:
        next(iter(live))
    assert str(caught.value) == f"{NAME} has sent nothing for 5 s; check it"
    assert waited == [5.0]
    released.set()
    until_gone()


class Clock:
    """Time that passes when it is waited for, and a little whenever it is looked at."""

    def __init__(self, look_s: float = 0.0) -> None:
        self.now_s, self.look_s, self.slept_s = 1000.0, look_s, []

    def monotonic(self) -> float:
        self.now_s += self.look_s
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(round(seconds, 6))
        self.now_s += seconds


def test_a_film_is_played_at_its_own_pace(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    frames = [a_frame(0, 0.0), a_frame(1, 0.04), a_frame(2, None), a_frame(3, 0.5), a_frame(4, 0.6)]
    seen = []
    for frame in module._paced(frames, wait=True):
        seen.append(frame.frame)
        clock.now_s += 0.3 if frame.frame == 3 else 0  # one frame takes longer than the next may
    assert seen == [0, 1, 2, 3, 4]
    assert clock.slept_s == [0, 0.04, 0, 0.46, 0]


def test_a_stream_is_taken_as_it_comes(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    frames = [a_frame(0, 0.0), a_frame(1, 9.0)]
    assert [frame.time_s for frame in module._paced(frames, wait=False)] == [0.0, 9.0]
    assert clock.slept_s == []


class Camera:
    """A camera with two blue pictures, then nothing."""

    def __init__(self) -> None:
        self.left, self.released = 2, False

    def isOpened(self) -> bool:
        return True

    def read(self) -> tuple[bool, np.ndarray | None]:
        self.left -= 1
        return (
            (True, np.full((2, 3, 3), (200, 20, 2), np.uint8)) if self.left >= 0 else (False, None)
        )

    def release(self) -> None:
        self.released = True


def test_a_camera_s_frames_are_rgb_with_the_seconds_since_it_began(monkeypatch):
    asked, camera = [], Camera()
    monkeypatch.setattr(module, "time", Clock(look_s=0.12345))
    monkeypatch.setattr(cv2, "VideoCapture", lambda number: asked.append(number) or camera)
    frames = []
    with pytest.raises(PictureError) as caught:
        for frame in module._camera(3):
            frames.append(frame)
    assert str(caught.value) == "camera 3 has stopped; is it still plugged in?"
    assert asked == [3]
    assert camera.released
    assert [(f.path, f.frame, f.time_s) for f in frames] == [
        *(("camera 3", 0, 0.123), ("camera 3", 1, 0.247)),
    ]
    assert all((f.pixels == (2, 20, 200)).all() and f.pixels.shape == (2, 3, 3) for f in frames)


def test_a_live_camera_gives_its_frames_and_is_called_by_its_number(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", lambda number: Camera())
    live, seen = Live(3), []
    assert live.name == "camera 3"
    with pytest.raises(PictureError, match="camera 3 has stopped"):
        for frame in live:
            seen.append(frame.frame)
    assert seen in ([0, 1], [1])


@pytest.mark.parametrize("open_camera", [Live, open_source])
def test_a_camera_that_is_not_there_is_told(open_camera):
    with pytest.raises(PictureError, match="camera 99 cannot be opened"):
        open_camera(99)


@pytest.mark.parametrize(("system", "hint"), [("linux", " (ls /dev/video*)"), ("darwin", "")])
def test_what_to_do_about_a_camera_is_told(monkeypatch, system: str, hint: str):
    monkeypatch.setattr(module, "sys", SimpleNamespace(platform=system))
    monkeypatch.setattr(cv2, "VideoCapture", lambda number: SimpleNamespace(isOpened=lambda: False))
    with pytest.raises(PictureError) as caught:
        Live(7)
    assert str(caught.value) == (
        f"camera 7 cannot be opened; is it plugged in, and free? Try another number{hint}"
    )


def test_a_real_film_is_played_to_its_end(tmp_path):
    path = str(film(tmp_path / "clip.mp4", [i / 25 for i in range(8)], (64, 48), empty=True))
    live, began = Live(path), time.monotonic()
    frames = list(live)
    assert time.monotonic() - began > 0.27
    assert frames[-1].frame == 7, "the last frame is the newest"
    assert len(frames) + live.dropped == 8
    assert all(f.pixels.shape == (48, 64, 3) and f.path == path for f in frames)


def test_a_film_that_is_no_film_is_told(tmp_path):
    path = tmp_path / "film.mp4"
    path.write_text("no film at all\n" * 99)
    with pytest.raises(PictureError, match="cannot be opened"):
        Live(str(path))


def test_a_film_that_breaks_off_says_so_after_what_came(shared):
    live = Live(str(shared / "cases" / "half.mp4"))
    *came, last = live
    numbers = [frame.frame for frame in came]
    assert numbers and numbers == sorted(set(numbers)) and numbers[-1] <= 34
    assert last.error == f"{live.name} breaks off at 1.1 of 3.0 s"
    until_gone(live.name)


def test_what_a_film_lacks_is_told_once_it_is_through(shared):
    live = Live(str(shared / "cases" / "badpackets.mp4"))
    assert not live.warnings
    assert all(frame.error is None for frame in live)
    assert len(live.warnings) == 1 and "3 damaged packets" in live.warnings[0]


def test_a_stream_goes_on_behind_its_damage_without_being_opened_anew(shared):
    path, opens = str(shared / "cases" / "badpackets.mp4"), []

    def opened():
        opens.append(path)
        return open_container(path, path)

    playback = Playback(opened, 30.0, 0.0, Care.GO_ON)
    assert len(list(playback)) > 80
    assert len(opens) == 1
    assert playback.damage.packets == 3
