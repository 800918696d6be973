"""Videos as jobs: each is read by its own process, kept for some time, then deleted.

What a job is lies in its folder: `job.json`, the video, and, once whole, `done/` with what was
read from it. So a job outlives its reader, and the service.
"""

import json
import logging
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal

from mien.errors import JobNotFound, MienError, Overloaded, PictureError
from mien.files import read_json, replacing, write_json
from mien.serve.folders import LockedFolder, delete_abandoned
from mien.serve.settings import Settings
from mien.serve.sharing import Share, Turn, Turns
from mien.sources.frames import VIDEO_SUFFIXES

State = Literal["waiting", "running", "done", "failed"]

REFUSED = 2
"""The exit code of a worker whose last line says what is wrong with the video."""

ROOM_WAIT_S = 60
"""Until it is worth another try where there is no room for a video."""

_PREFIX, _JOB, _DONE = "mien-job-", "job.json", "done"
_FAILED = "the reader of this video failed"
_KILLS, _RECALLS = 1, 10
_SWEEP_S, _CHECK_S = 30.0, 60.0
_log = logging.getLogger("mien.serve")


@dataclass(frozen=True, slots=True)
class Job:
    """A video and its progress."""

    id: str
    state: State = "waiting"
    blur: bool = False
    frames: int = 0
    total: int | None = None
    kills: int = 0
    """How often its reader was killed."""
    recalls: int = 0
    """How often a service was killed while it was read."""
    video: str = "video.mp4"
    """Name of the file in the job's folder."""
    error: str | None = None
    warnings: Sequence[str] = ()
    """What the video lacks."""
    finished_at: float | None = None
    """Seconds since 1970."""


class Jobs:
    """Jobs in a folder, read one after the other by `command`, a worker's without the video.
    Clients take turns; whose a job is, is known until the service ends, and not written.

    What an earlier service left waiting or half done there is read again. Finished ones are
    deleted after `settings.keep_s`.
    """

    def __init__(self, settings: Settings, command: list[str]) -> None:
        self._folder = LockedFolder(settings.jobs_folder)
        self._settings, self._command = settings, command
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._clients: dict[str, str] = {}
        limits, full = settings.limits, "too many videos wait; try again later"
        self._room = Share("videos", limits.videos, limits.client_share, full, ROOM_WAIT_S)
        self._waiting: Turns[str | None] = Turns()
        self._reading: tuple[str, subprocess.Popen[str]] | None = None
        self._stopping = threading.Event()
        self._checking = threading.Lock()
        self._recall()
        self._threads = [
            threading.Thread(target=run, name=f"mien-jobs-{run.__name__}", daemon=True)
            for run in (self._work, self._sweep)
        ]
        for thread in self._threads:
            thread.start()

    def add(self, video: BinaryIO, suffix: str, *, blur: bool, client: str = "") -> Job:
        """Accept a video and store it.

        Raises Overloaded if too many wait or the disk is full, PictureError for what is no video,
        too long or too large.
        """
        with self._lock:
            if self._stopping.is_set():
                raise Overloaded("the service is stopping; try again in a while", ROOM_WAIT_S)
            unfinished = [one.id for one in self._jobs.values() if one.finished_at is None]
            theirs = sum(self._clients.get(name) == client for name in unfinished)
            self._room.check(theirs + 1, len(unfinished) + 1)
            suffix = suffix if suffix in VIDEO_SUFFIXES else ".mp4"
            job = Job(secrets.token_urlsafe(16), blur=blur, video=f"video{suffix}")
            self._jobs[job.id], self._clients[job.id] = job, client
        try:
            self._store(job, video)
        except BaseException as error:
            self._forget(job.id)
            if isinstance(error, OSError):
                _log.error("a video cannot be stored: %s", error.strerror)
                raise Overloaded(
                    "the service has no room for a video; try again later", ROOM_WAIT_S
                ) from error
            raise
        self._wait(job.id)
        return job

    def get(self, name: str) -> Job:
        """The job as it is now; JobNotFound if there is none."""
        try:
            return self._jobs[name]
        except KeyError:
            raise JobNotFound("there is no such job, or its files have been deleted") from None

    def files(self, job: Job) -> list[str]:
        """Names of the files of a finished job."""
        try:
            return sorted(path.name for path in (self._place(job.id) / _DONE).iterdir())
        except FileNotFoundError:
            return []

    def file(self, name: str, file: str) -> Path:
        """A file of a finished job; JobNotFound if there is none of that name."""
        job = self.get(name)
        if file not in self.files(job):
            raise JobNotFound(f"the job has no file {file[:80]!r}; it is {job.state}")
        return self._place(name) / _DONE / file

    def expires_in_s(self, job: Job) -> float | None:
        """Until the job's files are deleted; None before it is finished."""
        if job.finished_at is None:
            return None
        return max(0.0, job.finished_at + self._settings.keep_s - time.time())

    def remove(self, name: str) -> None:
        """Forget a job and delete its files, finished or not."""
        self.get(name)
        self._forget(name)

    def close(self) -> None:
        """Stop reading; what is not finished stays in the folder, if it is not temporary."""
        with self._lock:
            self._stopping.set()
            if self._reading:
                self._reading[1].kill()
        self._waiting.put(Turn("", 0, None))
        for thread in self._threads:
            thread.join()
        self._folder.close()

    def _place(self, name: str) -> Path:
        return self._folder.path / f"{_PREFIX}{name}"

    def _store(self, job: Job, video: BinaryIO) -> None:
        place = self._place(job.id)
        place.mkdir(0o700)
        file = place / job.video
        with replacing(file) as out:
            shutil.copyfileobj(video, out, 1 << 20)
        self._check(file)
        write_json(place / _JOB, asdict(job))

    def _check(self, video: Path) -> None:
        """Raise PictureError for a video that will not be read.

        A process of its own opens it: FFmpeg can be made to take 600 MB for that, or to crash.
        """
        command = [*self._command, "--check", str(video)]
        try:
            with self._checking:
                done = subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    timeout=_CHECK_S,
                    start_new_session=True,
                )
        except subprocess.TimeoutExpired:
            raise PictureError(f"opening the file took longer than {_CHECK_S:g} s") from None
        reason = _last_line(done.stderr)
        if done.returncode == REFUSED:
            raise PictureError(reason)
        if done.returncode:
            _log.error("a video's check ended with %d: %s", done.returncode, reason)
            raise PictureError("the file cannot be opened as a video")

    def _recall(self) -> None:
        """Load the jobs in the folder; delete an upload that was cut off."""
        for place in sorted(self._folder.path.glob(f"{_PREFIX}*")):
            try:
                job = Job(**read_json(place / _JOB))
            except (MienError, TypeError):
                shutil.rmtree(place, ignore_errors=True)
                continue
            if place != self._place(job.id):
                continue
            self._jobs[job.id] = job
            if job.finished_at is None:
                self._resume(job)

    def _resume(self, job: Job) -> None:
        """Queue a job again that an earlier service has not finished."""
        if (self._place(job.id) / _DONE).is_dir():
            self._end(job, "done")
        elif job.recalls >= _RECALLS:
            self._end(job, "failed", f"the service was killed {_RECALLS} times while it read this")
        else:
            killed = job.state == "running"  # one that stops says that it waits
            self._save(replace(job, state="waiting", recalls=job.recalls + killed))
            self._wait(job.id)

    def _wait(self, name: str) -> None:
        self._waiting.put(Turn(self._clients.get(name, ""), 0, name))

    def _work(self) -> None:
        while (name := self._waiting.get().item) is not None and not self._stopping.is_set():
            job = self._jobs.get(name)
            if job is None:
                continue
            try:
                self._read(replace(job, state="running"))
            except Exception:  # noqa: BLE001 - the others are still to be read
                _log.exception("a video was not read")
                self._end(job, "failed", _FAILED)

    def _read(self, job: Job) -> None:
        self._save(job)
        place, began = self._place(job.id), time.monotonic()
        most_s = self._settings.limits.reading_s
        _tidy(place)
        with tempfile.TemporaryFile("w+") as errors:
            code = self._run(job, errors, most_s)
            errors.seek(0)
            reason = _last_line(errors.read())
        known = self._jobs.get(job.id)
        if known is None:  # removed: what its reader wrote since goes too
            shutil.rmtree(place, ignore_errors=True)
        elif (place / _DONE).is_dir():
            self._end(known, "done")
        elif self._stopping.is_set():
            _tidy(place)
            self._save(replace(known, state="waiting"))
        elif time.monotonic() - began >= most_s:
            self._end(known, "failed", f"reading it took longer than {most_s:g} s; send less")
        elif code < 0 and job.kills < _KILLS:  # not the video's fault
            self._save(replace(known, state="waiting", kills=job.kills + 1))
            self._wait(job.id)
        elif code == REFUSED and reason:
            self._end(known, "failed", reason)
        else:
            _log.error("a video's reader ended with %d: %s", code, reason)
            self._end(known, "failed", _FAILED)

    def _run(self, job: Job, errors: IO[str], most_s: float) -> int:
        """The exit code of the process that reads it; its progress is taken up on the way."""
        command = [*self._command, str(self._place(job.id) / job.video)]
        command.append("--blur" if job.blur else "--no-blur")
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,  # Ctrl-C is for the service, which decides
        ) as process:
            with self._lock:
                self._reading = (job.id, process)
                if self._stopping.is_set() or job.id not in self._jobs:
                    process.kill()
            late = threading.Timer(most_s, process.kill)
            late.start()
            try:
                for line in process.stdout or ():
                    job = _advanced(job, json.loads(line))
                    self._update(job)
                return process.wait()
            finally:
                late.cancel()
                process.kill()
                with self._lock:
                    self._reading = None

    def _end(self, job: Job, state: State, error: str | None = None) -> None:
        """The job is finished: its video goes at once, the rest when its time is over."""
        place = self._place(job.id)
        _tidy(place)
        self._save(replace(job, state=state, error=error, finished_at=time.time()))
        (place / job.video).unlink(missing_ok=True)

    def _sweep(self) -> None:
        while not self._stopping.wait(min(_SWEEP_S, self._settings.keep_s)):
            delete_abandoned()
            for job in list(self._jobs.values()):
                if self.expires_in_s(job) == 0:
                    self._forget(job.id)

    def _forget(self, name: str) -> None:
        with self._lock:
            self._jobs.pop(name, None)
            self._clients.pop(name, None)
            if self._reading and self._reading[0] == name:
                self._reading[1].kill()
        shutil.rmtree(self._place(name), ignore_errors=True)

    def _update(self, job: Job) -> None:
        with self._lock:
            if job.id in self._jobs:
                self._jobs[job.id] = job

    def _save(self, job: Job) -> None:
        """Remember the job as it is now, on the disk too if that can be."""
        with self._lock:
            if job.id not in self._jobs:  # removed meanwhile
                return
            self._jobs[job.id] = job
            try:
                write_json(self._place(job.id) / _JOB, asdict(job))
            except OSError as error:  # a full disk; a later service would read it again
                _log.error("the state of a job cannot be stored: %s", error.strerror)


def _advanced(job: Job, told: Any) -> Job:
    """The job after a line of its reader: frames read and in all, or what the video lacks."""
    if isinstance(told, dict):
        return replace(job, warnings=told["warnings"])
    done, total = told
    return replace(job, frames=done, total=total)


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]


def _tidy(place: Path) -> None:
    """Delete the unfinished files of a killed reader."""
    for left in place.glob(".*"):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def worker_command(settings: Settings, detector: str) -> list[str]:
    """The command of a process that reads a job."""
    command = [
        *(sys.executable, "-m", "mien.serve.worker", "--model", settings.model),
        *("--detector", detector, "--device", settings.device),
        *("--seconds", str(settings.limits.video_s)),
        *("--pixels", str(settings.limits.pixels)),
    ]
    return command if settings.threads is None else [*command, "--threads", str(settings.threads)]
