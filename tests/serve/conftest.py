"""A service in this process, and one in a process of its own."""

import contextlib
import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import httpx
import pytest
from starlette.testclient import TestClient

from mien.serve.app import create
from mien.serve.jobs import Job, Jobs, worker_command
from mien.serve.limits import Limits
from mien.serve.settings import Settings
from tests.clips import film
from tests.serve.jobs import WORKER

Start = Callable[..., "Running"]


def settings(**chosen: Any) -> Settings:
    """Those of a test's service: all for one client, at any rate, by the name that TestClient
    asks for."""
    limits = Limits(**{"rate": 0, "client_share": 1, **chosen.pop("limits", {})})
    return Settings(hosts=("testserver",), detector="yunet", threads=1, limits=limits, **chosen)


@contextlib.contextmanager
def asking(**chosen: Any) -> Iterator[TestClient]:
    """A client of a service of its own; an error there is an answer, not an exception here."""
    with TestClient(create(settings(**chosen)), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with asking() as found:
        yield found


@dataclass
class Running:
    """`mien serve` in a process."""

    process: "subprocess.Popen[str]"
    line: str
    """What it said once it was ready."""

    @property
    def address(self) -> str:
        return self.line.split()[1]

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def stop(self, how: int = signal.SIGTERM) -> str:
        """What it wrote since it was ready."""
        self.process.send_signal(how)
        return self.process.communicate(timeout=20)[1]


@pytest.fixture(scope="module")
def start(mien_home: Path) -> Iterator[Start]:
    """`start(*options)`: a running service; it ends with the module."""
    running: list[Running] = []

    def begin(*options: str, stdout: IO[str] | None = None, **environment: str) -> Running:
        command = [sys.executable, "-m", "mien", "serve", "--port", "0", "--detector", "yunet"]
        process = subprocess.Popen(
            [*command, "--threads", "1", "--rate", "0", *options],
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        timer = threading.Timer(30, process.kill)
        timer.start()
        line = ""
        while not line.startswith("mien: http://"):
            line = process.stderr.readline()
            assert line, f"it ended with {process.wait()}"
        timer.cancel()
        running.append(Running(process, line.strip()))
        return running[-1]

    yield begin
    for one in running:
        if one.process.poll() is None:
            one.stop()


@pytest.fixture(scope="module")
def running(start: Start) -> Running:
    return start()


@pytest.fixture
def http(running: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running.address, timeout=20) as found:
        yield found


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    place = tmp_path_factory.mktemp("clips") / "c.mp4"
    return film(place, [i / 25 for i in range(5)]).read_bytes()


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """Of a worker that does as the last 8 bytes of its video say."""
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    return [sys.executable, "-S", "-E", str(script)]


@pytest.fixture
def make(tmp_path: Path, command: list[str]):
    """`make(**settings)`: jobs in the folder `jobs`, read by `command` or by the `real` one."""
    made: list[Jobs] = []

    def start(*, real: bool = False, **chosen) -> Jobs:
        limits = Limits(**{"client_share": 1, **chosen.pop("limits", {})})
        settings = Settings(limits=limits, **{"jobs_folder": tmp_path / "jobs"} | chosen)
        made.append(Jobs(settings, worker_command(settings, "yunet") if real else command))
        return made[-1]

    yield start
    for jobs in made:
        jobs.close()


@pytest.fixture
def add(clip: bytes):
    def send(jobs: Jobs, how: str = "", client: str = "") -> Job:
        video = io.BytesIO(clip + how.rjust(8).encode())
        return jobs.add(video, ".mp4", blur=False, client=client)

    return send
