#!/usr/bin/env python3
"""Is any file of a large folder lost, or read twice, also by a run that is killed again and again?

    scripts/batches.py --files 5000 --kills 10

Makes a folder of mixed files from a seed (photos in nine formats, films and animated pictures among
them, 2 % of all broken, 1 % foreign), runs `mien recognize` on it, and looks for each file in the
table or in the line of what was left out. Then the same again, killed (SIGKILL) at random moments
and continued with --resume: table, JSON lines, segments and summary must be the same bytes.
"""

import argparse
import csv
import io
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from mien.demo import PORTRAIT

FILM_SHARE, BROKEN_SHARE, FOREIGN_SHARE = 0.02, 0.02, 0.01
_FORMATS = {
    **{".jpg": "JPEG", ".JPG": "JPEG", ".jfif": "JPEG", ".png": "PNG", ".webp": "WEBP"},
    **{".bmp": "BMP", ".tif": "TIFF", ".ppm": "PPM", ".avif": "AVIF", ".gif": "GIF", "": "PNG"},
}
_FILMS = (".mp4", ".mkv", ".avi", ".webp", ".png")
_FOREIGN = (".txt", ".pdf", ".doc", ".json", "")
_TABLES = {"--csv": "table.csv", "--jsonl": "table.jsonl", "--segments": "segments.csv"}
_TABLES["--summary"] = "summary.csv"


def main() -> int:
    """Exit code: 1 if a file was lost or the bytes differ."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--detector", default="yunet")
    parser.add_argument("--model", default="mien-m-int8")
    given = parser.parse_args()
    rng = np.random.default_rng(given.seed)
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        kinds = make_folder(place / "album", given.files, rng)
        options = ["--model", given.model, "--detector", given.detector]
        faults = compare(place, kinds, options, given.kills, rng)
    for fault in faults:
        print(f"FAULT: {fault}")
    return int(bool(faults))


def compare(
    place: Path, kinds: dict[str, str], options: list[str], kills: int, rng: np.random.Generator
) -> list[str]:
    """What is wrong with an undisturbed run, and with one that is killed and continued."""
    counts = {kind: [*kinds.values()].count(kind) for kind in sorted(set(kinds.values()))}
    print("files:", ", ".join(f"{count} {kind}" for kind, count in counts.items()))
    began = time.monotonic()
    done = start(place, "whole", options)
    _, told = done.communicate()
    took_s = time.monotonic() - began
    print(f"undisturbed: {took_s:.1f} s, exit code {done.returncode}")
    faults = lost(place, kinds, told)
    killed = killed_run(place, options, kills, took_s, rng)
    print(f"killed {killed} times and continued")
    for name in _TABLES.values():
        one, other = ((place / run / name).read_bytes() for run in ("whole", "killed"))
        print(f"{name}: {len(one):,} bytes, {'the same' if one == other else 'OTHERS'}")
        faults += [f"{name} is not the same after {killed} kills"] * (one != other)
    return faults


def start(place: Path, run: str, options: list[str]) -> "subprocess.Popen[str]":
    """A run of `mien recognize` into a folder of its own; continued, if its table is there."""
    tables = [word for option, name in _TABLES.items() for word in (option, f"{run}/{name}")]
    resume = ["--resume"] * (place / run / "table.csv").exists()
    return subprocess.Popen(
        [sys.executable, "-m", "mien", "recognize", "album", *options, *tables, *resume],
        cwd=place,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")},
    )


def killed_run(
    place: Path, options: list[str], kills: int, took_s: float, rng: np.random.Generator
) -> int:
    """How often a run was killed before one came to its end."""
    killed = 0
    for wait_s in rng.uniform(0.05, 0.9, kills) * took_s / max(1, kills):
        run = start(place, "killed", options)
        grown(place / "killed" / "table.csv", run)
        try:
            run.communicate(timeout=wait_s)
        except subprocess.TimeoutExpired:
            run.send_signal(signal.SIGKILL)
            killed += 1
        run.communicate()
    start(place, "killed", options).communicate()
    return killed


def grown(table: Path, run: "subprocess.Popen[str]") -> None:
    """Wait until the run writes, so that each one gets on."""
    before = table.stat().st_size if table.exists() else 0
    while run.poll() is None and (not table.exists() or table.stat().st_size <= before):
        time.sleep(0.01)


def lost(place: Path, kinds: dict[str, str], told: str) -> list[str]:
    """Files that are neither in the table nor named, and those that are not as they should be."""
    with (place / "whole" / "table.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    read: dict[str, set[str]] = {}
    for row in rows:
        read.setdefault(row["path"].removeprefix("album/"), set()).add(row["status"])
    line = re.search(r"files? left out: (.*)", told)
    named = set(line[1].split(", ")) if line else set()
    faults = [
        f"{name} ({kind}) is {fault}"
        for name, kind in kinds.items()
        if (fault := _fault(kind, read.get(name, set()), name in named))
    ]
    places = [int(row["index"]) for row in rows]
    if places != sorted(places) or len(set(places)) != len(read):
        faults.append("the items are not in order, or have not each a number of its own")
    print(f"{len(read)} files in {len(rows)} rows, {len(named)} left out; {len(faults)} faults")
    return faults


def _fault(kind: str, statuses: set[str], named: bool) -> str | None:
    """What is wrong with a file that has these statuses in the table."""
    if kind in ("foreign", "hidden"):
        return "in the table" if statuses else None if named == (kind == "foreign") else "misnamed"
    if not statuses:
        return "lost"
    return None if ("unreadable" in statuses) == (kind == "broken") else f"{sorted(statuses)}"


def make_folder(folder: Path, files: int, rng: np.random.Generator) -> dict[str, str]:
    """File name below `folder` -> photo, film, broken, foreign or hidden."""
    shares = {
        _foreign: FOREIGN_SHARE,
        _broken: BROKEN_SHARE,
        _film: FILM_SHARE,
        _hidden: 0.002,
    }
    kinds = {}
    for number in range(files):
        draw, make = rng.random(), _photo
        for maker, share in shares.items():
            if 0 <= draw < share:
                make = maker
            draw -= share
        suffix, data = make(rng)
        stem = f"{number:05}" + rng.choice(["", " ", ", a", "-ä", "'\""])
        stem = f".{stem}" if make is _hidden else f"{number:05}" if make is _foreign else stem
        path = folder / f"{rng.integers(0, 20):02}" / f"{stem}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        kinds[path.relative_to(folder).as_posix()] = make.__name__.strip("_")
    return kinds


def _picture(rng: np.random.Generator) -> Image.Image:
    """The portrait, in some size and place, or a wall."""
    side = int(rng.integers(64, 200))
    wall = Image.new("RGB", (side, side), tuple(int(v) for v in rng.integers(0, 256, 3)))
    if rng.random() < 0.7:
        with Image.open(PORTRAIT) as portrait:
            wall.paste(portrait.resize((side, side)), (int(rng.integers(0, side // 3)), 0))
    return wall


def _photo(rng: np.random.Generator) -> tuple[str, bytes]:
    suffix = str(rng.choice([*_FORMATS]))
    out = io.BytesIO()
    _picture(rng).save(out, _FORMATS[suffix])
    return suffix, out.getvalue()


def _hidden(rng: np.random.Generator) -> tuple[str, bytes]:
    return _photo(rng)


def _film(rng: np.random.Generator) -> tuple[str, bytes]:
    suffix, pictures = str(rng.choice(_FILMS)), [_picture(rng).resize((128, 96)) for _ in range(6)]
    out = io.BytesIO()
    if suffix in (".webp", ".png"):
        pictures[0].save(
            out, _FORMATS[suffix], save_all=True, append_images=pictures[1:], duration=40
        )
        return suffix, out.getvalue()
    names = {".mp4": "mp4", ".mkv": "matroska", ".avi": "avi"}
    with av.open(out, "w", format=names[suffix]) as film:
        stream: Any = film.add_stream("libx264", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for picture in pictures:
            film.mux(stream.encode(av.VideoFrame.from_image(picture)))
        film.mux(stream.encode())
    return suffix, out.getvalue()


def _broken(rng: np.random.Generator) -> tuple[str, bytes]:
    """Cut short, emptied, or nonsense under a good name."""
    suffix = str(rng.choice([".jpg", ".png", ".webp", ".mp4", ".tif"]))
    if suffix != ".mp4" and rng.random() < 0.6:
        out = io.BytesIO()
        _picture(rng).save(out, _FORMATS[suffix])
        return suffix, out.getvalue()[: len(out.getvalue()) // 2]
    return suffix, rng.bytes(int(rng.choice([0, 500])))


def _foreign(rng: np.random.Generator) -> tuple[str, bytes]:
    return str(rng.choice(_FOREIGN)), b"some text, and no picture at all\n" * 3


if __name__ == "__main__":
    sys.exit(main())
