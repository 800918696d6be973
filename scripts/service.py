"""What the service bears: a photo of 640x480 pixels with one face, again and again, by `wrk`.

    python scripts/service.py [--clients 1 8 32 128] [--seconds 10] [--rounds 3] [--beside SRC]
    python scripts/service.py --requests 20000 --clients 32
    python scripts/service.py --fair [--rounds 3] [--beside SRC]
    python scripts/service.py --odd 200

The first prints pictures a second and waiting times, in turns with a service of other code (SRC is
the folder `src` of another checkout) or with one without shared runs of the network. Seconds of the
processor for a picture differ less than pictures a second where a machine has other work. The
second prints the memory that many requests take, of 160x120 pixels; the third how long one client's
photo takes alone and beside another client's 16 pictures of 25 million pixels. `wrk`
(github.com/wg/wrk, or `apt install wrk`) makes the requests of the first two, on the same cores.
The fourth sends so many odd requests to each address, made by schemathesis (PyPI) from the
service's description of itself; the exit code is 1 where an answer is a server error or not as
described.
"""

import argparse
import contextlib
import json
import math
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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import httpx

from mien.demo import PORTRAIT
from mien.sources import read_picture

SCRIPT = Path(__file__).with_name("recognize.lua")
PART = '--mien\r\nContent-Disposition: form-data; name="pictures"; filename="a.jpg"\r\n\r\n'
SETTLED = 2000  # requests, before growth is counted
SOCKETS = 500
EACH = 50  # small pictures alone, in each round


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32, 128])
    parser.add_argument("--seconds", type=int, default=10, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, help="look at memory instead")
    parser.add_argument("--fair", action="store_true", help="look at two clients instead")
    parser.add_argument("--odd", type=int, help="odd requests to each address instead")
    parser.add_argument("--beside", type=Path, help="folder src of other code to compare with")
    parser.add_argument("--detector", default="yunet")
    given = parser.parse_args()
    detector = ("--detector", given.detector)
    if given.odd:
        odd(given.odd)
        return
    if given.requests:
        memory(given.requests, given.clients, detector)
        return
    with contextlib.ExitStack() as stack:
        found = {"this": stack.enter_context(service(*detector))}
        if given.beside:
            found["beside"] = stack.enter_context(service(*detector, code=given.beside))
        elif not given.fair:
            found["alone"] = stack.enter_context(service(*detector, "--batch", "1"))
        if given.fair:
            fairness(found, given.rounds)
        else:
            speed(found, given.clients, given.seconds, given.rounds)


def speed(services: dict[str, "Service"], clients: list[int], seconds: int, rounds: int) -> None:
    for name, one in services.items():
        print(f"{name}: ready after {one.ready_s:.2f} s")
        with one.many_sockets():
            print(f"{name}: /healthz beside {SOCKETS} sockets: {one.health(20)}")
    print(
        "clients  service  a second      p50 / p95 / p99 ms  refused  failed  CPU ms  /healthz ms"
    )
    for number in clients:
        rates: dict[str, list[float]] = {name: [] for name in services}
        costs: dict[str, list[float]] = {name: [] for name in services}
        for _ in range(rounds):
            for name, one in services.items():
                before_s = one.processor_s()
                told, health = one.load(number, seconds)
                rates[name].append(told["read"] / told["seconds"])
                costs[name].append(1000 * (one.processor_s() - before_s) / max(1, told["read"]))
                waits = " / ".join(f"{told[p]:.0f}" for p in ("p50", "p95", "p99"))
                print(
                    f"{number:7}  {name:>7}  {rates[name][-1]:8.1f}  {waits:>22}  "
                    f"{told['refused']:7}  {told['failed']:6}  {costs[name][-1]:6.1f}  {health}",
                    flush=True,
                )
        for what, figures in (("pictures a second", rates), ("CPU", costs)):
            (first, ours), (other, theirs) = figures.items()
            ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
            print(
                f"{number:7}  {what}, {first} / {other}: {statistics.median(ratios):.2f} "
                f"[{min(ratios):.2f}, {max(ratios):.2f}], n = {rounds}"
            )
    for name, one in services.items():
        print(f"{name}: {one.peak_mb():.0f} MB at most")


def fairness(services: dict[str, "Service"], rounds: int) -> None:
    """The waiting times of a client with a small picture, whatever another one asks."""
    small, large = photo(), photo((5000, 5000), 70)
    print("service  beside      n      p50 / p95 / max ms  the other's 16 pictures s")
    waits: dict[tuple[str, bool], list[float]] = {}
    for _ in range(rounds):
        for name, one in services.items():
            with one.client("127.0.0.1") as modest, one.client("127.0.0.2") as heavy:
                recognize(modest, small)
                alone = [recognize(modest, small) for _ in range(EACH)]
                with ThreadPoolExecutor(1) as pool:
                    asked = pool.submit(recognize, heavy, large, 16)
                    time.sleep(1)  # its pictures have come in
                    beside = []
                    while not asked.done():
                        beside.append(recognize(modest, small))
                        time.sleep(0.1)
            for kind, took in ((False, alone), (True, beside)):
                waits.setdefault((name, kind), []).extend(took)
                other = f"{asked.result() / 1000:.1f}" if kind else ""
                print(f"{name:>7}  {kind!s:>6}  {quantiles(took)}  {other}", flush=True)
    for (name, kind), took in waits.items():
        print(f"{name:>7}  {kind!s:>6}  {quantiles(took)}  all {rounds} rounds")


def odd(examples: int) -> None:
    asked = ["schemathesis", "run", "--max-examples", str(examples)]
    asked += ["--generation-database", "none"]
    asked += ["--exclude-checks", "positive_data_acceptance"]  # no words are a picture
    with service() as one:
        done = subprocess.run([*asked, f"{one.address}/openapi.json"], check=False)
    sys.exit(done.returncode)


def quantiles(ms: list[float]) -> str:
    """Their number, the middle, 95 in 100 and the longest."""
    high = sorted(ms)[math.ceil(0.95 * len(ms)) - 1]
    return f"{len(ms):5}  {statistics.median(ms):6.0f} / {high:6.0f} / {max(ms):6.0f}"


def recognize(http: httpx.Client, picture: bytes, times: int = 1) -> float:
    """Milliseconds until a request of so many pictures is answered."""
    began = time.perf_counter()
    files = [("pictures", ("a.jpg", picture))] * times
    http.post("/v1/recognize", files=files).raise_for_status()
    return (time.perf_counter() - began) * 1000


def memory(requests: int, clients: list[int], options: tuple[str, ...]) -> None:
    with service(*options) as one:
        read, since, settled = 0.0, 0.0, 0.0
        while read < requests:
            for number in clients:
                read += one.load(number, 10, photo((160, 120)))[0]["read"]
            if not settled and read >= SETTLED:
                settled, since = one.resident_mb(), read
            print(f"{read:7.0f} pictures  {one.resident_mb():.1f} MB", flush=True)
        print(
            f"{one.peak_mb():.0f} MB at most; {one.resident_mb() - settled:+.1f} MB "
            f"since picture {since:.0f}"
        )


class Service:
    """One that runs in a process of its own."""

    def __init__(self, *options: str, code: Path | None = None) -> None:
        command = [sys.executable, "-m", "mien", "serve", "--port", "0", "--rate", "0", *options]
        began = time.perf_counter()
        chosen = os.environ | ({} if code is None else {"PYTHONPATH": str(code)})
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=chosen)
        assert self.process.stderr is not None
        while not (line := self.process.stderr.readline()).startswith("mien: http://"):
            assert line, "the service did not start"
        self.ready_s = time.perf_counter() - began
        self.address = line.split()[1]

    def load(
        self, clients: int, seconds: int, picture: bytes | None = None
    ) -> tuple[dict[str, float], str]:
        """What wrk tells of so many clients, and how long /healthz took meanwhile."""
        over, took = threading.Event(), []

        def watch() -> None:
            with httpx.Client(base_url=self.address, timeout=60) as http:
                while not over.wait(0.1):
                    took.append(answered_ms(http))

        beside = threading.Thread(target=watch)
        beside.start()
        with tempfile.NamedTemporaryFile() as body:
            body.write(PART.encode() + (picture or photo()) + b"\r\n--mien--\r\n")
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

    def client(self, address: str) -> httpx.Client:
        """One that has an address of its own; all of 127.0.0.0/8 are this machine's."""
        transport = httpx.HTTPTransport(local_address=address)
        return httpx.Client(base_url=self.address, transport=transport, timeout=600)

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

    def processor_s(self) -> float:
        """Seconds of the processor so far."""
        told = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")

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
def service(*options: str, code: Path | None = None) -> Iterator[Service]:
    one = Service(*options, code=code)
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


def photo(size: tuple[int, int] = (640, 480), quality: int = 95) -> bytes:
    picture = cv2.resize(read_picture(PORTRAIT), size)[:, :, ::-1]
    return bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])


if __name__ == "__main__":
    main()
