"""Videos that are refused or cut short, and videos over HTTP."""

import errno
import io
import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest

from mien.errors import Overloaded, OverShare, PictureError
from mien.serve.jobs import Job, worker_command
from mien.serve.limits import Limits
from mien.serve.schemas import job_out
from mien.serve.settings import Settings
from mien.sources.video import Video
from tests.clips import scene
from tests.serve.conftest import asking
from tests.serve.jobs import FILES, finished, reader, until


def test_too_many_are_refused(make, add):
    jobs = make(limits={"videos": 2})
    one, other = add(jobs, "slow"), add(jobs)
    with pytest.raises(Overloaded):
        add(jobs)
    jobs.remove(one.id)
    finished(jobs, other)
    assert finished(jobs, add(jobs)).state == "done"


def test_one_client_leaves_room_for_others(make, add):
    jobs = make(limits={"videos": 4, "client_share": 0.5})
    add(jobs, "slow", client="a")
    add(jobs, client="a")
    words = "expected at most 2 videos of one client at a time, got 3"
    with pytest.raises(OverShare, match=words) as told:
        add(jobs, client="a")
    assert told.value.wait_s == 60
    assert add(jobs, client="b").state == "waiting"


def test_clients_take_turns(make, add):
    jobs = make()
    first = add(jobs, "slow", client="a")
    until(lambda: jobs.get(first.id).state == "running")
    waiting = [add(jobs, client=client) for client in "aab"]
    jobs.remove(first.id)
    finished(jobs, waiting[2])
    assert jobs.get(waiting[1].id).state != "done"
    finished(jobs, waiting[1])


@pytest.mark.parametrize("data", [b"", b"nonsense", b"#EXTM3U\nhttp://localhost/\n"])
def test_what_is_no_video_is_refused_without_saying_where_it_lay(make, data):
    jobs = make(real=True)
    with pytest.raises(PictureError, match="the file cannot be opened") as told:
        jobs.add(io.BytesIO(data), ".mp4", blur=False)
    assert "mien-job" not in str(told.value)
    assert not list(jobs._folder.path.glob("mien-job-*"))


@pytest.mark.parametrize("limits", [{"video_s": 0.1}, {"pixels": 10_000}])
def test_what_is_too_long_or_too_large_is_refused(make, add, limits):
    jobs = make(real=True, limits=limits)
    with pytest.raises(PictureError, match="at most"):
        add(jobs)
    assert not list(jobs._folder.path.glob("mien-job-*"))


@pytest.mark.parametrize(("how", "words"), [("crash", "cannot be opened"), ("hang", "took longer")])
def test_what_cannot_even_be_opened_costs_its_own_process_alone(make, add, monkeypatch, how, words):
    monkeypatch.setattr("mien.serve.jobs._CHECK_S", 5 if how == "crash" else 0.5)
    jobs = make()
    with pytest.raises(PictureError, match=words):
        add(jobs, how)
    assert not list(jobs._folder.path.glob("mien-job-*"))


def test_a_full_disk_refuses_videos_and_ends_nothing(make, add, monkeypatch):
    jobs = make()
    job = add(jobs, "slow")
    reader(jobs, job)

    def full(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("mien.serve.jobs.shutil.copyfileobj", full)
        with pytest.raises(Overloaded, match="no room"):
            add(jobs)
        patch.setattr("mien.serve.jobs.write_json", full)
        os.kill(reader(jobs, job), signal.SIGKILL)
        until(lambda: jobs.get(job.id).kills == 1)
        jobs.remove(job.id)
    assert finished(jobs, add(jobs)).state == "done"


def test_many_at_once_are_each_read_removed_or_refused(make, add):
    jobs = make(limits={"videos": 6})

    def use(number: int) -> None:
        try:
            job = add(jobs)
        except Overloaded:
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
    assert {p.name for p in jobs._folder.path.glob("mien-job-*")} == known


def changes(film: Path) -> list[float]:
    """How far the first frame is from what was filmed, at the face and at the suit below."""
    (frame, *_) = Video(str(film))
    change = np.abs(frame.pixels.astype(float) - scene(0)).mean(axis=2)
    return [change[rows, 140:200].mean() for rows in (slice(90, 150), slice(210, 290))]


def test_a_video_is_read_through_and_through_and_faces_are_hidden_where_asked(clip, tmp_path):
    with asking(jobs_folder=tmp_path / "jobs") as client:
        sent = {}
        for blur in ("true", "false"):
            given = {"files": {"video": ("me.mp4", clip)}, "data": {"blur": blur}}
            answer = client.post("/v1/videos", **given)
            assert answer.status_code == 202
            sent[blur] = f"/v1/videos/{answer.json()['id']}"
        for blur, where in sent.items():
            until(lambda where=where: client.get(where).json()["state"] in ("done", "failed"), 60)
            (tmp_path / f"{blur}.mp4").write_bytes(client.get(f"{where}/overlay.mp4").content)
        told = client.get(where).json()
        assert (told["state"], told["frames"], told["error"]) == ("done", 5, None)
        assert told["files"] == FILES
        assert 3500 < told["expires_in_s"] <= 3600
        table = client.get(f"{where}/table.csv").text
        assert [row.split(",")[0] for row in table.splitlines()[1:6]] == ["video.mp4"] * 5
        assert table.count("happy") >= 5
        overlay = client.get(f"{where}/overlay.mp4", headers={"range": "bytes=0-99"})
        assert (overlay.status_code, len(overlay.content)) == (206, 100)
        for name in ("job.json", "..%2fjob.json", ".lock", "overlay.mp4%00"):
            assert client.get(f"{where}/{name}").status_code == 404
        for where in sent.values():
            assert client.delete(where).status_code == 204
            assert client.get(where).status_code == 404
        assert not list((tmp_path / "jobs").glob("mien-job-*"))
    (hidden, suit), (shown, same) = changes(tmp_path / "true.mp4"), changes(tmp_path / "false.mp4")
    assert hidden > 15 > 10 > max(shown, suit, same)


@pytest.mark.parametrize(
    ("name", "data", "suffix", "blur"),
    [
        ("me.MKV", {}, ".mkv", False),
        ("me", {"blur": "true"}, "", True),
        ("a.b.mov", {"blur": "false"}, ".mov", False),
    ],
)
def test_a_job_is_what_was_sent_and_is_told_as_waiting(name, data, suffix, blur, monkeypatch):
    added = []

    def add(_jobs, video, suffix, *, blur, client):
        added.append((video.read(), suffix, blur, client))
        return Job("a job")

    monkeypatch.setattr("mien.serve.jobs.Jobs.add", add)
    with asking() as client:
        answer = client.post("/v1/videos", files={"video": (name, b"x")}, data=data)
    assert added == [(b"x", suffix, blur, "testclient")]
    assert answer.json() == {
        "id": "a job",
        "state": "waiting",
        "frames": 0,
        "total": None,
        "error": None,
        "warnings": [],
        "files": [],
        "expires_in_s": None,
    }


@pytest.mark.parametrize("full", ["queue", "disk", "spool"])
def test_a_video_that_finds_no_room_may_come_again_in_a_minute(clip, monkeypatch, full):
    def no_room(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    if full == "disk":
        monkeypatch.setattr("mien.serve.jobs.shutil.copyfileobj", no_room)
    if full == "spool":
        monkeypatch.setattr("starlette.datastructures.UploadFile.write", no_room)
    with asking(limits={"videos": 0 if full == "queue" else 1}) as client:
        answer = client.post("/v1/videos", files={"video": ("me.mp4", clip)})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")


def test_the_command_names_what_the_service_was_given():
    command = worker_command(
        Settings(model="m", device="cpu", threads=2, limits=Limits(video_s=5)), "yunet"
    )
    assert command[1:] == [
        *("-m", "mien.serve.worker", "--model", "m", "--detector", "yunet"),
        *("--device", "cpu", "--seconds", "5", "--pixels", "25000000", "--threads", "2"),
    ]


def test_a_job_tells_where_its_video_breaks_off(make, shared):
    jobs = make(real=True)
    with (shared / "cases" / "half.mp4").open("rb") as video:
        job = finished(jobs, jobs.add(video, ".mp4", blur=False))
    assert (job.state, job.frames, job.error) == ("done", 35, None)
    assert list(job.warnings) == ["video.mp4 breaks off at 1.1 of 3.0 s"]
    assert job_out(jobs, job).warnings == job.warnings
