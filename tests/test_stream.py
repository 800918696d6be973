import os
import threading
from collections.abc import Iterator

import cv2
import pytest

from mien import stream
from mien.stream import BATCH, Detections, ahead, batches, cores, in_order
from mien.types import Box, Face


def found(number: int) -> Detections:
    return Detections(str(number), number, None, None, [Face(Box(0, 0, 9, 9))])


@pytest.mark.parametrize("workers", [1, 2, 7])
@pytest.mark.parametrize("count", [0, 1, 3, 100])
def test_answers_come_in_the_order_of_the_items(workers: int, count: int):
    seen = list(in_order(range(count), found, workers))
    assert [s.frame for s in seen] == list(range(count))


def test_a_slow_picture_keeps_its_place():
    second = threading.Event()

    def find(number: int) -> Detections:
        if number == 0:
            assert second.wait(30), "the second runs beside the first"
        if number == 1:
            second.set()
        return found(number)

    assert [s.frame for s in in_order(range(9), find, 2)] == list(range(9))


@pytest.mark.parametrize(
    ("faces", "most", "sizes"),
    [
        (1, BATCH, [16, 16, 8]),
        (0, BATCH, [16, 16, 8]),  # pictures without a face are counted, too
        (2, BATCH, [8, 8, 8, 8, 8]),
        (5, BATCH, [4] * 10),
        (3, BATCH, [6] * 6 + [4]),
        (40, BATCH, [1] * 40),
        (1, 4, [4] * 10),
        (9, 4, [2] * 20),
        (1, 1, [1] * 40),
    ],
)
def test_faces_of_many_pictures_share_a_batch_and_no_batch_grows(faces, most, sizes):
    made = list(batches(range(40), lambda _: faces, most_items=most))
    assert [len(batch) for batch in made] == sizes
    assert [item for batch in made for item in batch] == list(range(40))
    assert BATCH == 16


def test_a_batch_ends_where_the_items_say_so():
    items = iter([None, 1, 2, None, None, 3, None])
    assert list(batches(items, lambda _: 1)) == [[1, 2], [3]]
    assert list(batches([], lambda _: 1)) == []


def test_no_item_is_taken_before_the_last_batch_is_read():
    items = iter(range(5))
    made = batches(items, lambda _: 1, most_items=2)
    assert (next(made), next(items)) == ([0, 1], 2)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_few_items_are_taken_ahead(workers: int):
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for number in range(1000):
            taken += 1
            yield number

    answers = in_order(items(), found, workers)
    next(answers)
    assert taken == 1 + 2 * workers
    for _ in range(BATCH):
        next(answers)
    assert taken == 1 + BATCH + 2 * workers
    answers.close()


@pytest.mark.parametrize(
    ("given", "there", "used"), [(None, 3, 3), (None, 64, 8), (5, 64, 5), (12, 2, 12)]
)
def test_as_many_threads_as_cores_but_no_crowd(monkeypatch, given, there, used):
    asked = []

    class Pool(stream.ThreadPoolExecutor):
        def __init__(self, workers: int) -> None:
            asked.append(workers)
            super().__init__(workers)

    monkeypatch.setattr(stream, "ThreadPoolExecutor", Pool)
    monkeypatch.setattr(stream, "cores", lambda: there)
    list(in_order(range(3), found, given))
    assert asked == [used]


def test_cores_are_those_that_this_process_may_use(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0: {1, 5, 7}}[pid], raising=False)
    assert cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    for counted, expected in ((6, 6), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda counted=counted: counted)
        assert cores() == expected


@pytest.fixture
def opencv_threads() -> Iterator[int]:
    before = cv2.getNumThreads()
    cv2.setNumThreads(3)
    yield 3
    cv2.setNumThreads(before)


def test_an_error_of_a_worker_comes_out_and_opencv_s_threads_are_put_back(opencv_threads: int):
    def fails(number: int) -> Detections:
        assert cv2.getNumThreads() == 1
        if number == 5:
            raise RuntimeError("five")
        return found(number)

    with pytest.raises(RuntimeError, match="five"):
        list(in_order(range(1000), fails, 2))
    assert cv2.getNumThreads() == opencv_threads


def test_opencv_s_threads_are_put_back_by_the_last_of_several(opencv_threads: int):
    first, second = (in_order(range(100), found, 1) for _ in range(2))
    next(first)
    next(second)
    first.close()
    assert cv2.getNumThreads() == 1
    second.close()
    assert cv2.getNumThreads() == opencv_threads
    next(again := in_order(range(100), found, 1))
    assert cv2.getNumThreads() == 1
    again.close()
    assert cv2.getNumThreads() == opencv_threads


def test_what_waits_is_not_begun_when_nobody_listens_any_more(monkeypatch):
    begun = []
    held, release = threading.Event(), threading.Event()

    class Pool(stream.ThreadPoolExecutor):
        def __exit__(self, *error: object) -> bool | None:
            release.set()
            return super().__exit__(*error)

    def find(number: int) -> Detections:
        begun.append(number)
        if number == 1:
            held.set()
            assert release.wait(30)
        return found(number)

    monkeypatch.setattr(stream, "ThreadPoolExecutor", Pool)
    answers = in_order(range(1000), find, 1)
    next(answers)
    assert held.wait(30)
    answers.close()
    assert begun == [0, 1], "one more waited for the thread that was held"


def test_items_are_made_ahead_in_order_and_few_at_a_time():
    made: list[int] = []
    items = ahead(made.append(i) or i for i in range(100))
    assert next(items) == 0
    assert len(made) <= 6
    assert [*items] == [*range(1, 100)]
    assert made == [*range(100)]


def test_an_error_comes_behind_what_was_made_before_it():
    def items():
        yield from range(7)
        raise ValueError("broken")

    seen = []
    with pytest.raises(ValueError, match="broken"):
        seen.extend(i for i in ahead(ahead(items())) if seen.append(i) is None and False)
    assert seen == [*range(7)]


def test_who_stops_early_ends_the_thread_and_closes_the_source():
    closed = []

    def items():
        try:
            yield from range(1000)
        finally:
            closed.append(threading.current_thread())

    before = threading.active_count()
    taken = ahead(ahead(items()))
    assert next(taken) == 0
    taken.close()
    assert len(closed) == 1
    assert threading.active_count() == before
