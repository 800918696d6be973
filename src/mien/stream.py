"""Threads that read pictures and find faces, and batches of faces for the network."""

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.quality import Look
from mien.types import Box, Face, Readings, Scores

if TYPE_CHECKING:
    from mien.memory import Memory

T = TypeVar("T")
R = TypeVar("R")

BATCH = 16
"""Faces, or pictures, of which one run of the network is made."""
BATCH_WITH_PIXELS = 4
"""Pictures of a run that are kept until it is over: they are what takes memory."""
_MOST_WORKERS = 8
_AHEAD = 4
_END = object()


@dataclass(slots=True, eq=False)
class Crops:
    """The faces of a picture, as the network and `mien.quality` want them."""

    inputs: Sequence[NDArray[np.uint8]] = ()
    """An (S, S) grey or (S, S, 3) RGB crop for each face."""
    small: Sequence[NDArray[np.uint8]] = ()
    """The same, grey, in `mien.quality.SIDE_PX`."""
    told: Sequence[tuple[Scores, Look]] | None = None
    """What the two say of each, once they are asked."""


@dataclass(slots=True)
class Detections:
    """A picture after the detector: its faces and their crops. `pixels` are kept on request alone:
    they are what takes memory."""

    path: str | None
    frame: int | None
    time_s: float | None
    error: str | None
    faces: Sequence[Face] = ()
    crops: Crops = field(default_factory=Crops)
    portraits: Sequence[NDArray[np.uint8] | None] = ()
    """Those of `mien.faces.people`, where people are told by their looks."""
    pixels: NDArray[np.uint8] | None = None
    index: int | None = None
    """The place of the photo or film among several, from 0."""
    new_shot: bool = False
    done: bool = False
    """Whether an interrupted run has read it, so that it has no readings."""
    repeats: bool = False
    """Whether faces and crops are those of the frame before: `repeated` fills them in."""
    memory: "Memory | None" = None
    """What a network for clips remembers of the film; None for photos and other networks."""
    unread: Sequence[Box] = ()
    """Faces that are found, but not to be read: more than a service may have."""


@dataclass(slots=True)
class Result:
    """A picture or frame with its readings: one per face, or one that says why there is none."""

    path: str | None
    frame: int | None
    time_s: float | None
    readings: Readings
    pixels: NDArray[np.uint8] | None = None
    index: int | None = None
    """The place of the photo or film among several, from 0."""
    new_shot: bool = False
    """Whether another shot of a film begins with it: there was a cut before."""
    portraits: Sequence[NDArray[np.uint8] | None] = ()
    """As in `Detections`, until the faces have their ids."""
    unread: Sequence[Box] = ()
    """As in `Detections`."""


def batches(
    items: Iterable[T | None],
    faces_of: Callable[[T], int],
    most_faces: int = BATCH,
    most_items: int = BATCH,
) -> Iterator[list[T]]:
    """Groups of `items` that share one run of the network; used for pictures, videos and requests.

    A group is whole at `most_faces` faces or `most_items` items; a None ends it before. None is
    empty.
    """
    batch: list[T] = []
    for item in items:
        if item is not None:
            batch.append(item)
            if len(batch) < most_items and sum(map(faces_of, batch)) < most_faces:
                continue
        if batch:
            yield batch
            batch = []
    if batch:
        yield batch


def in_order(items: Iterable[T], find: Callable[[T], R], workers: int | None = None) -> Iterator[R]:
    """What `find` makes of each item, on threads, in the order of `items`.

    At most a few items are held at a time, however many there are.
    """
    workers = workers or min(_MOST_WORKERS, cores())
    waiting: deque[Future[R]] = deque()
    with _single_threaded_opencv(), ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(find, item))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def repeated(found: Iterable[Detections]) -> Iterator[Detections]:
    """The same frames; one that repeats the frame before has its faces, its crops and all that is
    told of them."""
    before: Detections | None = None
    for one in found:
        if one.repeats and before is not None:
            one = replace(one, faces=before.faces, crops=before.crops, portraits=before.portraits)
        before = replace(one, pixels=None)
        yield one


def ahead(items: Iterable[T]) -> Iterator[T]:
    """The same items in the same order, made by a thread, a few before they are asked for."""
    source = iter(items)
    with _single_threaded_opencv(), ThreadPoolExecutor(1) as pool:
        waiting = deque(pool.submit(next, source, _END) for _ in range(_AHEAD))
        try:
            while (item := waiting.popleft().result()) is not _END:
                waiting.append(pool.submit(next, source, _END))
                yield item  # type: ignore[misc]  # not the end
        finally:
            for future in waiting:
                future.cancel()


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_lock = threading.Lock()
_streams = 0
_threads = 0


@contextlib.contextmanager
def _single_threaded_opencv() -> Iterator[None]:
    """One OpenCV thread for each picture, as several are read at once; restored afterwards."""
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
