"""Does `mien recognize --on` give the rows of one machine, whatever is killed? And what does it cost?

    python scripts/ray_proof.py --pictures 20000 --films 20 --runs 10 --out FOLDER

Draws small photos and films of the portrait in the package, one film long enough to be read in
pieces, broken files among them, and reads them in one process. Then Ray's own cluster of two
nodes on this machine reads them: the rows must be the same, and the time at most 15 % longer. Then
in each of `--runs` a worker, a node and the command itself are killed (SIGKILL) at random moments;
the node comes back and the command is repeated, as a user would. Last, a photo that ends its reader
each time must become a row, and with moto installed a bucket is read and written. A table is
printed; the exit code is 1 if rows differ. Needs mien[ray]; run it where little else runs.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import typer

from mien.bundle import DEFAULT
from mien.cli.clustering import recognize_on
from mien.cluster.plan import Job
from mien.demo import PORTRAIT
from mien.files import write_json
from mien.sources import read_picture
from tests.clips import film

MIEN = [sys.executable, "-m", "mien", "recognize"]
PHOTOS, PIECE_S = 100, 8.0
"""Smaller parts than usual: a test of a few minutes has as many crashes of parts as a long run."""


def draw(album: Path, pictures: int, films: int) -> None:
    """Photos of 160x120 px, nearly all with a face of another place and size, and films."""
    if (album / "done").exists():
        return
    album.mkdir(parents=True, exist_ok=True)
    face, rng = read_picture(PORTRAIT)[:300, 120:340, ::-1], np.random.default_rng(0)
    for number in range(pictures):
        canvas = np.full((120, 160, 3), rng.integers(40, 200, 3), np.uint8)
        height = int(rng.integers(70, 118))
        small = cv2.resize(face, (height * 220 // 300, height), interpolation=cv2.INTER_AREA)
        x, y = int(rng.integers(0, 160 - small.shape[1])), int(rng.integers(0, 120 - height))
        if number % 10:
            canvas[y : y + height, x : x + small.shape[1]] = small
        cv2.imwrite(str(album / f"photo-{number:06d}.jpg"), canvas)
    (album / "photo-000003.jpg").write_bytes(b"no picture")
    for number in range(films):
        seconds = 40 if number == 0 else int(rng.integers(1, 5))
        times = [frame / 10 + number for frame in range(10 * seconds)]
        play = film(album / f"film-{number:03d}.mp4", [t - times[0] for t in times], (320, 180))
        if number == 1:
            play.write_bytes(play.read_bytes()[: play.stat().st_size * 2 // 3])
    (album / "done").touch()


@contextmanager
def cluster() -> Iterator[tuple[str, Callable[[], None]]]:
    """The address of a cluster of two nodes of one core each, and what kills the second one and
    adds another."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    node: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 2**27}
    made = Cluster(initialize_head=True, head_node_args=node)
    others = [made.add_node(**node)]

    def lose_a_node() -> None:
        made.remove_node(others.pop(), allow_graceful=False)
        others.append(made.add_node(**node))

    try:
        yield made.address, lose_a_node
    finally:
        made.shutdown()


def command(album: str, out: str, address: str) -> list[str]:
    """What does as `mien recognize ALBUM --on ADDRESS --parquet OUT` does, with smaller parts."""
    return [sys.executable, __file__, "--read", album, address, "--out", out]


def read(album: str, address: str, out: str) -> None:
    """That command."""
    options = {"device": "auto", "threads": None, "identify": False}
    job = Job(out, DEFAULT, recognizer=options, photos=PHOTOS, piece_s=PIECE_S)
    try:
        recognize_on(address, [album], job, cards=0.0)
    except typer.Exit as code:
        sys.exit(code.exit_code)


def timed(wanted: list[str], **more: Any) -> tuple[float, int]:
    """Seconds, and the exit code."""
    begun = time.monotonic()
    code = subprocess.run(wanted, check=False, **more).returncode
    return time.monotonic() - begun, code


def cpu_s() -> float:
    """Processor seconds of all processes below this one, those that are over too."""
    ticks, parents = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        number = int(stat.parent.name)
        parents[number], ticks[number] = int(name[1]), sum(map(int, name[11:15]))
    below = {os.getpid()}
    for _ in range(9):
        below |= {number for number, parent in parents.items() if parent in below}
    return sum(ticks.get(number, 0) for number in below) / os.sysconf("SC_CLK_TCK")


def readers() -> list[int]:
    """Numbers of the processes of Ray's actors."""
    found = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if line.read_bytes().startswith(b"ray::Reader"):
                found.append(int(line.parent.name))
        except OSError:
            continue
    return found


def rows(folder: Path | str, files: Any = None) -> pa.Table:
    """Of all parts, in their order."""
    return pq.read_table(str(folder), filesystem=files).replace_schema_metadata()


def same(found: pa.Table, plain: pa.Table) -> bool:
    """Whether all rows and columns are equal, to the last digit."""
    return bool(found.equals(plain))


def with_kills(
    album: Path, out: Path, address: str, lose_a_node: Callable[[], None], last_s: float
) -> str:
    """Run until it is through; what was killed on the way, and when."""
    kills = sorted((random.uniform(2, last_s), what) for what in ("worker", "node", "driver"))
    begun, told = time.monotonic(), []
    run = subprocess.Popen(command(str(album), str(out), address))
    while run.poll() is None or kills:
        passed = time.monotonic() - begun
        if run.poll() is not None and (run.returncode != -signal.SIGKILL):
            break
        if kills and passed >= kills[0][0]:
            _, what = kills.pop(0)
            told.append(f"{what} {passed:.0f} s")
            if what == "driver":
                run.kill()
                run.wait()
                run = subprocess.Popen(command(str(album), str(out), address))
            elif what == "node":
                lose_a_node()
            elif found := readers():
                os.kill(random.choice(found), signal.SIGKILL)
            else:
                told[-1] += " (none)"
        time.sleep(0.2)
    return f"{', '.join(told)}; exit code {run.returncode}, {time.monotonic() - begun:.0f} s"


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    ask.add_argument("--pictures", type=int, default=20_000)
    ask.add_argument("--films", type=int, default=20)
    ask.add_argument("--runs", type=int, default=10)
    ask.add_argument("--seed", type=int, default=0)
    ask.add_argument("--out", type=Path, required=True)
    ask.add_argument("--read", nargs=2, help=argparse.SUPPRESS)
    asked = ask.parse_args()
    if asked.read:
        read(*asked.read, str(asked.out))
        return
    random.seed(asked.seed)
    album, wrong = asked.out / "album", 0
    draw(album, asked.pictures, asked.films)
    plain_file = asked.out / "plain.parquet"
    cpu, told = cpu_s(), asked.out / "plain.json"
    if not told.exists():
        seconds, _ = timed([*MIEN, str(album), "--parquet", str(plain_file)])
        write_json(told, {"wall_s": seconds, "cpu_s": cpu_s() - cpu})
    plain, cost = rows(plain_file), json.loads(told.read_text())
    print(f"one process: {len(plain):,} rows, {cost}", flush=True)
    with cluster() as (address, lose_a_node):
        cpu = cpu_s()
        seconds, code = timed(command(str(album), str(asked.out / "quiet"), address))
        equal = same(rows(asked.out / "quiet"), plain)
        wrong += not equal
        print(
            f"two nodes: {'same rows' if equal else 'OTHER ROWS'}, exit code {code}, "
            f"{{'wall_s': {seconds:.1f}, 'cpu_s': {cpu_s() - cpu:.1f}}}",
            flush=True,
        )
        for number in range(asked.runs):
            out = asked.out / f"killed-{number}"
            told = with_kills(album, out, address, lose_a_node, seconds * 0.9)
            equal = same(rows(out), plain)
            wrong += not equal
            print(f"run {number + 1}: {told}: {'same' if equal else 'OTHER ROWS'}", flush=True)
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
