"""The films of shared/cases: each stands for a kind of fault that users of other tools report."""

import json
import shutil
from collections import Counter
from pathlib import Path

import av
import pandas as pd
import pytest

import mien
from mien.cli import main
from mien.errors import PictureError
from mien.types import Readings


@pytest.fixture(scope="module")
def cases(shared: Path) -> Path:
    return shared / "cases"


@pytest.fixture(scope="module")
def recognizer() -> mien.Recognizer:
    return mien.Recognizer(detector="yunet", threads=1)


@pytest.fixture
def run(monkeypatch, capsys):
    """`run("recognize", path, ...)`: the exit code, standard output and standard error."""

    def command(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["mien", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        return int(end.value.code or 0), *capsys.readouterr()

    return command


def happy(readings: Readings) -> int:
    """In how many of the frames 15 to 74, which show a happy face, it is one."""
    return sum(r.label == "happy" for r in readings if r.frame is not None and 15 <= r.frame < 75)


def test_pixels_that_are_not_square(recognizer, cases: Path, run, tmp_path: Path):
    readings = recognizer.recognize(cases / "sar_2_1.mp4")
    assert len({r.frame for r in readings}) == 90
    assert happy(readings) == 60
    boxes = [r.face.box for r in readings if r.face]
    assert all(0.6 < box.width / box.height < 1.1 for box in boxes), "a face is no egg"
    code, _, err = run("recognize", cases / "sar_2_1.mp4", "--video", tmp_path / "v.MP4")
    assert (code, err) == (0, "")
    with av.open(str(tmp_path / "v.MP4")) as drawn:
        video = drawn.streams.video[0]
        assert (video.width, video.height, video.sample_aspect_ratio or 1) == (320, 240, 1)


def test_half_a_film(cases: Path, run, tmp_path: Path):
    half, table = cases / "half.mp4", tmp_path / "t.csv"
    told = f"{half} breaks off at 1.1 of 3.0 s"
    code, out, err = run("recognize", half, "--csv", table, "--segments", tmp_path / "s.csv")
    assert (code, err) == (3, f"mien: {told}\n")
    assert out.startswith("36 read, ") and "1 unreadable" in out
    rows = pd.read_csv(table)
    assert rows.frame.nunique() == 36
    last = rows.iloc[-1]
    assert (last.status, last.error) == ("unreadable", told)
    assert last.time_s == pytest.approx(1.166, abs=0.01)
    code, out, err = run("recognize", half, "--json")
    assert (code, err) == (3, f"mien: {told}\n")
    assert '"status": "unreadable"' in out


def test_damaged_packets(cases: Path, run, tmp_path: Path):
    film, table = cases / "badpackets.mp4", tmp_path / "t.csv"
    code, out, err = run("recognize", film, "--csv", table)
    assert code == 0
    assert err == f"mien: {film}: 3 damaged packets passed over, the first at 1.0 s\n"
    assert out.startswith("87 read, ") and "1 warning" in out
    rows = pd.read_csv(table)
    assert rows.frame.nunique() == 87 and rows.frame.max() == 89
    assert not (rows.status == "unreadable").any()
    whole = table.read_bytes()
    table.write_bytes(b"".join(whole.splitlines(keepends=True)[:60]))
    run("recognize", film, "--csv", table, "--resume")
    assert table.read_bytes() == whole


def test_a_cover_beside_the_film(recognizer, cases: Path):
    readings = recognizer.recognize(cases / "cover_first.mkv")
    assert len({r.frame for r in readings}) == 90
    assert happy(readings) == 60


def test_a_cover_without_a_film(recognizer, cases: Path):
    with pytest.raises(PictureError, match=r"song_with_cover\.mp4 has no video stream"):
        recognizer.recognize(cases / "song_with_cover.mp4")


@pytest.mark.parametrize("name", ["film", "film.jpg", "film.dat"])
def test_a_film_by_another_name(cases: Path, run, tmp_path: Path, name: str):
    film = shutil.copy(cases / "cover_first.mkv", tmp_path / name)
    code, out, _ = run("recognize", film, "--fps", 2, "--json")
    assert code == 0
    assert Counter(one["path"] for one in json.loads(out)) == {str(film): 6}


def test_a_photo_named_as_a_film(cases: Path, run, tmp_path: Path):
    photo = shutil.copy(cases / "edge.png", tmp_path / "photo.mp4")
    assert run("recognize", photo)[0] == 0


def test_half_a_film_that_is_watched(cases: Path, run, tmp_path: Path):
    half = cases / "half.mp4"
    code, out, err = run("watch", half, "--csv", tmp_path / "t.csv")
    assert (code, err) == (3, f"mien: {half} breaks off at 1.1 of 3.0 s\n")
    assert "frames read" in out
    assert list(pd.read_csv(tmp_path / "t.csv").status)[-1] == "unreadable"
