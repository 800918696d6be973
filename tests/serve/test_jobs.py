"""Videos: accepted, read, kept, forgotten; what is killed loses nothing."""

import errno
import io
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from mien.errors import InputError, PictureError
from mien.serve import folders
from mien.serve.engine import Full
from mien.serve.jobs import Job, Jobs, NoJob, worker_command
from mien.serve.run import serve
from mien.serve.settings import Limits, Settings
from mien.sources.video import Video
from tests.clips import film, scene
from tests.serve.conftest import asking

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
(half / "table.csv").write_text("whole")
half.rename(video.parent / "done")
"""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    place = tmp_path_factory.mktemp("clips") / "c.mp4"
    return film(place, [i / 25 for i in range(5)]).read_bytes()


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """Of a worker that does as the last 8 bytes of its video say."""
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    return [sys.executable, "-S", "-E", str(script)]


@pytest.fixture
def make(tmp_path: Path, command: list[str]):
    """`make(**settings)`: jobs in the folder `jobs`, read by `command` or by the `real` one."""
    made: list[Jobs] = []

    def start(*, real: bool = False, **chosen) -> Jobs:
        limits = Limits(**chosen.pop("limits", {}))
        settings = Settings(limits=limits, **{"jobs_folder": tmp_path / "jobs"} | chosen)
        made.append(Jobs(settings, worker_command(settings, "haar") if real else command))
        return made[-1]

    yield start
    for jobs in made:
        jobs.close()


@pytest.fixture
def add(clip: bytes):
    def send(jobs: Jobs, how: str = "") -> Job:
        return jobs.add(io.BytesIO(clip + how.rjust(8).encode()), ".mp4", blur=False)

    return send


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
    (found,) = jobs._own.path.glob(f"*{job.id}")
    return found


def test_a_job_is_read_and_told(make, add):
    jobs = make()
    job = finished(jobs, add(jobs))
    assert (job.state, job.frames, job.total, job.error) == ("done", 1, 2, None)
    assert jobs.files(job) == ["table.csv"]
    assert jobs.file(job.id, "table.csv").read_text() == "whole"
    until(lambda: sorted(p.name for p in place(jobs, job).iterdir()) == ["done", "job.json", "pid"])


@pytest.mark.parametrize(
    ("how", "state", "error"),
    [
        ("once", "done", None),
        ("kill", "failed", "the reader of this video failed"),
        ("bad", "failed", "the reader of this video failed"),
        ("refuse", "failed", "the video breaks off"),
    ],
)
def test_a_reader_that_ends_badly_ends_its_own_job_alone(make, add, how, state, error):
    jobs = make()
    one, other = add(jobs, how), add(jobs)
    assert (finished(jobs, one).state, jobs.get(one.id).error) == (state, error)
    assert finished(jobs, other).state == "done"
    assert not list(place(jobs, one).glob(".*"))


def test_a_reader_that_does_not_end_is_given_up(make, add):
    jobs = make(limits={"reading_s": 0.5})
    job = finished(jobs, add(jobs, "slow"))
    assert job.state == "failed"
    assert "took longer than 0.5 s" in job.error


def test_a_service_that_stops_leaves_what_it_accepted_to_the_next(make, add, command):
    jobs = make()
    running, waiting = add(jobs, "slow"), add(jobs)
    pid = reader(jobs, running)
    jobs.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not list(place(jobs, running).glob(".*"))
    command[-1] = str(Path(command[-1]).with_name("fast.py"))
    Path(command[-1]).write_text(WORKER.replace("sleep(20)", "sleep(0)"))
    again = make()
    assert finished(again, running).state == finished(again, waiting).state == "done"
    assert again.get(running.id).recalls == 0


def kill_service(jobs: Jobs, job: Job) -> None:
    """As SIGKILL while `job` is read: what is on the disk stays as it is."""
    reader(jobs, job)
    folder = place(jobs, job)
    told = (folder / "job.json").read_text()
    jobs.close()
    (folder / "job.json").write_text(told)
    (folder / "pid").unlink()


def test_kills_of_the_service_are_no_kills_of_the_reader(make, add):
    jobs = make()
    job = add(jobs, "slow")
    for _ in range(4):
        kill_service(jobs, job)
        jobs = make()
    for kills in range(2):
        pid = reader(jobs, job)
        assert (jobs.get(job.id).kills, jobs.get(job.id).recalls) == (kills, 4)
        (place(jobs, job) / "pid").unlink()
        os.kill(pid, signal.SIGKILL)
    assert finished(jobs, job).error == "the reader of this video failed"


def test_a_video_that_takes_the_service_with_it_is_given_up(make, add, monkeypatch):
    monkeypatch.setattr("mien.serve.jobs._RECALLS", 2)
    jobs = make()
    job, waiting = add(jobs, "slow"), add(jobs)
    for _ in range(3):
        kill_service(jobs, job)
        jobs = make()
    assert finished(jobs, job).state == "failed"
    assert "killed 2 times" in jobs.get(job.id).error
    assert finished(jobs, waiting).state == "done"
    assert jobs.get(waiting.id).recalls == 0


def test_a_job_that_was_done_before_the_service_was_killed_is_kept(make, add):
    jobs = make()
    job = finished(jobs, add(jobs))
    jobs.close()
    told = json.loads((place(jobs, job) / "job.json").read_text())
    (place(jobs, job) / "job.json").write_text(
        json.dumps(told | {"state": "running", "finished_at": None})
    )
    (place(jobs, job) / ".done.half").mkdir()
    again = make()
    assert again.get(job.id).state == "done"
    assert again.file(job.id, "table.csv").read_text() == "whole"
    assert not list(place(jobs, job).glob(".*"))


def test_only_its_own_folders_are_touched(make, tmp_path):
    mine = tmp_path / "jobs" / "holiday"
    mine.mkdir(parents=True)
    (mine / "photo.jpg").write_bytes(b"x")
    cut_off = tmp_path / "jobs" / "mien-job-abc"
    cut_off.mkdir()
    (cut_off / ".video.mp4.x").write_bytes(b"x")
    make()
    assert (mine / "photo.jpg").is_file()
    assert not cut_off.exists()


def test_a_folder_belongs_to_one_service(make):
    make()
    with pytest.raises(InputError, match="another service"):
        make()


def test_a_second_service_in_a_folder_is_told_at_once(make):
    jobs = make()
    with pytest.raises(InputError, match="another service"):
        serve(Settings(jobs_folder=jobs._own.path), "127.0.0.1", 0)


def test_nobody_else_can_look_into_a_job(make, add):
    jobs = make()
    job = add(jobs, "slow")
    assert place(jobs, job).stat().st_mode & 0o777 == 0o700
    assert jobs._own.path.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("how", ["", "slow"])
def test_a_removed_job_leaves_nothing(make, add, how):
    jobs = make()
    running, waiting = add(jobs, how), add(jobs)
    folder = place(jobs, running)
    pid = reader(jobs, running) if how else 0
    jobs.remove(running.id)
    with pytest.raises(NoJob):
        jobs.get(running.id)
    finished(jobs, waiting)  # and it is no other reader that was ended
    assert jobs.get(waiting.id).kills == 0
    assert not folder.exists()
    if pid:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_files_go_when_their_time_is_over(make, add):
    jobs = make(keep_s=0.2)
    job = add(jobs)
    folder = place(jobs, job)
    until(lambda: not folder.exists())
    with pytest.raises(NoJob):
        jobs.get(job.id)


def test_too_many_are_refused(make, add):
    jobs = make(limits={"jobs": 2})
    one, other = add(jobs, "slow"), add(jobs)
    with pytest.raises(Full):
        add(jobs)
    jobs.remove(one.id)
    finished(jobs, other)
    assert finished(jobs, add(jobs)).state == "done"


@pytest.mark.parametrize("data", [b"", b"nonsense", b"#EXTM3U\nhttp://localhost/\n"])
def test_what_is_no_video_is_refused_without_saying_where_it_lay(make, data):
    jobs = make(real=True)
    with pytest.raises(PictureError, match="the file cannot be opened") as told:
        jobs.add(io.BytesIO(data), ".mp4", blur=False)
    assert "mien-job" not in str(told.value)
    assert not list(jobs._own.path.glob("mien-job-*"))


@pytest.mark.parametrize("limits", [{"video_s": 0.1}, {"pixels": 10_000}])
def test_what_is_too_long_or_too_large_is_refused(make, add, limits):
    jobs = make(real=True, limits=limits)
    with pytest.raises(PictureError, match="at most"):
        add(jobs)
    assert not list(jobs._own.path.glob("mien-job-*"))


@pytest.mark.parametrize(("how", "words"), [("crash", "cannot be opened"), ("hang", "took longer")])
def test_what_cannot_even_be_opened_costs_its_own_process_alone(make, add, monkeypatch, how, words):
    monkeypatch.setattr("mien.serve.jobs._CHECK_S", 5 if how == "crash" else 0.5)
    jobs = make()
    with pytest.raises(PictureError, match=words):
        add(jobs, how)
    assert not list(jobs._own.path.glob("mien-job-*"))


def test_a_full_disk_refuses_videos_and_ends_nothing(make, add, monkeypatch):
    jobs = make()
    job = add(jobs, "slow")
    reader(jobs, job)

    def full(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("mien.serve.jobs.shutil.copyfileobj", full)
        with pytest.raises(Full, match="no room"):
            add(jobs)
        patch.setattr("mien.serve.jobs.write_json", full)
        os.kill(reader(jobs, job), signal.SIGKILL)
        until(lambda: jobs.get(job.id).kills == 1)
        jobs.remove(job.id)
    assert finished(jobs, add(jobs)).state == "done"


def test_many_at_once_are_each_read_removed_or_refused(make, add):
    jobs = make(limits={"jobs": 6})

    def use(number: int) -> None:
        try:
            job = add(jobs)
        except Full:
            return
        if number % 2:
            jobs.remove(job.id)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: all(job.finished_at for job in jobs._jobs.values()))
    assert {job.state for job in jobs._jobs.values()} <= {"done"}
    known = {f"mien-job-{name}" for name in jobs._jobs}
    assert {p.name for p in jobs._own.path.glob("mien-job-*")} == known


def test_a_temporary_folder_goes_with_the_service_or_with_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr(folders.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(folders.tempfile, "tempdir", str(tmp_path))
    killed = tmp_path / "mien-jobs-killed"
    killed.mkdir()
    (killed / "video.mp4").write_bytes(b"x")
    living = folders.Own(None)
    for old in (killed, living.path):
        os.utime(old, (1, 1))
    mine = folders.Own(None)
    assert not killed.exists()
    assert living.path.is_dir()
    mine.close()
    assert not mine.path.exists()
    living.close()


def test_what_a_service_left_a_moment_ago_goes_in_a_while(make, tmp_path, monkeypatch):
    monkeypatch.setattr(folders.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(folders, "_YOUNG_S", 0.5)
    monkeypatch.setattr("mien.serve.jobs._SWEEP_S", 0.1)
    killed = tmp_path / "mien-jobs-killed"
    killed.mkdir()
    (killed / "video.mp4").write_bytes(b"x")
    jobs = make(jobs_folder=None)
    assert killed.exists()
    until(lambda: not killed.exists())
    assert jobs._own.path.is_dir()


def test_a_video_is_read_through_and_through(clip, tmp_path):
    with asking(jobs_folder=tmp_path / "jobs") as client:
        given = {"files": {"video": ("me.mp4", clip)}, "data": {"blur": "true"}}
        sent = client.post("/v1/videos", **given)
        assert sent.status_code == 202
        where = f"/v1/videos/{sent.json()['id']}"
        until(lambda: client.get(where).json()["state"] in ("done", "failed"), 60)
        told = client.get(where).json()
        assert (told["state"], told["frames"], told["error"]) == ("done", 5, None)
        assert told["files"] == ["overlay.mp4", "segments.csv", "table.csv", "table.jsonl"]
        assert 0 < told["expires_in_s"] <= 3600
        table = client.get(f"{where}/table.csv").text
        assert table.count("happy") >= 5
        assert str(tmp_path) not in table
        overlay = client.get(f"{where}/overlay.mp4", headers={"range": "bytes=0-99"})
        assert (overlay.status_code, len(overlay.content)) == (206, 100)
        for name in ("job.json", "..%2fjob.json", ".lock", "overlay.mp4%00"):
            assert client.get(f"{where}/{name}").status_code == 404
        assert client.delete(where).status_code == 204
        assert client.get(where).status_code == 404
        assert not list((tmp_path / "jobs").glob("mien-job-*"))


def changes(film: Path) -> list[float]:
    """How far the first frame is from what was filmed, at the face and at the suit below."""
    (frame, *_) = Video(str(film))
    change = np.abs(frame.pixels.astype(float) - scene(0)).mean(axis=2)
    return [change[rows, 140:200].mean() for rows in (slice(90, 150), slice(210, 290))]


def test_a_face_is_hidden_where_that_is_asked_for_alone(clip, tmp_path):
    with asking(jobs_folder=tmp_path / "jobs") as client:
        for blur in ("true", "false"):
            given = {"files": {"video": ("me.mp4", clip)}, "data": {"blur": blur}}
            where = f"/v1/videos/{client.post('/v1/videos', **given).json()['id']}"
            until(lambda where=where: client.get(where).json()["state"] in ("done", "failed"), 60)
            overlay = client.get(f"{where}/overlay.mp4")
            (tmp_path / f"{blur}.mp4").write_bytes(overlay.content)
    (hidden, suit), (shown, same) = changes(tmp_path / "true.mp4"), changes(tmp_path / "false.mp4")
    assert hidden > 15 > 10 > max(shown, suit, same)


def test_a_video_whose_frames_grow_too_large_is_read_up_to_there(make, tmp_path):
    small = film(tmp_path / "small.ts", [i / 25 for i in range(20)], (320, 180))
    large = film(tmp_path / "large.ts", [0, 0.04], (1920, 1080), empty=True)
    joined = io.BytesIO(small.read_bytes() + large.read_bytes())
    jobs = make(real=True, limits={"pixels": 320 * 180})
    job = jobs.add(joined, ".ts", blur=False)
    until(lambda: jobs.get(job.id).finished_at, 60)
    assert jobs.get(job.id).state == "done"
    *read, last = jobs.file(job.id, "table.jsonl").read_text().splitlines()
    assert len(read) >= 18
    assert ["breaks off" in line for line in (*read, last)] == [False] * len(read) + [True]


@pytest.mark.parametrize("full", ["queue", "disk", "spool"])
def test_a_video_that_finds_no_room_may_come_again_in_a_minute(clip, monkeypatch, full):
    def no_room(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    if full == "disk":
        monkeypatch.setattr("mien.serve.jobs.shutil.copyfileobj", no_room)
    if full == "spool":
        monkeypatch.setattr("starlette.datastructures.UploadFile.write", no_room)
    with asking(limits={"jobs": 0 if full == "queue" else 1}) as client:
        answer = client.post("/v1/videos", files={"video": ("me.mp4", clip)})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")


def test_the_command_names_what_the_service_was_given():
    command = worker_command(Settings(model="m", threads=2, limits=Limits(video_s=5)), "haar")
    assert command[1:] == [
        *("-m", "mien.serve.worker", "--model", "m", "--detector", "haar"),
        *("--seconds", "5", "--pixels", "25000000", "--threads", "2"),
    ]
