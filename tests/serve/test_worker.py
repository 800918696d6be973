"""The process that reads a video, without a process."""

import json
import os
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest

import mien
from mien.errors import PictureError
from mien.serve import worker
from mien.serve.worker import check, read
from tests.clips import film, spoil
from tests.fakes import brightness_bundle
from tests.serve.jobs import FILES
from tests.sources.test_sources import moving

FRAMES = 5  # 25 a second: 0.2 s


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    return brightness_bundle(tmp_path_factory.mktemp("bundle") / "b").folder


@pytest.fixture
def video(tmp_path) -> Path:
    return film(tmp_path / "video.mp4", [i / 25 for i in range(FRAMES)], (64, 48), empty=True)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"seconds": 0.2, "pixels": 64 * 48}, None),
        ({"seconds": 0.19, "pixels": 64 * 48}, "the file lasts 0 s; expected at most 0.19"),
        ({"seconds": 0.2, "pixels": 64 * 48 - 1}, "the file .*64x48.* at most 3,071"),
    ],
)
def test_a_video_may_be_as_long_and_as_large_as_the_limit(video, limits, words):
    if words is None:
        check(video, **limits)
        return
    with pytest.raises(PictureError, match=words):
        check(video, **limits)


def test_how_long_it_lasts_is_told_in_seconds(tmp_path):
    video = film(tmp_path / "long.mp4", [0.0, 1.0, 2.0, 3.0], (64, 48), empty=True)
    with pytest.raises(PictureError, match=r"lasts 3 s; expected at most 2\.5"):
        check(video, seconds=2.5, pixels=10_000)


def test_a_video_is_read_into_a_folder_beside_it(video, bundle, capsys):
    recognizer = mien.Recognizer(bundle, detector="none")
    read(video, recognizer, seconds=10, pixels=10_000, blur=False)
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line) for line in lines] == [[n, FRAMES] for n in range(FRAMES + 1)]
    done = video.parent / "done"
    assert sorted(path.name for path in done.iterdir()) == FILES
    table = pd.read_csv(done / "table.csv")
    assert list(table.frame) == list(range(FRAMES))
    assert set(table.path) == {"video.mp4"}
    assert len((done / "table.jsonl").read_text().splitlines()) == FRAMES


def test_only_so_many_seconds_are_read(video, bundle):
    recognizer = mien.Recognizer(bundle, detector="none")
    read(video, recognizer, seconds=0.12, pixels=10_000, blur=False)
    assert list(pd.read_csv(video.parent / "done" / "table.csv").frame) == [0, 1, 2]


def test_a_video_whose_frames_grow_too_large_is_read_up_to_there(tmp_path, bundle):
    small = film(tmp_path / "small.ts", [i / 25 for i in range(20)], (320, 180), empty=True)
    large = film(tmp_path / "large.ts", [0, 0.04], (640, 360), empty=True)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(small.read_bytes() + large.read_bytes())
    recognizer = mien.Recognizer(bundle, detector="none")
    read(joined, recognizer, seconds=10, pixels=320 * 180, blur=False)
    *before, last = (tmp_path / "done" / "table.jsonl").read_text().splitlines()
    assert len(before) >= 18
    assert ["breaks off" in line for line in (*before, last)] == [False] * len(before) + [True]


@pytest.fixture
def run(monkeypatch, capsys, bundle):
    """`run(video, *options)`: exit code, what was written, and by how much it stood back."""

    def main(video: Path, *options: str, seconds: float = 10) -> tuple[int, str, str, list[int]]:
        nice: list[int] = []
        monkeypatch.setattr(os, "nice", nice.append)
        given = ["--model", str(bundle), "--detector", "none", "--seconds", str(seconds)]
        command = ["worker", str(video), *given, "--pixels", "10000", *options]
        monkeypatch.setattr(sys, "argv", command)
        code = 0
        try:
            worker.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        return code, *capsys.readouterr(), nice

    return main


def test_a_check_reads_nothing(run, video):
    assert run(video, "--check") == (0, "", "", [])
    assert [path.name for path in video.parent.iterdir()] == ["video.mp4"]


@pytest.mark.parametrize("options", [["--check"], []])
def test_what_is_no_video_is_told_without_saying_where_it_lies(run, tmp_path, options):
    (tmp_path / "video.mp4").write_text("nonsense")
    code, out, err, _ = run(tmp_path / "video.mp4", *options)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert "cannot be opened" in err and str(tmp_path) not in err
    assert [path.name for path in tmp_path.iterdir()] == ["video.mp4"]


@pytest.mark.parametrize(
    ("options", "blur", "threads"),
    [(["--blur"], True, None), (["--no-blur", "--threads", "2"], False, 2), ([], False, None)],
)
def test_it_reads_as_it_is_told_and_stands_back_for_others(
    run, video, monkeypatch, options, blur, threads
):
    told = []
    monkeypatch.setattr(
        worker, "read", lambda *given, **how: told.append((*given, given[1].threads, how))
    )
    code, _, err, nice = run(video, *options, seconds=2.5)
    assert (code, err, nice) == (0, "", [5])
    ((path, recognizer, used, how),) = told
    assert path == video.resolve()
    assert (recognizer.card.name, recognizer.detector.name, used) == ("brightness", "none", threads)
    assert how == {"seconds": 2.5, "pixels": 10_000, "blur": blur}


def test_an_animated_picture_is_read_as_a_video(video, bundle, capsys):
    video.write_bytes(moving("WEBP"))
    check(video, seconds=10, pixels=960)
    with pytest.raises(PictureError, match="the file has 40x24 pixels; expected at most 959"):
        check(video, seconds=10, pixels=959)
    read(video, mien.Recognizer(bundle, detector="none"), seconds=0.4, pixels=960, blur=False)
    table = pd.read_csv(video.parent / "done" / "table.csv")
    assert (table.time_s.tolist(), set(table.path)) == ([0.0, 0.2], {"video.mp4"})
    assert len(capsys.readouterr().out.splitlines()) == 3


@pytest.mark.parametrize(
    ("case", "frames", "told"),
    [
        ("half", 35, "video.mp4 breaks off at 1.1 of 3.0 s"),
        ("badpackets", 87, "video.mp4: 3 damaged packets passed over, the first at 1.0 s"),
    ],
)
def test_what_a_video_lacks_is_told_at_last(shared, tmp_path, bundle, capsys, case, frames, told):
    video = Path(shutil.copy(shared / "cases" / f"{case}.mp4", tmp_path / "video.mp4"))
    recognizer = mien.Recognizer(bundle, detector="none")
    read(video, recognizer, seconds=10, pixels=320 * 240, blur=True)
    *_, before, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert before == [frames, 90]
    assert last == {"warnings": [told]}


def test_a_video_of_which_no_frame_can_be_read_is_refused_with_the_reason(video, bundle):
    spoil(video, set(range(FRAMES)))
    recognizer = mien.Recognizer(bundle, detector="none")
    with pytest.raises(PictureError, match=r"^video\.mp4 breaks off at 0\.0 of 0\.2 s"):
        read(video, recognizer, seconds=10, pixels=10_000, blur=False)
    assert not (video.parent / "done").exists()
