"""Which way to serve on many cores: photos of 640x480 a second, in turns, on all cores here.

    python research/measure/replicas.py [--copies 2] [--seconds 10] [--rounds 3] [--clients 16]

One process with a thread a core; copies of `mien serve` behind nginx; uvicorn's workers; Ray Serve
(`pip install 'ray[serve]'`, left out if it is missing). `wrk` asks from the same cores, and one
address, so nginx is told to take turns here instead of keeping a client with one copy.
With `py-spy` (as root) it also tells how long one process held Python's lock, which bounds it.
"""

import argparse
import contextlib
import importlib.util
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
from service import Service, service  # noqa: E402

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--copies", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, default=16)
    given = parser.parse_args()
    ways = {"one process": one, "replicas": replicas, "uvicorn workers": workers}
    if importlib.util.find_spec("ray"):
        ways["Ray Serve"] = ray_serve
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(given.rounds):
        for name, way in ways.items():
            with way(given.copies) as server:
                server.load(given.clients, 2)  # warm
                told, _ = server.load(given.clients, given.seconds)
            rates[name].append(told["read"] / told["seconds"])
            print(
                f"{name:>16}  {rates[name][-1]:6.1f} a second, p50 {told['p50']:.0f} ms, "
                f"p95 {told['p95']:.0f} ms, failed {told['failed']:.0f}",
                flush=True,
            )
    base = rates["one process"]
    for name, found in rates.items():
        ratios = [a / b for a, b in zip(found, base, strict=True)]
        told = f"{statistics.median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]"
        print(f"{name} / one process: {told}, n = {len(ratios)}")
    locked(given)


@contextlib.contextmanager
def one(copies: int) -> Iterator[Service]:
    with service("--threads", str(copies)) as found:
        yield found


@contextlib.contextmanager
def replicas(copies: int) -> Iterator[Service]:
    """Copies of `mien serve` behind the upstream of examples/nginx.conf, which takes turns."""
    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        place.chmod(0o755)
        found = [stack.enter_context(service("--threads", "1")) for _ in range(copies)]
        servers = "".join(f"server {one.address.removeprefix('http://')};" for one in found)
        (place / "nginx.conf").write_text(
            f"daemon off; worker_processes 1; pid {place}/pid; error_log {place}/error.log;\n"
            f"events {{}} http {{ access_log off; client_body_temp_path {place}/body;"
            f"proxy_temp_path {place}/proxy; upstream mien {{ {servers} keepalive 16; }}"
            "server { listen 127.0.0.1:8765; client_max_body_size 21m;"
            "client_body_buffer_size 21m; proxy_http_version 1.1;"
            'proxy_set_header Connection ""; proxy_set_header Host $http_host;'
            "location / { proxy_pass http://mien; } } }"
        )
        command = [str(NGINX), "-p", str(place), "-c", str(place / "nginx.conf")]
        yield stack.enter_context(listening(command, 8765))


@contextlib.contextmanager
def workers(copies: int) -> Iterator[Service]:
    command = [sys.executable, "-m", "uvicorn", "--factory", "replicas_app:create", "--port"]
    command += ["8766", "--workers", str(copies), "--log-level", "warning", "--no-access-log"]
    with listening(command, 8766) as found:
        time.sleep(3)  # until all are there
        yield found


@contextlib.contextmanager
def ray_serve(copies: int) -> Iterator[Service]:
    command = [sys.executable, "-m", "replicas_app", str(copies)]
    with listening(command, 8767) as found:
        yield found


@contextlib.contextmanager
def listening(command: list[str], port: int) -> Iterator[Service]:
    """Something else than `mien serve` that answers as it does."""
    paths = [str(ROOT / "src"), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "RAY_USAGE_STATS_ENABLED": "0"}
    found = Service.__new__(Service)
    found.process = subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL)
    found.address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{found.address}/readyz").status_code == 200:
                    break
            time.sleep(0.1)
        yield found
    finally:
        found.process.terminate()
        found.process.wait()


def locked(given: argparse.Namespace) -> None:
    """The share of a second in which one process holds Python's lock, and what that allows."""
    spy = shutil.which("py-spy") or shutil.which("py-spy", path=Path(sys.executable).parent)
    if spy is None:
        return
    with one(given.copies) as server, tempfile.NamedTemporaryFile() as out:
        options = ["--gil", "--nonblocking", "-r", "200", "-d", str(given.seconds), "-f", "raw"]
        command = [spy, "record", *options, "-o", out.name, "-p", str(server.process.pid)]
        spying = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        told, _ = server.load(given.clients, given.seconds)
        spying.wait()
        held = sum(int(n) for n in re.findall(r" (\d+)$", Path(out.name).read_text(), re.M))
    share, rate = held / (200 * given.seconds), told["read"] / told["seconds"]
    print(
        f"Python's lock was held {100 * share:.0f} % of the time at {rate:.1f} a second: one "
        f"process reads at most {rate / max(share, 1e-9):.0f}, on {given.copies / share:.0f} cores"
    )


if __name__ == "__main__":
    main()
