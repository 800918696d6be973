"""Photos a second of `mien recognize --on local` on 1, 2, ... cores, and a model of more cores.

    python research/measure/curve.py [--times 4] [--rounds 3] [--gbit 25] [--kb 65]

Each run is made with two numbers of photos of 640x480 px, in turns: the difference is the time of a
photo, what remains is the start (Ray, its workers, the networks). A worker's memory is what it has
for itself, the most of one that was seen, each second. The model: n cores read n times what one
does, times what the last measured core adds; the command that gives out the work reads the list at
the pace measured here; the store sends `--gbit` a second of photos of `--kb`. The least of the
three counts. It leaves out machines that are slower than others, and a part of 500 photos at the
end for which all others wait. About 6 minutes on two quiet cores; needs mien[ray].
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from mien.demo import PORTRAIT

PART = 500
"""Photos of a part (`mien.cluster.plan.PHOTOS`), so that each core has as many as the others."""
MILLION = 1_000_000
TOLD = """
import atexit, sys, time
atexit.register(lambda: print("command", time.process_time(), file=sys.stderr))
from mien.cli import main
main()
"""


def draw(album: Path, photos: int) -> None:
    """The portrait at other places and sizes, before noise."""
    face = cv2.imread(str(PORTRAIT))[:300, 120:340]
    rng = np.random.default_rng(0)
    album.mkdir()
    for number in range(photos):
        canvas = rng.normal(rng.integers(60, 180), 12, (480, 640, 3)).clip(0, 255).astype(np.uint8)
        height = int(rng.integers(120, 400))
        small = cv2.resize(face, (height * 220 // 300, height), interpolation=cv2.INTER_AREA)
        x, y = int(rng.integers(0, 640 - small.shape[1])), int(rng.integers(0, 480 - height))
        canvas[y : y + height, x : x + small.shape[1]] = small
        cv2.imwrite(str(album / f"{number:06d}.jpg"), canvas, [cv2.IMWRITE_JPEG_QUALITY, 80])


def own_mb() -> float:
    """MB that the largest of Ray's workers has for itself (Linux)."""
    found = [0.0]
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cmdline").read_bytes().startswith(b"ray::"):
                lines = (process / "smaps_rollup").read_text().splitlines()
                found.append(sum(int(n.split()[1]) for n in lines if n.startswith("Private")))
    return max(found) / 1000


def read(album: Path, cores: int) -> tuple[float, float, float]:
    """Seconds of a run on so many cores, processor seconds of the command alone, MB of a worker."""
    with tempfile.TemporaryDirectory() as out:
        begun = time.monotonic()
        done = subprocess.Popen(
            [sys.executable, "-c", TOLD, "recognize", album, "--on", "local", "--parquet", out],
            preexec_fn=lambda: os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores]),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        largest, told = 0.0, None
        while told is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                told = done.communicate(timeout=1)[1]
            largest = max(largest, own_mb())
        seconds = time.monotonic() - begun
    if done.returncode:
        raise SystemExit(told)
    own = next(line for line in told.splitlines() if line.startswith("command "))
    return seconds, float(own.split()[1]), largest


def shown(values: list[float], form: str = ".1f") -> str:
    """The median and the range."""
    told = f"{statistics.median(values):{form}}"
    return f"{told} [{min(values):{form}}, {max(values):{form}}]"


def model(
    one: float, gain: float, command_s: float, start_s: float, gbit: float, kb: float
) -> None:
    """A line for each number of cores."""
    print(f"\nmodel: {gbit:g} Gbit/s, {kb:.0f} kB a photo")
    print("| cores | photos/s | bound by | a million, hours |\n|---|---|---|---|")
    for cores in (1, 2, 8, 32, 128, 512):
        rates = {
            "cores": one * (1 + gain * (cores - 1)),
            "the command": 1 / command_s,
            "the store": gbit * 1e9 / 8 / (kb * 1000),
        }
        bound = min(rates, key=lambda name: rates[name])
        hours = (start_s + MILLION / rates[bound]) / 3600
        print(f"| {cores} | {rates[bound]:,.0f} | {bound} | {hours:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=4, help="as many photos, in longer runs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--gbit", type=float, default=25)
    parser.add_argument("--kb", type=float, help="of a photo; default: as drawn")
    asked = parser.parse_args()
    all_cores = range(1, len(os.sched_getaffinity(0)) + 1)
    short = PART * all_cores[-1]
    rates: dict[int, list[float]] = {n: [] for n in all_cores}
    starts: dict[int, list[float]] = {n: [] for n in all_cores}
    command: list[float] = []
    memory: list[float] = []
    with tempfile.TemporaryDirectory() as place:
        few, many = Path(place) / "few", Path(place) / "many"
        draw(few, short)
        draw(many, asked.times * short)
        more = (asked.times - 1) * short
        kb = asked.kb or statistics.mean(f.stat().st_size for f in many.iterdir()) / 1000
        for _ in range(asked.rounds):
            for cores in all_cores:
                short_s, short_own, _ = read(few, cores)
                long_s, long_own, largest = read(many, cores)
                memory.append(largest)
                rates[cores].append(more / (long_s - short_s))
                starts[cores].append(short_s - short / rates[cores][-1])
                command.append((long_own - short_own) / more)
    print(f"{short} and {asked.times * short} photos; median of {asked.rounds} [least, greatest]")
    print("| cores | photos/s | beside one | start, s |\n|---|---|---|---|")
    for cores in all_cores:
        beside = [a / b for a, b in zip(rates[cores], rates[1], strict=True)]
        print(
            f"| {cores} | {shown(rates[cores])} | {shown(beside, '.2f')} | {shown(starts[cores])} |"
        )
    print(f"the command itself: {shown([1000 * s for s in command], '.2f')} ms a photo")
    print(f"the largest worker: {shown(memory, '.0f')} MB of its own")
    one, last = (statistics.median(rates[n]) for n in (1, all_cores[-1]))
    gain = (last / one - 1) / (all_cores[-1] - 1) if all_cores[-1] > 1 else 1.0
    start = statistics.median(starts[all_cores[-1]])
    model(one, gain, statistics.median(command), start, asked.gbit, kb)


if __name__ == "__main__":
    main()
