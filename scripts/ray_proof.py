"""Does `mien recognize --on` give the rows of one machine, whatever is killed? What does it cost?

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
import contextlib
import importlib.util
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.fs as fs
import pyarrow.parquet as pq
import typer

from mien.bundle import DEFAULT
from mien.cli.clustering import recognize_on
from mien.cluster.plan import Job
from mien.demo import PORTRAIT
from mien.files import write_json
from mien.sources import read_picture

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.clips import film

MIEN = [sys.executable, "-m", "mien", "recognize"]
with socket.create_server(("127.0.0.1", 0)) as _free:
    PORT = _free.getsockname()[1]
POISON = """
import os, pathlib, signal

def read_bytes(path, read=pathlib.Path.read_bytes):
    data = read(path)
    if data.endswith(b"POISON"):
        os.kill(os.getpid(), signal.SIGSEGV)
    return data

pathlib.Path.read_bytes = read_bytes
"""
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
    return [sys.executable, __file__, "--read", album, address, out]


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


class Meter:
    """Processor seconds of all processes of this session, which a thread looks at now and then:
    Ray's workers are nobody's children."""

    def __init__(self) -> None:
        self._ticks: dict[int, int] = {}
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while True:
            self.seconds()
            time.sleep(0.3)

    def seconds(self) -> float:
        """Up to now."""
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                told = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(told[3]) == os.getsid(0):
                self._ticks[int(stat.parent.name)] = sum(map(int, told[11:13]))
        return sum([*self._ticks.values()]) / os.sysconf("SC_CLK_TCK")


def readers() -> list[int]:
    """Numbers of the processes of the actors of this session."""
    found = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        number = int(line.parent.name)
        with contextlib.suppress(OSError):
            if line.read_bytes().startswith(b"ray::Reader") and os.getsid(number) == os.getsid(0):
                found.append(number)
    return found


def rows(folder: Path | str, files: Any = None) -> pa.Table:
    """Of all parts, in their order."""
    return pq.read_table(str(folder), filesystem=files).replace_schema_metadata()


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
            else:  # none has started yet
                told.pop()
                kills.insert(0, (passed + 0.5, what))
        time.sleep(0.2)
    return f"{', '.join(told)}; exit code {run.returncode}, {time.monotonic() - begun:.0f} s"


def poisoned(folder: Path, address: str, plain: pa.Table) -> str:
    """Twenty photos, of which one ends its reader (by `POISON`), and what comes of them."""
    album = folder / "poison"
    album.mkdir(exist_ok=True)
    for photo in sorted((folder / "album").glob("photo-00001*.jpg")):
        (album / photo.name).write_bytes(photo.read_bytes())
    (album / "photo-bad.jpg").write_bytes(PORTRAIT.read_bytes() + b"POISON")
    seconds, code = timed(command(str(album), str(folder / "poison-out"), address))
    found = rows(folder / "poison-out").to_pylist()
    bad = [row for row in found if row["status"] == "unreadable"]
    wanted = [row for row in plain.to_pylist() if "photo-00001" in row["path"]]
    good = [row for row in found if row not in bad]
    said = bad[0]["error"].replace(f"{album}/", "") if len(bad) == 1 else f"{len(bad)} bad rows"
    compared = [{**row, "path": None, "index": None} for row in (*good, *wanted)]
    equal = len(bad) == 1 and compared[: len(good)] == compared[len(good) :]
    return (
        f"{'same' if equal else 'OTHER ROWS'} beside it: {said}; exit code {code}, {seconds:.0f} s"
    )


def in_a_bucket(folder: Path, address: str, plain: pa.Table) -> str:
    """A hundred photos and the films in S3 as moto serves it, read and written there."""
    server = {"scheme": "http", "endpoint_override": f"127.0.0.1:{PORT}", "region": "us-east-1"}
    query = "?" + "&".join(f"{name}={value}" for name, value in server.items())
    files = fs.S3FileSystem(allow_bucket_creation=True, **server)
    files.create_dir("mien-proof")
    names = sorted(path.name for path in (folder / "album").glob("film-*"))
    names += sorted(path.name for path in (folder / "album").glob("photo-0000*"))
    for name in names:
        with files.open_output_stream(f"mien-proof/album/{name}") as file:
            file.write((folder / "album" / name).read_bytes())
    addresses = [f"s3://mien-proof/{name}{query}" for name in ("album", "out")]
    seconds, code = timed(command(*addresses, address))

    def told(table: pa.Table) -> list[dict[str, Any]]:
        other = {"index": None, "error": None}
        rows = ({**row, "path": Path(row["path"]).name, **other} for row in table.to_pylist())
        return [row for row in rows if row["path"] in names]

    equal = told(rows("mien-proof/out", files)) == told(plain)
    return f"{'same' if equal else 'OTHER ROWS'}; exit code {code}, {seconds:.0f} s"


@contextmanager
def surroundings(folder: Path) -> Iterator[None]:
    """Poison for the processes to come, and the address of moto's S3."""
    site = folder / "site"
    site.mkdir(parents=True, exist_ok=True)
    (site / "sitecustomize.py").write_text(POISON)
    more = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}
    path = os.environ.get("PYTHONPATH", "")
    os.environ.update(more | {"PYTHONPATH": f"{site}:{path}", "AWS_EC2_METADATA_DISABLED": "true"})
    moto = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-p", str(PORT)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        moto.kill()


def main() -> None:
    ask = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    ask.add_argument("--pictures", type=int, default=20_000)
    ask.add_argument("--films", type=int, default=20)
    ask.add_argument("--runs", type=int, default=10)
    ask.add_argument("--seed", type=int, default=0)
    ask.add_argument("--out", type=Path, default=Path("ray-proof"))
    ask.add_argument("--read", nargs=3, help=argparse.SUPPRESS)
    asked = ask.parse_args()
    if asked.read:
        read(*asked.read)
        return
    random.seed(asked.seed)
    draw(asked.out / "album", asked.pictures, asked.films)
    meter = Meter()
    plain = in_one_process(asked.out, meter)
    with surroundings(asked.out), cluster() as (address, lose_a_node):
        told = [*prove(asked.out, asked.runs, address, lose_a_node, plain, meter)]
    sys.exit(any("OTHER ROWS" in line for line in told))


def in_one_process(folder: Path, meter: Meter) -> pa.Table:
    """The rows to be had; read once."""
    file, told = folder / "plain.parquet", folder / "plain.json"
    if not told.exists():
        cpu = meter.seconds()
        seconds, _ = timed([*MIEN, str(folder / "album"), "--parquet", str(file)])
        write_json(told, {"wall_s": round(seconds, 1), "cpu_s": round(meter.seconds() - cpu, 1)})
    plain = rows(file)
    print(f"one process: {len(plain):,} rows, {json.loads(told.read_text())}", flush=True)
    return plain


def prove(
    folder: Path,
    runs: int,
    address: str,
    lose_a_node: Callable[[], None],
    plain: pa.Table,
    meter: Meter,
) -> Iterator[str]:
    """A line for each run, printed."""

    def line(text: str) -> str:
        print(text, flush=True)
        return text

    cpu = meter.seconds()
    seconds, code = timed(command(str(folder / "album"), str(folder / "quiet"), address))
    cost = {"wall_s": round(seconds, 1), "cpu_s": round(meter.seconds() - cpu, 1)}
    yield line(f"two nodes: {verdict(folder / 'quiet', plain)}, exit code {code}, {cost}")
    yield line(f"poison: {poisoned(folder, address, plain)}")
    if importlib.util.find_spec("moto"):
        yield line(f"bucket: {in_a_bucket(folder, address, plain)}")
    else:
        yield line("bucket: left out; pip install 'moto[server]'")
    for number in range(runs):
        out = folder / f"killed-{number}"
        told = with_kills(folder / "album", out, address, lose_a_node, seconds * 0.9)
        yield line(f"run {number + 1}: {verdict(out, plain)}: {told}")


def verdict(folder: Path, plain: pa.Table) -> str:
    """Whether all rows and columns are equal, to the last digit."""
    return "same" if rows(folder).equals(plain) else "OTHER ROWS"


if __name__ == "__main__":
    main()
