"""Reads the pictures of many requests: faces are found on threads, classified in batches."""

import queue
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
from mien.sources import Frame, Item
from mien.stream import Crops, Detections, Result, batches, cores


@dataclass(slots=True)
class _Waiting:
    found: Detections
    answer: "Future[Result]"


class Camera:
    """What is known of the frames of one camera: its shot, its faces, and what they showed."""

    def __init__(self, recognizer: Recognizer) -> None:
        self.shots, self.follower = Shots(), recognizer.follower()
        self.memory = recognizer.memory()


class Engine:
    """One recogniser for many callers, from many threads.

    At most `limits.queue` pictures are inside; beyond, `submit` raises Overloaded. Faces of
    pictures that are found within `wait_s` of each other share a run of the network, up to `batch`
    of them; of a picture, the `limits.faces` largest are read.
    """

    def __init__(self, recognizer: Recognizer, settings: Settings) -> None:
        self.recognizer = recognizer
        self.batches: Callable[[int], None] = lambda _faces: None
        """Called with the number of faces of each batch."""
        self._batch, self._wait_s = settings.batch, settings.wait_s
        self._most, self._faces = settings.limits.queue, settings.limits.faces
        self._inside = 0
        self._until_s: float | None = None
        """When the first picture of the next batch has waited long enough."""
        self._lock = threading.Lock()
        # Not a SimpleQueue: its get(timeout) can wait for ever (CPython 3.11, docs/decisions.md).
        self._ready: queue.Queue[_Waiting | None] = queue.Queue()
        self._finders = ThreadPoolExecutor(settings.threads or cores(), "mien-find")
        self._reader = threading.Thread(target=self._read, name="mien-read", daemon=True)
        cv2.setNumThreads(1)  # pictures side by side instead of threads within each
        self._reader.start()

    def submit(self, *items: Item, camera: Camera | None = None) -> "list[Future[Result]]":
        """The readings of each picture; all are accepted, or none and Overloaded is raised.

        A picture is loaded on a thread; one that cannot be is an `unreadable` reading. The frame of
        a `camera` is submitted once the one before it is answered.
        """
        with self._lock:
            if self._inside + len(items) > self._most:
                raise Overloaded("too many pictures wait; try again in a second")
            self._inside += len(items)
        return [self._accepted(item, camera) for item in items]

    def close(self) -> None:
        """Finish the accepted pictures, then stop."""
        self._finders.shutdown(wait=True)
        self._ready.put(None)
        self._reader.join()

    def _accepted(self, item: Item, camera: Camera | None) -> "Future[Result]":
        answer: Future[Result] = Future()
        answer.add_done_callback(self._left)
        try:
            self._finders.submit(self._find, item, camera, answer)
        except RuntimeError:  # shut down
            answer.set_exception(Overloaded("the service is stopping; try again in a while"))
        return answer

    def _left(self, _answer: "Future[Result]") -> None:
        with self._lock:
            self._inside -= 1

    def _find(self, item: Item, camera: Camera | None, answer: "Future[Result]") -> None:
        if not answer.set_running_or_notify_cancel():
            return
        try:
            self._ready.put(_Waiting(self._few(self._found(item, camera)), answer))
        except Exception as error:  # noqa: BLE001 - any error goes to the caller
            answer.set_exception(error)

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
            crops=Crops(found.crops.inputs[:most], found.crops.small[:most]),
            pixels=None,
        )

    def _read(self) -> None:
        arriving = self._arriving()
        for batch in batches(arriving, lambda w: len(w.found.faces), self._batch, self._most):
            self._answer(batch)
            self._until_s = None

    def _arriving(self) -> Iterator[_Waiting | None]:
        """Pictures as they are found; None when the first of a batch has waited long enough."""
        while True:
            left_s = self._until_s and max(0.0, self._until_s - time.monotonic())
            try:
                waiting = self._ready.get(timeout=left_s)
            except queue.Empty:
                yield None
                continue
            if waiting is None:
                return
            self._until_s = self._until_s or time.monotonic() + self._wait_s
            yield waiting

    def _answer(self, waiting: list[_Waiting]) -> None:
        self.batches(sum(len(w.found.faces) for w in waiting))
        try:
            results = self.recognizer.answer([w.found for w in waiting])
        except Exception as error:  # noqa: BLE001 - the error goes to every caller of the batch
            for one in waiting:
                one.answer.set_exception(error)
            return
        for one, answer in zip(waiting, results, strict=True):
            one.answer.set_result(answer)
