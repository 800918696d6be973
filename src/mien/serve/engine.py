"""Pictures of many requests → readings: found on threads, classified in shared batches."""

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import cv2

from mien.errors import MienError
from mien.recognizer import Recognizer
from mien.sources import Frame
from mien.stream import Found, Seen, cores


class Full(MienError):
    """More pictures wait than may."""


@dataclass(slots=True)
class _Waiting:
    found: Found
    answer: "Future[Seen]"


class Engine:
    """One recogniser for many callers, from many threads.

    At most `most` pictures are inside; `submit` raises Full beyond. Faces of pictures that are
    found within `wait_s` of each other share a run of the network, up to `batch` of them.
    """

    def __init__(
        self, recognizer: Recognizer, *, most: int, batch: int, wait_s: float, workers: int | None
    ) -> None:
        self.recognizer = recognizer
        self.batches: Callable[[int], None] = lambda _faces: None
        """Told the faces of each batch."""
        self._batch, self._wait_s = batch, wait_s
        self._room = threading.BoundedSemaphore(most)
        self._ready: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._finders = ThreadPoolExecutor(workers or cores(), "mien-find")
        self._reader = threading.Thread(target=self._read, name="mien-read", daemon=True)
        cv2.setNumThreads(1)  # pictures side by side instead of threads within each
        self._reader.start()

    def submit(self, load: Callable[[], Frame]) -> "Future[Seen]":
        """What `load` gives, read; `load` runs on a thread, its MienErrors are the answer's."""
        if not self._room.acquire(blocking=False):
            raise Full("too many pictures wait; try again in a second")
        answer: Future[Seen] = Future()
        answer.add_done_callback(lambda _: self._room.release())
        try:
            self._finders.submit(self._find, load, answer)
        except RuntimeError as error:  # shut down
            answer.set_exception(Full(f"the service is stopping ({error})"))
        return answer

    def close(self) -> None:
        """Finish what was accepted, then stop."""
        self._finders.shutdown(wait=True)
        self._ready.put(None)
        self._reader.join()

    def _find(self, load: Callable[[], Frame], answer: "Future[Seen]") -> None:
        if not answer.set_running_or_notify_cancel():
            return
        try:
            self._ready.put(_Waiting(self.recognizer.find(load()), answer))
        except Exception as error:  # noqa: BLE001 - the caller is told, whatever it was
            answer.set_exception(error)

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
