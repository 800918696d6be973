"""Jobs of the tests: a reader that does as its video says, and what to wait for."""

import time
from pathlib import Path

from mien.serve.jobs import Job, Jobs

FILES = [
    *("overlay.mp4", "segments.csv", "summary.csv"),
    *("table.csv", "table.csv-metadata.json", "table.jsonl", "table.jsonl-metadata.json"),
    "timeline.html",
]
"""What can be fetched of a finished job."""

WORKER = """
import json, pathlib, sys, time, os
check = sys.argv[1] == "--check"
video = pathlib.Path(sys.argv[1 + check])
how = video.read_bytes()[-8:].strip().decode()
if check:
    if how == "crash":
        os.kill(os.getpid(), 11)
    sys.exit(time.sleep(20 if how == "hang" else 0))
(video.parent / "pid").write_text(str(os.getpid()))
half = video.parent / ".done.half"
half.mkdir(exist_ok=True)
(half / "table.csv").write_text("half")
print(json.dumps([1, 2]), flush=True)
if how == "slow":
    time.sleep(20)
if how == "once" and not (video.parent / "again").exists():
    (video.parent / "again").touch()
    os.kill(os.getpid(), 9)
if how == "kill":
    os.kill(os.getpid(), 9)
if how == "bad":
    sys.exit("not this way" if print("no json", flush=True) else 3)
if how == "refuse":
    sys.stderr.write("the video breaks off")
    sys.exit(2)
if how == "mute":
    sys.exit(2)
if how == "three":
    sys.exit(3)
(half / "table.csv").write_text("whole")
half.rename(video.parent / "done")
"""


def until(true, most_s: float = 10.0) -> None:
    end = time.monotonic() + most_s
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


def finished(jobs: Jobs, job: Job) -> Job:
    until(lambda: jobs.get(job.id).finished_at)
    return jobs.get(job.id)


def reader(jobs: Jobs, job: Job) -> int:
    """The process that reads a job."""
    pid = place(jobs, job) / "pid"
    until(lambda: pid.is_file() and pid.read_text() and jobs.get(job.id).frames)
    return int(pid.read_text())


def place(jobs: Jobs, job: Job) -> Path:
    (found,) = jobs._folder.path.glob(f"*{job.id}")
    return found
