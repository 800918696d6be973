"""Many pictures at once: reading and detecting overlap, faces of several share a network's run."""

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.types import Face, Readings

T = TypeVar("T")

BATCH = 16
"""Faces, or pictures, of which one run of the network is made."""
_BATCH_WITH_PIXELS = 4
_MOST_WORKERS = 8


@dataclass(slots=True)
class Found:
    """A picture after the detector: its faces, and their crops as the network and as
    `mien.quality` want them. `pixels` are kept on request alone: they are what takes memory."""

    path: str | None
    index: int | None
    time_s: float | None
    error: str | None
    faces: list[Face]
    inputs: NDArray[np.uint8]
    sharpness: list[float]
    pixels: NDArray[np.uint8] | None = None


@dataclass(slots=True)
class Seen:
    """A picture or frame with its readings: one per face, or one that says why there is none."""

    path: str | None
    index: int | None
    time_s: float | None
    readings: Readings
    pixels: NDArray[np.uint8] | None = None


def in_order(
    items: Iterable[T],
    find: Callable[[T], Found],
    read: Callable[[list[Found]], list[Seen]],
    workers: int | None = None,
) -> Iterator[Seen]:
    """What `read` makes of each item, in the order of `items`.

    `find` runs on threads, `read` on batches here; at most a few items are held at a time, however
    many there are.
    """
    workers = workers or min(_MOST_WORKERS, cores())
    waiting: deque[Future[Found]] = deque()
    batch: list[Found] = []
    with _single_threaded_opencv(), ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(find, item))
                while len(waiting) > 2 * workers:
                    batch.append(waiting.popleft().result())
                if _full(batch):
                    yield from read(batch)
                    batch = []
            while waiting:
                batch.append(waiting.popleft().result())
                if _full(batch):
                    yield from read(batch)
                    batch = []
            yield from read(batch)
        finally:
            for future in waiting:
                future.cancel()


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _full(batch: list[Found]) -> bool:
    most = _BATCH_WITH_PIXELS if batch and batch[-1].pixels is not None else BATCH
    return len(batch) >= most or sum(len(found.faces) for found in batch) >= BATCH


_lock = threading.Lock()
_streams = 0
_threads = 0


@contextlib.contextmanager
def _single_threaded_opencv() -> Iterator[None]:
    """Pictures side by side instead of threads within each: what OpenCV's own are is put back."""
    global _streams, _threads
    with _lock:
        if _streams == 0:
            _threads = cv2.getNumThreads()
            cv2.setNumThreads(1)
        _streams += 1
    try:
        yield
    finally:
        with _lock:
            _streams -= 1
            if _streams == 0:
                cv2.setNumThreads(_threads)
