"""Videos: accepted, read, kept, forgotten; what is killed loses nothing."""

import io
import json
import os
import signal
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from mien.errors import InputError, JobNotFound, Overloaded
from mien.serve.jobs import Job, Jobs
from mien.serve.run import serve
from mien.serve.settings import Settings
from tests.serve.jobs import WORKER, finished, place, reader, until


def test_a_job_is_read_and_told(make, add):
    jobs = make()
    job = finished(jobs, add(jobs))
    assert (job.state, job.frames, job.total, job.error) == ("done", 1, 2, None)
    assert (job.kills, job.recalls, len(job.id)) == (0, 0, 22)
    assert jobs.files(job) == ["table.csv"]
    with pytest.raises(JobNotFound, match=r"the job has no file 'x\.csv'; it is done"):
        jobs.file(job.id, "x.csv")
    assert jobs.file(job.id, "table.csv").read_text() == "whole"
    until(lambda: sorted(p.name for p in place(jobs, job).iterdir()) == ["done", "job.json", "pid"])


@pytest.mark.parametrize(
    ("how", "state", "error"),
    [
        ("once", "done", None),
        ("kill", "failed", "the reader of this video failed"),
        ("bad", "failed", "the reader of this video failed"),
        ("three", "failed", "the reader of this video failed"),
        ("mute", "failed", "the reader of this video failed"),
        ("refuse", "failed", "the video breaks off"),
    ],
)
def test_a_reader_that_ends_badly_ends_its_own_job_alone(make, add, how, state, error):
    jobs = make()
    one, other = add(jobs, how), add(jobs)
    assert (finished(jobs, one).state, jobs.get(one.id).error) == (state, error)
    assert jobs.get(one.id).kills == (how in ("once", "kill"))
    until(lambda: not (place(jobs, one) / "video.mp4").exists())
    assert finished(jobs, other).state == "done"
    assert not list(place(jobs, one).glob(".*"))


def test_a_reader_that_does_not_end_is_given_up(make, add):
    jobs = make(limits={"reading_s": 0.5})
    job = finished(jobs, add(jobs, "slow"))
    assert job.state == "failed"
    assert job.error == "reading it took longer than 0.5 s; send less"


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
    assert jobs.get(job.id).error == "the service was killed 2 times while it read this"
    assert finished(jobs, waiting).state == "done"
    assert jobs.get(waiting.id).recalls == 0


@pytest.mark.parametrize(("recalls", "state"), [(9, "done"), (10, "failed")])
def test_ten_times_is_the_last(make, clip, tmp_path, recalls, state):
    folder = tmp_path / "jobs" / "mien-job-a"
    folder.mkdir(parents=True)
    (folder / "video.mp4").write_bytes(clip + b" " * 8)
    (folder / "job.json").write_text(json.dumps(asdict(Job("a", "running", recalls=recalls))))
    jobs = make()
    job = finished(jobs, Job("a"))
    assert (job.state, job.recalls) == (state, 10)
    assert (job.error is None) == (state == "done")


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


def test_what_lies_beside_a_job_does_not_keep_it_from_being_taken_up(make, clip, tmp_path):
    told = {
        "0": None,
        "1": Job("elsewhere"),
        "2": Job("2"),
        "3": Job("3", "done", finished_at=1e12),
    }
    for name, job in told.items():
        folder = tmp_path / "jobs" / f"mien-job-{name}"
        folder.mkdir(parents=True)
        (folder / "video.mp4").write_bytes(clip + b" " * 8)
        if job is not None:
            (folder / "job.json").write_text(json.dumps(asdict(job)))
    jobs = make()
    assert finished(jobs, Job("2")).state == "done"
    assert jobs.get("3").finished_at == 1e12
    for name in ("0", "1", "elsewhere"):
        with pytest.raises(JobNotFound):
            jobs.get(name)
    names = [path.name for path in sorted((tmp_path / "jobs").glob("mien-*"))]
    assert names == ["mien-job-1", "mien-job-2", "mien-job-3"], "what is cut off goes"


def test_a_folder_belongs_to_one_service(make):
    make()
    with pytest.raises(InputError, match="another service"):
        make()


def test_a_second_service_in_a_folder_is_told_at_once(make):
    jobs = make()
    with pytest.raises(InputError, match="another service"):
        serve(Settings(jobs_folder=jobs._folder.path), "127.0.0.1", 0)


def test_nobody_else_can_look_into_a_job(make, add):
    jobs = make()
    job = add(jobs, "slow")
    assert place(jobs, job).stat().st_mode & 0o777 == 0o700
    assert jobs._folder.path.stat().st_mode & 0o777 == 0o700


def test_a_job_that_is_read_says_how_far_it_is(make, add):
    jobs = make()
    running, waiting = add(jobs, "slow"), add(jobs)
    assert (running.state, running.frames, running.total) == ("waiting", 0, None)
    reader(jobs, running)
    told = jobs.get(running.id)
    assert (told.state, told.frames, told.total) == ("running", 1, 2)
    assert jobs.get(waiting.id).state == "waiting"
    assert jobs.expires_in_s(told) is None
    assert jobs.files(told) == []
    with pytest.raises(JobNotFound, match=r"no file 'table\.csv'; it is running"):
        jobs.file(running.id, "table.csv")
    assert json.loads((place(jobs, told) / "job.json").read_text())["state"] == "running"


@pytest.mark.parametrize(("ago_s", "left_s"), [(0, 60), (10, 50), (59, 1), (60, 0), (100, 0)])
def test_a_finished_job_says_how_long_it_is_kept(make, ago_s, left_s):
    job = Job("a", "done", finished_at=time.time() - ago_s)
    assert make(keep_s=60).expires_in_s(job) == pytest.approx(left_s, abs=0.5)


@pytest.mark.parametrize(("given", "kept"), [(".mkv", ".mkv"), (".exe", ".mp4"), ("", ".mp4")])
@pytest.mark.parametrize("blur", [True, False])
def test_a_reader_is_told_what_to_read_and_how(make, clip, command, given, kept, blur):
    Path(command[-1]).write_text(
        "import pathlib, sys\n"
        "out = pathlib.Path(sys.argv[-2]).parent / 'done'\n"
        "if '--check' not in sys.argv:\n"
        "    out.mkdir()\n"
        "    (out / 'told').write_text(' '.join(sys.argv[1:]))\n"
    )
    jobs = make()
    job = finished(jobs, jobs.add(io.BytesIO(clip), given, blur=blur))
    told = jobs.file(job.id, "told").read_text()
    assert told == f"{place(jobs, job)}/video{kept} --{'' if blur else 'no-'}blur"


def test_a_job_that_is_finished_leaves_room_for_another(make, add):
    jobs = make(limits={"videos": 1})
    slow = add(jobs, "slow")
    with pytest.raises(Overloaded, match="too many videos wait; try again later"):
        add(jobs)
    jobs.remove(slow.id)
    for _ in range(2):
        assert finished(jobs, add(jobs)).state == "done"


def test_a_service_that_stops_accepts_nothing(make, add):
    jobs = make()
    jobs.close()
    with pytest.raises(Overloaded, match="the service is stopping; try again in a while"):
        add(jobs)


@pytest.mark.parametrize("how", ["", "slow"])
def test_a_removed_job_leaves_nothing(make, add, how):
    jobs = make()
    running, waiting = add(jobs, how), add(jobs)
    folder = place(jobs, running)
    pid = reader(jobs, running) if how else 0
    jobs.remove(running.id)
    with pytest.raises(JobNotFound):
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
    with pytest.raises(JobNotFound):
        jobs.get(job.id)


def test_what_a_service_left_a_moment_ago_goes_in_a_while(make, tmp_path, monkeypatch):
    monkeypatch.setattr("mien.serve.folders.tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("mien.serve.folders._YOUNG_S", 0.5)
    monkeypatch.setattr("mien.serve.jobs._SWEEP_S", 0.1)
    killed = tmp_path / "mien-jobs-killed"
    killed.mkdir()
    (killed / "video.mp4").write_bytes(b"x")
    jobs = make(jobs_folder=None)
    assert killed.exists()
    until(lambda: not killed.exists())
    assert jobs._folder.path.is_dir()
