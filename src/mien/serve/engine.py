"""Pictures of many requests → readings: found on threads, classified in shared batches."""

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import cv2

from mien.errors import MienError
from mien.recognizer import Recognizer
from mien.serve.settings import Settings
from mien.sources import Frame
from mien.stream import Found, Seen, cores


class Full(MienError):
    """More pictures wait than may."""

    wait_s = 1
    """Until it is worth another try."""


@dataclass(slots=True)
class _Waiting:
    found: Found
    answer: "Future[Seen]"


class Engine:
    """One recogniser for many callers, from many threads.

    At most `limits.queue` pictures are inside; `submit` raises Full beyond. Faces of pictures that
    are found within `wait_s` of each other share a run of the network, up to `batch` of them; of a
    picture, the `limits.faces` largest are read.
    """

    def __init__(self, recognizer: Recognizer, settings: Settings) -> None:
        self.recognizer = recognizer
        self.batches: Callable[[int], None] = lambda _faces: None
        """Told the faces of each batch."""
        self._batch, self._wait_s = settings.batch, settings.wait_s
        self._most, self._faces = settings.limits.queue, settings.limits.faces
        self._inside = 0
        self._lock = threading.Lock()
        # Not a SimpleQueue: its get(timeout) can wait for ever (CPython 3.11, docs/decisions.md).
        self._ready: queue.Queue[_Waiting | None] = queue.Queue()
        self._finders = ThreadPoolExecutor(settings.threads or cores(), "mien-find")
        self._reader = threading.Thread(target=self._read, name="mien-read", daemon=True)
        cv2.setNumThreads(1)  # pictures side by side instead of threads within each
        self._reader.start()

    def submit(self, *loads: Callable[[], Frame]) -> "list[Future[Seen]]":
        """What each of `loads` gives, read: all are accepted, or none and Full is raised.

        A load runs on a thread, and its MienErrors are its answer.
        """
        with self._lock:
            if self._inside + len(loads) > self._most:
                raise Full("too many pictures wait; try again in a second")
            self._inside += len(loads)
        return [self._accepted(load) for load in loads]

    def close(self) -> None:
        """Finish what was accepted, then stop."""
        self._finders.shutdown(wait=True)
        self._ready.put(None)
        self._reader.join()

    def _accepted(self, load: Callable[[], Frame]) -> "Future[Seen]":
        answer: Future[Seen] = Future()
        answer.add_done_callback(self._left)
        try:
            self._finders.submit(self._find, load, answer)
        except RuntimeError:  # shut down
            answer.set_exception(Full("the service is stopping; try again in a while"))
        return answer

    def _left(self, _answer: "Future[Seen]") -> None:
        with self._lock:
            self._inside -= 1

    def _find(self, load: Callable[[], Frame], answer: "Future[Seen]") -> None:
        if not answer.set_running_or_notify_cancel():
            return
        try:
            self._ready.put(_Waiting(self._few(self.recognizer.find(load())), answer))
        except Exception as error:  # noqa: BLE001 - the caller is told, whatever it was
            answer.set_exception(error)

    def _few(self, found: Found) -> Found:
        """Its largest faces, without the picture, which would take memory while it waits."""
        most = self._faces
        return replace(
            found,
            faces=found.faces[:most],
            inputs=found.inputs[:most],
            sharpness=found.sharpness[:most],
            pixels=None,
        )

    def _read(self) -> None:
        while True:
            waiting, ended = self._gather()
            if waiting:
                self._answer(waiting)
            if ended:
                return

    def _gather(self) -> tuple[list[_Waiting], bool]:
        """Pictures until a batch is full or the first has waited long enough; whether to end."""
        first = self._ready.get()
        if first is None:
            return [], True
        gathered, faces = [first], len(first.found.faces)
        until = time.monotonic() + self._wait_s
        while faces < self._batch:
            try:
                left = max(0.0, until - time.monotonic())
                following = self._ready.get(timeout=left) if left else self._ready.get_nowait()
            except queue.Empty:
                return gathered, False
            if following is None:
                return gathered, True
            gathered.append(following)
            faces += len(following.found.faces)
        return gathered, False

    def _answer(self, waiting: list[_Waiting]) -> None:
        self.batches(sum(len(w.found.faces) for w in waiting))
        try:
            seen = self.recognizer.answer([w.found for w in waiting])
        except Exception as error:  # noqa: BLE001 - every caller of the batch is told
            for one in waiting:
                one.answer.set_exception(error)
            return
        for one, answer in zip(waiting, seen, strict=True):
            one.answer.set_result(answer)
