"""How many pictures a second the service reads, how long each waits, what memory that takes.

python benchmarks/service.py [--clients 32] [--requests 2000] [--batch 16] [--detector yunet]
"""

import argparse
import os
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import httpx
import numpy as np

from mien.demo import PORTRAIT
from mien.sources import read_picture

SETTLED = 0.2  # of all requests, before growth is counted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--detector", default="yunet")
    given = parser.parse_args()
    began = time.perf_counter()
    process, address = start("--batch", str(given.batch), "--detector", given.detector)
    print(f"ready after {time.perf_counter() - began:.2f} s, {resident_mb(process.pid):.0f} MB")
    try:
        load(process.pid, address, given.clients, given.requests)
    finally:
        process.terminate()
        process.wait()


def load(pid: int, address: str, clients: int, requests: int) -> None:
    data = photo()
    settled: list[float] = []
    done = threading.Semaphore(0)
    healthy: list[float] = []
    over = threading.Event()

    def client(share: int) -> tuple[list[float], int]:
        waited, refused = [], 0
        with httpx.Client(base_url=address, timeout=60) as http:
            while len(waited) < share:
                asked = time.perf_counter()
                answer = http.post("/v1/recognize", files={"pictures": ("a.jpg", data)})
                if answer.status_code == 503:
                    refused += 1
                    time.sleep(float(answer.headers["retry-after"]))
                    continue
                answer.raise_for_status()
                waited.append(time.perf_counter() - asked)
                done.release()
        return waited, refused

    def watch() -> None:
        with httpx.Client(base_url=address, timeout=60) as http:
            while not over.wait(0.2):
                asked = time.perf_counter()
                http.get("/healthz")
                healthy.append(time.perf_counter() - asked)

    def settle() -> None:
        for _ in range(int(SETTLED * requests)):
            done.acquire()
        settled.append(resident_mb(pid))

    began = time.perf_counter()
    with ThreadPoolExecutor(clients + 2) as pool:
        beside = [pool.submit(watch), pool.submit(settle)]
        shares = [requests // clients + (n < requests % clients) for n in range(clients)]
        told = list(pool.map(client, shares))
        took = time.perf_counter() - began
        over.set()
        for one in beside:
            one.result()
    waited = np.sort([second for seconds, _ in told for second in seconds]) * 1000
    p50, p95, p99 = np.percentile(waited, [50, 95, 99])
    page = httpx.get(f"{address}/metrics").text
    runs = float(re.search(r"^mien_batch_faces_count (\S+)", page, re.M)[1])  # type: ignore[index]
    print(f"{clients} clients: {len(waited) / took:.1f} pictures a second")
    print(f"answer after {p50:.0f} ms (median), {p95:.0f} ms (95 %), {p99:.0f} ms (99 %)")
    print(f"{len(waited) / runs:.1f} faces in a run; {sum(n for _, n in told)} answers were 503")
    print(
        f"/healthz after {np.median(healthy) * 1000:.0f} ms, {max(healthy) * 1000:.0f} ms at most"
    )
    grown = resident_mb(pid) - settled[0]
    print(
        f"memory: {peak_mb(pid):.0f} MB at most, {grown:+.0f} MB since request {len(waited) // 5}"
    )


def photo() -> bytes:
    picture = cv2.resize(read_picture(PORTRAIT), (640, 480))[:, :, ::-1]
    return bytes(cv2.imencode(".jpg", picture)[1])


def start(*options: str) -> tuple["subprocess.Popen[str]", str]:
    command = [sys.executable, "-m", "mien", "serve", "--port", "0", "--rate", "0", *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    while not (line := process.stderr.readline()).startswith("mien: http://"):
        assert line, "the service did not start"
    return process, line.split()[1]


def resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def peak_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1000  # type: ignore[index]


if __name__ == "__main__":
    main()
