"""Videos: accepted, read, kept, forgotten; what is killed loses nothing."""

import json
import os
import signal
from pathlib import Path

import pytest

from mien.errors import InputError
from mien.serve import folders
from mien.serve.jobs import Job, Jobs, NoJob
from mien.serve.run import serve
from mien.serve.settings import Settings
from tests.serve.jobs import WORKER, finished, place, reader, until


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
