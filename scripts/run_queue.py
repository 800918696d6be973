"""Train what `research/queue.md` lists, one entry after the other, in the background.

    python scripts/run_queue.py --place CACHE --data fer2013.zip --votes ferplus_votes.csv
    python scripts/run_queue.py --place CACHE --status

Takes the first entry that has no row in `results/runs.csv`. Works from a clone of the commit at
which the entry was begun, in `CACHE/NAME`, at low priority, one at a time. After an interruption
the same command goes on after the last whole epoch. At the end: evaluations on PublicTest (plain
with field accuracy, mirrored) and a row by `scripts/results.py add`. To try an entry again that
failed or was given up, delete its folder. (A script named queue.py would hide Python's module.)
"""

import argparse
import contextlib
import csv
import dataclasses
import fcntl
import math
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import yaml

ROOT = Path(__file__).parents[1]
ENTRY = re.compile(r"^## (\S+)\n.*?^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
VIEWS = {"plain": ["--jitter"], "flip": []}


@dataclasses.dataclass(frozen=True)
class Entry:
    """A training: a recipe with changes, and the folder for all of it."""

    name: str
    home: Path
    recipe: str
    what: str  # for the table of runs
    set: tuple[str, ...] = ()
    give_up: tuple[int, float] = (0, 0)
    """Stop if after so many epochs no validation accuracy (0-1) was as high as that."""

    def state(self) -> str:
        """Done, failed, given-up, begun or waiting."""
        with (ROOT / "results" / "runs.csv").open(newline="") as file:
            if self.name in {row["name"] for row in csv.DictReader(file)}:
                return "done"
        for mark in ("failed", "given-up"):
            if (self.home / mark).exists():
                return f"{mark}: {(self.home / mark).read_text()}"
        if not (self.home / "tree").exists():
            return "waiting"
        found = accuracies(self.home / "run")
        return f"begun: {len(found)} epochs, best {max(found, default=0):.4f}"

    def open(self) -> bool:
        """Whether there is something to do."""
        return self.state().startswith(("begun", "waiting"))

    def commands(self, data: Path, votes: Path | None) -> Iterator[tuple[str, list[str]]]:
        """What is still to do, by names; each can be begun again."""
        mien, run = [sys.executable, "-m", "mien"], str(self.home / "run")
        if not (self.home / "trained").exists():
            train = [*mien, "train", self.recipe, "--data", str(data), "--out", run]
            train += ["--votes", str(votes)] if votes else []
            train += [word for change in self.set for word in ("--set", change)]
            resume = ["--resume"] if (self.home / "run" / "recipe.yaml").exists() else []
            yield "train", [*train, *resume]
        folders = {views: str(self.home / views) for views in VIEWS}
        for views, more in VIEWS.items():
            seen = ["--views", views, *more, "--out", folders[views]]
            yield views, [*mien, "evaluate", run, "--data", str(data), *seen]
        add = [sys.executable, str(ROOT / "scripts" / "results.py"), "add", self.name, self.what]
        yield "add", [*add, *folders.values(), "--run", run]


def entries(queue: Path, place: Path) -> list[Entry]:
    """Those of the file, in its order. Raises TypeError for a key that is none of Entry's."""
    found = ENTRY.findall(queue.read_text())
    return [Entry(name, place / name, **yaml.safe_load(facts)) for name, facts in found]


def accuracies(run: Path) -> list[float]:
    """Validation accuracy by epoch."""
    if not (run / "history.csv").exists():
        return []
    with (run / "history.csv").open(newline="") as file:
        return [float(row["val_accuracy"]) for row in csv.DictReader(file)]


def clone(home: Path) -> None:
    """The repository's last commit, whole or not at all."""
    if not (home / "tree").exists():
        shutil.rmtree(home / "new", ignore_errors=True)
        home.mkdir(parents=True, exist_ok=True)
        subprocess.run(["git", "clone", "-q", str(ROOT), str(home / "new")], check=True)
        (home / "new").rename(home / "tree")


def work(entry: Entry, given: argparse.Namespace, end: float, lock: IO[str]) -> None:
    """Bring one entry to its end. Raises KeyboardInterrupt if that is not reached."""
    clone(entry.home)
    if not (entry.home / "run" / "recipe.yaml").exists():  # it ended before it wrote anything
        shutil.rmtree(entry.home / "run", ignore_errors=True)
    for name, command in entry.commands(given.data, given.votes):
        status = execute(entry, name, command, math.inf if name == "add" else end, lock)
        if (entry.home / "given-up").exists():
            return
        if status < 0 or status == 130:  # by a signal
            raise KeyboardInterrupt
        if status:
            (entry.home / "failed").write_text(f"{name} ended with {status}, see log.txt")
            return
        (entry.home / "trained").touch()  # all that follows is quick


def execute(entry: Entry, name: str, command: list[str], end: float, lock: IO[str]) -> int:
    """Run a command in the clone; its exit status. Raises KeyboardInterrupt at `end`.

    It holds the lock, too: if this process is killed, no second one starts beside its child.
    """
    # The table is this repository's, and so is the code that knows its form.
    tree = ROOT if name == "add" else entry.home / "tree"
    where = {"cwd": tree, "env": {**os.environ, "PYTHONPATH": str(tree / "src")}}
    with (entry.home / "log.txt").open("a") as log:
        held = [lock.fileno()]
        child = subprocess.Popen(command, **where, stdout=log, stderr=log, pass_fds=held)
        try:
            while child.poll() is None and not (name == "train" and give_up(entry)):
                if time.monotonic() > end:
                    raise KeyboardInterrupt
                time.sleep(1)
        finally:
            child.terminate()  # what mien train has written stays
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(60)
            child.kill()
    return child.returncode


def give_up(entry: Entry) -> bool:
    """Whether it is not worth its time; if so, says why in its folder."""
    (epochs, least), found = entry.give_up, accuracies(entry.home / "run")
    best = max(found, default=least)
    if hopeless := len(found) >= epochs and best < least:
        (entry.home / "given-up").write_text(f"{best:.4f} after {len(found)} epochs")
    return hopeless


def run(listed: list[Entry], given: argparse.Namespace) -> None:
    """All that is open, in order."""
    end = time.monotonic() + given.hours * 3600
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    given.place.mkdir(parents=True, exist_ok=True)
    with (given.place / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.nice(10)
            for entry in filter(Entry.open, listed):
                print(f"{entry.name}: {entry.state()}", flush=True)
                work(entry, given, end, lock)
                print(f"{entry.name}: {entry.state()}", flush=True)
        except BlockingIOError:
            sys.exit(f"another queue works in {given.place}")
        except KeyboardInterrupt:
            sys.exit("stopped; the same command goes on")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("place", "data", "votes"):
        parser.add_argument(f"--{name}", type=lambda p: Path(p).resolve(), required=name == "place")
    parser.add_argument("--hours", type=float, default=math.inf, help="stop after that time")
    parser.add_argument("--status", action="store_true", help="how far each entry is")
    parser.add_argument("--dry-run", action="store_true", help="the commands of the next entry")
    given = parser.parse_args()
    listed = entries(ROOT / "research" / "queue.md", given.place)
    if given.status:
        print(*(f"{entry.name:<32} {entry.state()}" for entry in listed), sep="\n")
    elif given.data is None:
        parser.error("--data is needed")
    elif given.dry_run:
        chosen = next(filter(Entry.open, listed), None)
        commands = chosen.commands(given.data, given.votes) if chosen else ()
        print(*(shlex.join(command) for _, command in commands), sep="\n")
    else:
        run(listed, given)


if __name__ == "__main__":
    main()
