import time

import cv2
import numpy as np
import pytest

from mien.stream import BATCH, Found, Seen, in_order
from mien.types import Box, Face, Readings


def found(number: int, faces: int = 1) -> Found:
    box = Face(Box(0, 0, 9, 9))
    inputs = np.zeros((faces, 8, 8), np.uint8)
    return Found(str(number), number, None, None, [box] * faces, inputs, [1.0] * faces)


def read(batch: list[Found]) -> list[Seen]:
    sizes.append(len(batch))
    return [Seen(f.path, f.index, f.time_s, Readings()) for f in batch]


sizes: list[int] = []


@pytest.mark.parametrize("workers", [1, 2, 7])
@pytest.mark.parametrize("count", [0, 1, 3, 100])
def test_answers_come_in_the_order_of_the_items(workers: int, count: int):
    def slow(number: int) -> Found:
        time.sleep(0.002 * (number % 3))
        return found(number)

    seen = list(in_order(range(count), slow, read, workers))
    assert [s.index for s in seen] == list(range(count))


def test_faces_of_many_pictures_share_a_batch_and_no_batch_grows():
    sizes.clear()
    list(in_order(range(100), lambda n: found(n, faces=n % 3), read, 2))
    assert sum(sizes) == 100
    assert max(sizes) <= BATCH
    assert len(sizes) < 20


def test_few_items_are_taken_ahead():
    taken = 0

    def items():
        nonlocal taken
        for number in range(1000):
            taken += 1
            yield number

    answers = in_order(items(), found, read, 2)
    next(answers)
    assert taken <= BATCH + 5


def test_an_error_of_a_worker_comes_out_and_opencv_s_threads_are_put_back():
    before = cv2.getNumThreads()

    def fails(number: int) -> Found:
        assert cv2.getNumThreads() == 1
        if number == 5:
            raise RuntimeError("five")
        return found(number)

    with pytest.raises(RuntimeError, match="five"):
        list(in_order(range(1000), fails, read, 2))
    assert cv2.getNumThreads() == before
