"""Reads the pictures of many requests: faces are found on threads, classified in batches.

Clients take turns, with a picture each. A large picture takes seconds, so large ones have threads
of their own: a small one waits for small ones alone.
"""

import itertools
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import cv2

from mien.errors import MienError, Overloaded
from mien.faces.shots import Shots
from mien.recognizer import Recognizer
from mien.serve.settings import Settings
from mien.serve.sharing import Room, Share, Turn, Turns
from mien.serve.uploads import Upload
from mien.sources import Frame, Item
from mien.stream import Crops, Detections, Result, batches, cores

SMALL_PX = 1920 * 1080
"""A picture with more is large. This one takes 0.09 s, one of 25 million pixels 2.2 s."""

_LARGE_NICE = 5  # as that of the readers of videos


@dataclass(slots=True)
class _Asked:
    item: Item
    camera: "Camera | None"
    answer: "Future[Result]"


@dataclass(slots=True)
class _Found:
    found: Detections
    answer: "Future[Result]"


class _Finders:
    """Threads that find faces; whose picture is next, its `Turns` decide."""

    def __init__(
        self, threads: int, name: str, find: Callable[[Turn[_Asked]], None], nice: int = 0
    ) -> None:
        self._threads = ThreadPoolExecutor(threads, name, _yield_to_others, (nice,))
        self._turns: Turns[_Asked] = Turns()
        self._find = find

    def submit(self, turn: Turn[_Asked]) -> None:
        """RuntimeError once it is closed."""
        self._threads.submit(lambda: self._find(self._turns.get()))
        self._turns.put(turn)

    def close(self) -> None:
        """Find what was submitted, then stop."""
        self._threads.shutdown()


class Camera:
    """What is known of the frames of one camera: its shot, its faces, and what they showed."""

    def __init__(self, recognizer: Recognizer) -> None:
        self.shots, self.follower = Shots(), recognizer.follower()
        self.memory = recognizer.memory()


class Engine:
    """One recogniser for many callers, from many threads.

    At most `limits.queue` pictures of `limits.pixels_at_once` pixels are inside, and of one client
    its share; beyond, `submit` raises Overloaded. Faces of pictures that are found within `wait_s`
    of each other share a run of the network, up to `batch` of them; of a picture, the
    `limits.faces` largest are read.
    """

    def __init__(self, recognizer: Recognizer, settings: Settings) -> None:
        self.recognizer = recognizer
        self.batches: Callable[[int], None] = lambda _faces: None
        """Called with the number of faces of each batch."""
        limits = settings.limits
        self._batch, self._wait_s = settings.batch, settings.wait_s
        self._most, self._faces = limits.queue, limits.faces
        full = "too many pictures wait; try again in a second"
        each = limits.client_share
        self._inside = Room(Share("pictures", limits.queue, each, full))
        self._pixels = Room(Share("pixels", limits.pixels_at_once, each, full))
        self._requests = itertools.count()
        self._until_s: float | None = None
        """When the first picture of the next batch has waited long enough."""
        # Not a SimpleQueue: its get(timeout) can wait for ever (CPython 3.11, docs/decisions.md).
        self._ready: Turns[_Found | None] = Turns()
        threads = settings.threads or cores()
        self._small = _Finders(threads, "mien-find", self._find)
        self._large = _Finders(threads, "mien-find-large", self._find, _LARGE_NICE)
        self._reader = threading.Thread(target=self._read, name="mien-read", daemon=True)
        cv2.setNumThreads(1)  # pictures side by side instead of threads within each
        self._reader.start()

    def submit(
        self, *items: Item, client: str = "", camera: Camera | None = None
    ) -> "list[Future[Result]]":
        """The readings of each picture; all are accepted, or none and Overloaded is raised.

        A picture is loaded on a thread; one that cannot be is an `unreadable` reading. The frame of
        a `camera` is submitted once the one before it is answered.
        """
        self._inside.take(client, len(items))
        try:
            self._pixels.take(client, sum(map(_area_px, items)))
        except Overloaded:
            self._inside.leave(client, len(items))
            raise
        request = next(self._requests)
        return [self._accepted(item, client, request, camera) for item in items]

    def close(self) -> None:
        """Finish the accepted pictures, then stop."""
        self._small.close()
        self._large.close()
        self._ready.put(Turn("", -1, None))
        self._reader.join()

    def _accepted(
        self, item: Item, client: str, request: int, camera: Camera | None
    ) -> "Future[Result]":
        answer: Future[Result] = Future()
        area_px = _area_px(item)

        def left(_answer: "Future[Result]") -> None:
            self._inside.leave(client)
            self._pixels.leave(client, area_px)

        answer.add_done_callback(left)
        finders = self._large if area_px > SMALL_PX else self._small
        try:
            finders.submit(Turn(client, request, _Asked(item, camera, answer)))
        except RuntimeError:  # shut down
            answer.set_exception(Overloaded("the service is stopping; try again in a while"))
        return answer

    def _find(self, turn: Turn[_Asked]) -> None:
        asked = turn.item
        if not asked.answer.set_running_or_notify_cancel():
            return
        try:
            found = self._few(self._found(asked.item, asked.camera))
        except Exception as error:  # noqa: BLE001 - any error goes to the caller
            asked.answer.set_exception(error)
            return
        self._ready.put(Turn(turn.client, turn.request, _Found(found, asked.answer)))

    def _found(self, item: Item, camera: Camera | None) -> Detections:
        if camera is None:
            return self.recognizer.find(item)
        try:
            (frame,) = camera.shots.mark([item.load()])
        except MienError:
            return self.recognizer.find(item)  # which tells of it
        if isinstance(frame, Frame):  # what was found in the one before is not kept
            frame = replace(frame, repeats=False)
        return replace(self.recognizer.find(frame, camera.follower), memory=camera.memory)

    def _few(self, found: Detections) -> Detections:
        """The largest faces, without the pixels, which would take memory while waiting."""
        most = self._faces
        return replace(
            found,
            faces=found.faces[:most],
            unread=[face.box for face in found.faces[most:]],
            crops=Crops(found.crops.inputs[:most], found.crops.small[:most]),
            pixels=None,
        )

    def _read(self) -> None:
        arriving = self._arriving()
        for batch in batches(arriving, lambda w: len(w.found.faces), self._batch, self._most):
            self._answer(batch)
            self._until_s = None

    def _arriving(self) -> Iterator[_Found | None]:
        """Pictures as they are found; None when the first of a batch has waited long enough."""
        while True:
            left_s = self._until_s and max(0.0, self._until_s - time.monotonic())
            try:
                turn = self._ready.get(timeout=left_s)
            except queue.Empty:
                yield None
                continue
            if turn.item is not None:
                self._until_s = self._until_s or time.monotonic() + self._wait_s
                yield turn.item
            elif self._ready.empty():
                return
            else:
                self._ready.put(turn)  # the end: behind all that is found

    def _answer(self, waiting: list[_Found]) -> None:
        self.batches(sum(len(w.found.faces) for w in waiting))
        try:
            results = self.recognizer.answer([w.found for w in waiting])
        except Exception as error:  # noqa: BLE001 - the error goes to every caller of the batch
            for one in waiting:
                one.answer.set_exception(error)
            return
        for one, answer in zip(waiting, results, strict=True):
            one.answer.set_result(answer)


def _yield_to_others(nice: int) -> None:
    """Let the other threads of this process go first, where a thread can be told to."""
    if sys.platform == "linux":
        os.nice(nice)


def _area_px(item: Item) -> int:
    """Its pixels; 0 for one that is not to be decoded."""
    return item.area_px if isinstance(item, Upload) else 0
