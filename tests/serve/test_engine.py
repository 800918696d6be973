"""Pictures of many callers, in few runs of the network."""

import threading
from concurrent.futures import CancelledError, Future, wait

import cv2
import numpy as np
import pytest

import mien
from mien.demo import PORTRAIT
from mien.errors import Overloaded, PictureError
from mien.serve.engine import Engine
from mien.serve.limits import Limits
from mien.serve.settings import Settings
from mien.serve.uploads import Upload
from mien.sources import Frame, read_picture
from mien.stream import Result, cores
from mien.types import Box, Face
from tests.serve.jobs import until

# A thread that fails is a failure, though nobody waits for it.
pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")

FEW = Limits(queue=8, files=4, client_share=1)
PIXELS = read_picture(PORTRAIT)[:240, 110:350]


@pytest.fixture(scope="module")
def recognizer() -> mien.Recognizer:
    return mien.Recognizer(detector="yunet", threads=1)


@pytest.fixture
def engine(recognizer):
    made = Engine(recognizer, Settings(threads=2, limits=FEW))
    yield made
    made.close()


class Gate:
    """A picture that is not there before it is let in."""

    name = "me"

    def __init__(self) -> None:
        self._open = threading.Event()

    def load(self) -> Frame:
        assert self._open.wait(10)
        return portrait

    def open(self) -> None:
        self._open.set()


portrait = Frame("me", PIXELS)
grey = Frame("grey", np.full((90, 90, 3), 90, np.uint8))


def free(engine: Engine) -> int:
    """How many pictures may come in, once all that were there have left."""
    until(lambda: engine._inside.taken == 0)
    gate, inside = Gate(), []
    while True:
        try:
            inside += engine.submit(gate)
        except Overloaded:
            gate.open()
            wait(inside)
            return len(inside)


def labels(futures: list["Future[Result]"]) -> list[str | None]:
    return [future.result(10).readings[0].label for future in futures]


def runs(recognizer, items, **chosen) -> tuple[list[str | None], list[int]]:
    """The labels of `items`, found one after the other, and the faces of each run."""
    engine = Engine(recognizer, Settings(threads=1, limits=FEW, **chosen))
    sizes: list[int] = []
    engine.batches = sizes.append
    try:
        return labels([engine.submit(item)[0] for item in items]), sizes
    finally:
        engine.close()


def test_callers_share_runs_and_each_gets_its_own(recognizer):
    """A run begins when it is full, not when the first has waited its time; what has no face
    fills no place in it."""
    found, sizes = runs(recognizer, [grey, portrait, grey, portrait, portrait], batch=3, wait_s=60)
    assert found == [None, "happy", None, "happy", "happy"]
    assert sizes == [3]


def test_a_run_is_not_waited_for_longer_than_told(recognizer):
    found, sizes = runs(recognizer, [portrait], batch=16, wait_s=0.01)
    assert (found, sizes) == (["happy"], [1])


def test_a_batch_of_one_is_a_run_for_each(recognizer):
    found, sizes = runs(recognizer, [portrait] * 3, batch=1, wait_s=60)
    assert (found, sizes) == (["happy"] * 3, [1] * 3)


def test_without_waiting_what_is_there_shares_a_run(recognizer, monkeypatch):
    gate, asked, answer, sizes = threading.Event(), threading.Event(), recognizer.answer, []

    def slow(found):
        asked.set()
        assert gate.wait(10)
        sizes.append(len(found))
        return answer(found)

    monkeypatch.setattr(recognizer, "answer", slow)
    engine = Engine(recognizer, Settings(threads=1, wait_s=0, batch=16, limits=FEW))
    first = engine.submit(portrait)
    assert asked.wait(10)
    rest = engine.submit(*[portrait] * 4)
    until(lambda: engine._ready.qsize() == 4)
    gate.set()
    assert labels(first + rest) == ["happy"] * 5
    assert sizes == [1, 4]
    engine.close()


@pytest.mark.parametrize(("most", "boxes"), [(1, 1), (2, 2), (3, 3), (4, 3)])
def test_of_a_picture_the_largest_faces_alone_are_read(recognizer, monkeypatch, most, boxes):
    faces = [Face(Box(0, 0, side, side)) for side in (90, 60, 30)]
    monkeypatch.setattr(recognizer.detector, "detect", lambda _pixels: faces)
    engine = Engine(recognizer, Settings(limits=Limits(faces=most)))
    (seen,) = engine.submit(portrait)
    told = seen.result(10)
    assert [reading.face for reading in told.readings] == faces[:boxes]
    assert [*told.unread] == [face.box for face in faces[boxes:]]
    engine.close()


def test_a_process_that_ends_is_not_held_by_its_engine(engine):
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "mien-read")


def test_an_answer_says_which_picture_it_is_of(engine):
    (seen,) = engine.submit(Frame("a.png", PIXELS, frame=3, time_s=0.5))
    told = seen.result(10)
    assert (told.path, told.frame, told.time_s) == ("a.png", 3, 0.5)


def test_a_picture_that_waits_keeps_no_pixels(engine, recognizer, monkeypatch):
    seen = []
    answer = recognizer.answer
    monkeypatch.setattr(recognizer, "answer", lambda found: seen.extend(found) or answer(found))
    labels(engine.submit(portrait))
    assert [found.pixels for found in seen] == [None]


def test_all_pictures_of_a_request_come_in_or_none(engine):
    gate = Gate()
    inside = engine.submit(*[gate] * 6)
    with pytest.raises(Overloaded):
        engine.submit(*[portrait] * 3)
    two = engine.submit(*[portrait] * 2)
    with pytest.raises(Overloaded, match="too many pictures wait; try again in a second") as full:
        engine.submit(portrait)
    assert full.value.wait_s == 1
    gate.open()
    assert labels(inside + two) == ["happy"] * 8
    assert free(engine) == 8


def upload(width: int, height: int) -> Upload:
    """A grey picture, measured."""
    found = Upload(f"{width}x{height}", grey_png(width, height), Limits())
    found.measure()
    return found


def grey_png(width: int, height: int) -> bytes:
    return bytes(cv2.imencode(".png", np.full((height, width), 90, np.uint8))[1])


@pytest.mark.parametrize("name", ["1921x1080", "1920x1080"])
def test_a_small_picture_does_not_wait_for_large_ones(recognizer, monkeypatch, name):
    """Though every thread for large ones is taken; another large one does wait."""
    gate, find = threading.Event(), recognizer.find
    large = upload(1000, 3000)

    def slow(item):
        assert item is not large or gate.wait(10)
        return find(item)

    monkeypatch.setattr(recognizer, "find", slow)
    engine = Engine(recognizer, Settings(threads=1))
    asked = engine.submit(large, client="a")
    (other,) = engine.submit(upload(*map(int, name.split("x"))), client="a")
    if name == "1920x1080":
        other.result(10)
    else:
        with pytest.raises(TimeoutError):
            other.result(0.2)
    gate.set()
    wait([*asked, other])
    engine.close()


def test_clients_take_turns_and_so_do_the_requests_of_each(recognizer, monkeypatch):
    read, find = [], recognizer.find
    monkeypatch.setattr(recognizer, "find", lambda item: read.append(item.name) or find(item))
    engine = Engine(recognizer, Settings(threads=1))
    gate = Gate()
    inside = engine.submit(gate)
    until(lambda: read == ["me"])
    for client, names in (("a", "a1 a2 a3"), ("a", "A1 A2"), ("b", "b1 b2")):
        named = [Frame(name, grey.pixels) for name in names.split()]
        inside += engine.submit(*named, client=client)
    gate.open()
    wait(inside)
    assert read[1:] == ["a1", "b1", "A1", "b2", "a2", "A2", "a3"]
    engine.close()


class Bad:
    """A picture that cannot be loaded."""

    name = "bad"
    index = None

    def load(self) -> Frame:
        raise PictureError("no picture")


def test_what_cannot_be_loaded_is_its_own_answer(engine):
    one, other = engine.submit(Bad(), portrait)
    (reading,) = one.result(10).readings
    assert (reading.status, reading.error, reading.path) == ("unreadable", "no picture", "bad")
    assert labels([other]) == ["happy"]
    assert free(engine) == 8


def test_what_fails_to_load_is_told_to_its_caller_alone(engine, monkeypatch):
    monkeypatch.setattr(Bad, "load", lambda _self: 1 / 0)
    one, other = engine.submit(Bad(), portrait)
    with pytest.raises(ZeroDivisionError):
        one.result(10)
    assert labels([other]) == ["happy"]
    assert free(engine) == 8


def test_whoever_gives_up_makes_room_once(engine):
    gate = Gate()
    inside = engine.submit(*[gate] * 8)
    until(lambda: [future.running() for future in inside] == [True] * 2 + [False] * 6)
    gone = [future for future in inside if future.cancel()]
    assert gone == inside[2:]
    gate.open()
    wait(inside)
    with pytest.raises(CancelledError):
        gone[0].result()
    assert free(engine) == 8


def test_as_many_pictures_are_found_at_once_as_the_settings_have_threads(recognizer):
    threads = cores() + 1
    engine = Engine(
        recognizer,
        Settings(threads=threads, limits=Limits(queue=2 * threads, files=1, client_share=1)),
    )
    gate = Gate()
    inside = engine.submit(*[gate] * 2 * threads)
    until(lambda: sum(future.running() for future in inside) >= threads)
    assert [future.running() for future in inside] == [True] * threads + [False] * threads
    gate.open()
    engine.close()


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
    with pytest.raises(Overloaded, match="stopping"):
        late.result(1)


def test_an_engine_that_is_closed_has_no_thread_left(recognizer, monkeypatch):
    """A batch that waits for more when the end comes is answered, and is the last."""
    made = Engine(recognizer, Settings(threads=2, batch=50, wait_s=60))
    (answer,) = made.submit(portrait)
    until(lambda: made._ready.empty() and made._inside.taken == 1)
    closing = threading.Thread(target=made.close, daemon=True)
    closing.start()
    closing.join(30)
    assert not closing.is_alive()
    assert answer.done()
    assert not made._reader.is_alive()


def test_closing_waits_for_the_last_answer(recognizer, monkeypatch):
    answered, real = threading.Event(), recognizer.answer

    def answer(found):
        assert answered.wait(10)
        return real(found)

    monkeypatch.setattr(recognizer, "answer", answer)
    made = Engine(recognizer, Settings(threads=1))
    (future,) = made.submit(portrait)
    until(lambda: made._ready.empty())
    closing = threading.Thread(target=made.close, daemon=True)
    closing.start()
    closing.join(0.2)
    assert closing.is_alive(), "an answer is still to come"
    answered.set()
    closing.join(30)
    assert future.done()
    assert not closing.is_alive()


def test_opencv_shares_no_picture_among_threads(recognizer, monkeypatch):
    chosen = []
    monkeypatch.setattr("mien.serve.engine.cv2.setNumThreads", chosen.append)
    Engine(recognizer, Settings(threads=1)).close()
    assert chosen == [1]


def test_many_threads_at_once(engine):
    answers: list[str | None] = []

    def ask() -> None:
        for _ in range(3):
            try:
                answers.extend(labels(engine.submit(portrait)))
            except Overloaded:
                refused.append(True)

    refused: list[bool] = []
    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(answers) == {"happy"}
    assert len(answers) + len(refused) == 36
    assert free(engine) == 8
