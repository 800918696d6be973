"""What the service bears: a photo of 640x480 pixels with one face, again and again, by `wrk`.

    python scripts/service.py [--clients 1 8 32 128] [--seconds 10] [--rounds 3]
    python scripts/service.py --requests 20000 --clients 32

The first prints pictures a second and waiting times with and without shared runs of the network,
in turns; the second the memory that many requests take. `wrk` (github.com/wg/wrk, or `apt install
wrk`) makes the requests, on the same cores as the service.
"""

import argparse
import contextlib
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import httpx

from mien.demo import PORTRAIT
from mien.sources import read_picture

SCRIPT = Path(__file__).with_name("recognize.lua")
PART = '--mien\r\nContent-Disposition: form-data; name="pictures"; filename="a.jpg"\r\n\r\n'
SETTLED = 2000  # requests, before growth is counted
SOCKETS = 500


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32, 128])
    parser.add_argument("--seconds", type=int, default=10, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, help="look at memory instead")
    parser.add_argument("--detector", default="yunet")
    given = parser.parse_args()
    if given.requests:
        memory(given.requests, given.clients, given.detector)
    else:
        speed(given.clients, given.seconds, given.rounds, given.detector)


def speed(clients: list[int], seconds: int, rounds: int, detector: str) -> None:
    with (
        service("--detector", detector) as shared,
        service("--detector", detector, "--batch", "1") as alone,
    ):
        print(f"ready after {shared.ready_s:.2f} and {alone.ready_s:.2f} s")
        with shared.many_sockets():
            print(f"/healthz beside {SOCKETS} sockets: {shared.health(20)}")
        print("clients  shared  a second      p50 / p95 / p99 ms  refused  failed  /healthz ms")
        for number in clients:
            rates: dict[str, list[float]] = {"yes": [], "no": []}
            for _ in range(rounds):
                for name, one in (("yes", shared), ("no", alone)):
                    told, health = one.load(number, seconds)
                    rates[name].append(told["read"] / told["seconds"])
                    waits = " / ".join(f"{told[p]:.0f}" for p in ("p50", "p95", "p99"))
                    print(
                        f"{number:7}  {name:>6}  {rates[name][-1]:8.1f}  {waits:>22}  "
                        f"{told['refused']:7}  {told['failed']:6}  {health}",
                        flush=True,
                    )
            ratios = [a / b for a, b in zip(rates["yes"], rates["no"], strict=True)]
            print(
                f"{number:7}  shared / alone: {statistics.median(ratios):.2f} "
                f"[{min(ratios):.2f}, {max(ratios):.2f}], n = {rounds}"
            )
        print(f"memory: {shared.peak_mb():.0f} MB at most, {alone.peak_mb():.0f} MB alone")


def memory(requests: int, clients: list[int], detector: str) -> None:
    with service("--detector", detector) as one:
        read, since, settled = 0.0, 0.0, 0.0
        while read < requests:
            for number in clients:
                read += one.load(number, 10)[0]["read"]
            if not settled and read >= SETTLED:
                settled, since = one.resident_mb(), read
            print(f"{read:7.0f} pictures  {one.resident_mb():.1f} MB", flush=True)
        print(
            f"{one.peak_mb():.0f} MB at most; {one.resident_mb() - settled:+.1f} MB "
            f"since picture {since:.0f}"
        )


class Service:
    """One that runs in a process of its own."""

    def __init__(self, *options: str) -> None:
        command = [sys.executable, "-m", "mien", "serve", "--port", "0", "--rate", "0", *options]
        began = time.perf_counter()
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        while not (line := self.process.stderr.readline()).startswith("mien: http://"):
            assert line, "the service did not start"
        self.ready_s = time.perf_counter() - began
        self.address = line.split()[1]

    def load(self, clients: int, seconds: int) -> tuple[dict[str, float], str]:
        """What wrk tells of so many clients, and how long /healthz took meanwhile."""
        over, took = threading.Event(), []

        def watch() -> None:
            with httpx.Client(base_url=self.address, timeout=60) as http:
                while not over.wait(0.1):
                    took.append(answered_ms(http))

        beside = threading.Thread(target=watch)
        beside.start()
        with tempfile.NamedTemporaryFile() as body:
            body.write(PART.encode() + photo() + b"\r\n--mien--\r\n")
            body.flush()
            options = [f"-d{seconds}s", "-t1", f"-c{clients}", "--timeout", "60s", "-s"]
            told = subprocess.run(
                ["wrk", *options, str(SCRIPT), f"{self.address}/v1/recognize"],
                env=os.environ | {"MIEN_BODY": body.name},
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        over.set()
        beside.join()
        return json.loads(told.splitlines()[-1]), described(took)

    @contextlib.contextmanager
    def many_sockets(self) -> Iterator[None]:
        """Clients that say nothing, or only the beginning of a request."""
        host, port = self.address.removeprefix("http://").split(":")
        head = b"POST /v1/recognize HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"
        with contextlib.ExitStack() as stack:
            for number in range(SOCKETS):
                found = stack.enter_context(socket.create_connection((host, int(port)), 15))
                found.sendall(head[: number % 3 * 40])
            yield

    def health(self, times: int) -> str:
        """How long /healthz takes."""
        with httpx.Client(base_url=self.address, timeout=60) as http:
            return described([answered_ms(http) for _ in range(times)])

    def resident_mb(self) -> float:
        """Of memory, now."""
        return self._mb("VmRSS")

    def peak_mb(self) -> float:
        """Of memory, at most so far."""
        return self._mb("VmHWM")

    def _mb(self, name: str) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"{name}:\s+(\d+)", status)[1]) * 1024 / 1e6  # type: ignore[index]


@contextlib.contextmanager
def service(*options: str) -> Iterator[Service]:
    one = Service(*options)
    try:
        yield one
    finally:
        one.process.terminate()
        one.process.wait()


def answered_ms(http: httpx.Client) -> float:
    began = time.perf_counter()
    http.get("/healthz").raise_for_status()
    return (time.perf_counter() - began) * 1000


def described(ms: list[float]) -> str:
    return f"{statistics.median(ms):.0f}, at most {max(ms):.0f}"


def photo() -> bytes:
    picture = cv2.resize(read_picture(PORTRAIT), (640, 480))[:, :, ::-1]
    return bytes(cv2.imencode(".jpg", picture)[1])


if __name__ == "__main__":
    main()
