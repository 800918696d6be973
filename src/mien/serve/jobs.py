"""Videos as jobs: accepted, read by a process of their own, kept for a while, forgotten.

What a job is lies in its folder: `job.json`, the video, and, once whole, `done/` with what was
read from it. So a job outlives its reader, and the service.
"""

import contextlib
import json
import logging
import queue
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import BinaryIO, Literal

from mien.errors import InputError, MienError
from mien.files import read_json, replacing, write_json
from mien.serve.engine import Full
from mien.sources.frames import VIDEO_SUFFIXES
from mien.sources.video import Video

State = Literal["waiting", "running", "done", "failed"]

_JOB, _DONE = "job.json", "done"
_ATTEMPTS = 2
_SWEEP_S = 30.0
_log = logging.getLogger("mien.serve")


class NoJob(MienError):
    """There is no job of that name, or no longer."""


@dataclass(frozen=True, slots=True)
class Job:
    """A video and how far it is."""

    id: str
    state: State = "waiting"
    blur: bool = False
    frames: int = 0
    total: int | None = None
    attempts: int = 0
    video: str = "video.mp4"
    """Name of the file in the job's folder."""
    error: str | None = None
    finished_at: float | None = None
    """Seconds since 1970."""


class Jobs:
    """Jobs in `folder`, read one after the other by `command`, a worker's without the folder.

    What an earlier service left waiting or half done there is read again. Finished ones are
    deleted after `keep_s`. With `folder` None, one that goes with the process.
    """

    def __init__(
        self, folder: Path | None, command: list[str], *, most: int, keep_s: float
    ) -> None:
        self._own = tempfile.TemporaryDirectory(prefix="mien-jobs-") if folder is None else None
        self.folder = Path(self._own.name) if self._own else Path(str(folder))
        self.folder.mkdir(parents=True, exist_ok=True)
        self._command, self._most, self.keep_s = command, most, keep_s
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._waiting: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._process: subprocess.Popen[str] | None = None
        self._stopping = threading.Event()
        self._recall()
        self._threads = [
            threading.Thread(target=run, name=f"mien-jobs-{run.__name__}", daemon=True)
            for run in (self._work, self._sweep)
        ]
        for thread in self._threads:
            thread.start()

    def add(self, video: BinaryIO, suffix: str, *, blur: bool, video_s: float) -> Job:
        """Accept a video: from here on it is on the disk.

        Raises Full if too many wait, PictureError for what is no video, InputError for one of more
        than `video_s` seconds.
        """
        with self._lock:
            if (
                sum(job.state in ("waiting", "running") for job in self._jobs.values())
                >= self._most
            ):
                raise Full("too many videos wait; try again later")
            suffix = suffix if suffix in VIDEO_SUFFIXES else ".mp4"
            job = Job(secrets.token_urlsafe(16), blur=blur, video=f"video{suffix}")
            self._jobs[job.id] = job
        try:
            place = self.folder / job.id / job.video
            with replacing(place) as file:
                shutil.copyfileobj(video, file, 1 << 20)
            length = Video(str(place), name="the video").facts.duration_s
            if length is not None and length > video_s:
                raise InputError(f"expected a video of at most {video_s:g} s, got {length:.0f} s")
            self._save(job)
        except BaseException:
            self._forget(job.id)
            raise
        self._waiting.put(job.id)
        return job

    def get(self, name: str) -> Job:
        """The job as it is now; NoJob if there is none."""
        try:
            return self._jobs[name]
        except KeyError:
            raise NoJob("there is no such job, or its files have been deleted") from None

    def files(self, job: Job) -> list[str]:
        """What a finished job has left to be fetched."""
        done = self.folder / job.id / _DONE
        return sorted(p.name for p in done.iterdir()) if done.is_dir() else []

    def file(self, name: str, file: str) -> Path:
        """A file of a finished job; NoJob if there is none of that name."""
        job = self.get(name)
        if file not in self.files(job):
            raise NoJob(f"the job has no file {file!r}; it is {job.state}")
        return self.folder / name / _DONE / file

    def expires_in_s(self, job: Job) -> float | None:
        """Until the job's files are deleted; None before it is finished."""
        if job.finished_at is None:
            return None
        return max(0.0, job.finished_at + self.keep_s - time.time())

    def remove(self, name: str) -> None:
        """Forget a job and delete its files, finished or not."""
        job = self.get(name)
        self._forget(name)
        if job.state == "running" and self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """Stop reading; what is not finished stays in the folder, if it is not ours."""
        self._stopping.set()
        self._waiting.put(None)
        if self._process is not None:
            self._process.terminate()
        for thread in self._threads:
            thread.join(10)
        if self._own:
            self._own.cleanup()

    def _recall(self) -> None:
        """Take up what is in the folder; an upload that was cut off is deleted."""
        for place in sorted(self.folder.iterdir()):
            if not place.is_dir():
                continue
            try:
                job = Job(**read_json(place / _JOB))
            except (MienError, TypeError):
                shutil.rmtree(place, ignore_errors=True)
                continue
            if (place / _DONE).is_dir() and job.state != "done":
                job = replace(job, state="done", finished_at=time.time())
            if job.state in ("waiting", "running"):
                job = replace(job, state="waiting")
                self._waiting.put(job.id)
            self._jobs[job.id] = job

    def _work(self) -> None:
        while (name := self._waiting.get()) is not None and not self._stopping.is_set():
            job = self._jobs.get(name)
            if job is not None:
                self._run(replace(job, state="running", attempts=job.attempts + 1))

    def _run(self, job: Job) -> None:
        self._save(job)
        place = self.folder / job.id
        command = [*self._command, str(place / job.video)]
        command.append("--blur" if job.blur else "--no-blur")
        with (
            tempfile.TemporaryFile("w+") as errors,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
        ):
            self._process = process
            assert process.stdout is not None
            for line in process.stdout:
                done, total = json.loads(line)
                self._update(replace(job, frames=done, total=total))
            code = process.wait()
            self._process = None
            errors.seek(0)
            told = errors.read().strip().splitlines()
        if self._stopping.is_set() or job.id not in self._jobs:
            return
        job = self._jobs[job.id]
        if (place / _DONE).is_dir():
            self._save(replace(job, state="done", finished_at=time.time()))
        elif code < 0 and job.attempts < _ATTEMPTS:  # killed: not the video's fault
            self._save(replace(job, state="waiting"))
            self._waiting.put(job.id)
        else:
            reason = told[-1] if told and code == 2 else "the reader of this video failed"
            self._save(replace(job, state="failed", error=reason, finished_at=time.time()))
        with contextlib.suppress(FileNotFoundError):
            if self._jobs[job.id].finished_at:
                (place / job.video).unlink()

    def _sweep(self) -> None:
        while not self._stopping.wait(min(_SWEEP_S, self.keep_s)):
            for job in list(self._jobs.values()):
                if self.expires_in_s(job) == 0:
                    self._forget(job.id)

    def _forget(self, name: str) -> None:
        with self._lock:
            self._jobs.pop(name, None)
        shutil.rmtree(self.folder / name, ignore_errors=True)

    def _update(self, job: Job) -> None:
        with self._lock:
            if job.id in self._jobs:
                self._jobs[job.id] = job

    def _save(self, job: Job) -> None:
        self._update(job)
        with contextlib.suppress(FileNotFoundError):  # removed meanwhile
            if (self.folder / job.id).is_dir():
                write_json(self.folder / job.id / _JOB, asdict(job))


def worker_command(model: str, detector: str, video_s: float) -> list[str]:
    """The command of a process that reads a job."""
    return [
        *(sys.executable, "-m", "mien.serve.worker", "--model", model),
        *("--detector", detector, "--seconds", str(video_s)),
    ]
