"""Pictures of many callers, in few runs of the network."""

import threading
import time
from concurrent.futures import CancelledError, Future, wait

import numpy as np
import pytest

import mien
from mien.demo import PORTRAIT
from mien.errors import PictureError
from mien.serve.engine import Engine, Full
from mien.serve.settings import Limits, Settings
from mien.sources import Frame, read_picture
from mien.stream import Seen

PIXELS = read_picture(PORTRAIT)[:240, 110:350]


@pytest.fixture(scope="module")
def recognizer() -> mien.Recognizer:
    return mien.Recognizer(detector="haar", threads=1)


@pytest.fixture
def engine(recognizer):
    made = Engine(recognizer, Settings(threads=2, limits=Limits(queue=8, files=4)))
    yield made
    made.close()


class Gate:
    """A picture that is not there before it is let in."""

    def __init__(self) -> None:
        self._open = threading.Event()

    def __call__(self) -> Frame:
        assert self._open.wait(10)
        return Frame("me", PIXELS)

    def open(self) -> None:
        self._open.set()


def portrait() -> Frame:
    return Frame("me", PIXELS)


def free(engine: Engine) -> int:
    """How many pictures may come in, now that all answers are there."""
    gate, inside = Gate(), []
    while True:
        try:
            inside += engine.submit(gate)
        except Full:
            gate.open()
            wait(inside)
            return len(inside)


def labels(futures: list["Future[Seen]"]) -> list[str | None]:
    return [future.result(10).readings[0].label for future in futures]


def test_callers_share_runs_and_each_gets_its_own(recognizer):
    patient = Settings(threads=2, batch=3, wait_s=20, limits=Limits(queue=8, files=4))
    engine = Engine(recognizer, patient)
    sizes: list[int] = []
    engine.batches = sizes.append
    grey = engine.submit(lambda: Frame("grey", np.full((90, 90, 3), 90, np.uint8)))
    time.sleep(0.5)  # found before the others: it fills no place in the run
    found = [engine.submit(portrait)[0] for _ in range(3)]
    assert labels(grey + found) == [None, "happy", "happy", "happy"]
    assert sizes == [3], "a run begins when it is full, not when the first has waited its time"
    engine.close()


def test_a_picture_that_waits_keeps_no_pixels(engine, recognizer, monkeypatch):
    seen = []
    answer = recognizer.answer
    monkeypatch.setattr(recognizer, "answer", lambda found: seen.extend(found) or answer(found))
    labels(engine.submit(portrait))
    assert [found.pixels for found in seen] == [None]


def test_all_pictures_of_a_request_come_in_or_none(engine):
    gate = Gate()
    inside = engine.submit(*[gate] * 6)
    with pytest.raises(Full):
        engine.submit(*[portrait] * 3)
    two = engine.submit(*[portrait] * 2)
    gate.open()
    assert labels(inside + two) == ["happy"] * 8
    assert free(engine) == 8


def test_what_cannot_be_loaded_is_its_own_answer(engine):
    def bad() -> Frame:
        raise PictureError("no picture")

    one, other = engine.submit(bad, portrait)
    with pytest.raises(PictureError, match="no picture"):
        one.result(10)
    assert labels([other]) == ["happy"]
    assert free(engine) == 8


def test_whoever_gives_up_makes_room_once(engine):
    gate = Gate()
    inside = engine.submit(*[gate] * 8)
    gone = [future for future in inside if future.cancel()]
    assert len(gone) == 6  # two were begun
    gate.open()
    wait(inside)
    with pytest.raises(CancelledError):
        gone[0].result()
    time.sleep(0.05)
    assert free(engine) == 8


def test_a_network_that_fails_is_told_to_each_and_ends_nothing(engine, recognizer, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(recognizer, "answer", lambda _found: 1 / 0)
        for future in engine.submit(*[portrait] * 4):
            with pytest.raises(ZeroDivisionError):
                future.result(10)
    assert labels(engine.submit(portrait)) == ["happy"]
    assert free(engine) == 8


def test_what_was_accepted_is_finished_at_the_end(recognizer):
    engine = Engine(recognizer, Settings(threads=1))
    gate = Gate()
    inside = engine.submit(*[gate] * 12)
    closing = threading.Thread(target=engine.close)
    closing.start()
    gate.open()
    closing.join(20)
    assert labels(inside) == ["happy"] * 12
    (late,) = engine.submit(portrait)
    with pytest.raises(Full, match="stopping"):
        late.result(1)


def test_many_threads_at_once(engine):
    answers: list[str | None] = []

    def ask() -> None:
        for _ in range(5):
            try:
                answers.extend(labels(engine.submit(portrait)))
            except Full:
                time.sleep(0.01)

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(answers) == {"happy"}
    assert free(engine) == 8
