"""Folders and films from end to end, with the network in the package and a real detector."""

import functools
import http.server
import itertools
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import av
import cv2
import numpy as np
import pandas as pd
import pytest

import mien
from mien.analyse import Outputs, analyse
from mien.demo import PORTRAIT
from mien.errors import InputError
from mien.sources import Cut, read_picture
from tests.clips import film
from tests.fakes import brightness_bundle


@pytest.fixture(scope="module")
def recognizer(yunet_home: Path) -> mien.Recognizer:
    return mien.Recognizer(detector="yunet")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two portraits for 2.4 s at uneven times, with sound."""
    times = [round(i / 25 + 0.01 * (i % 3), 4) for i in range(60)]
    return film(tmp_path_factory.mktemp("clip") / "clip.mp4", times, faces=2, sound=True)


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Photos in folders: faces, none, and files that are no pictures."""
    portrait = read_picture(PORTRAIT)
    (tmp_path / "album" / "deep").mkdir(parents=True)
    for number, side in enumerate((512, 256, 400)):
        picture = cv2.resize(portrait, (side, side))[:, :, ::-1]
        cv2.imwrite(str(tmp_path / "album" / "deep" / f"{number}.jpg"), picture)
    cv2.imwrite(str(tmp_path / "album" / "wall.png"), np.full((200, 200, 3), 120, np.uint8))
    (tmp_path / "album" / "torn.jpg").write_bytes(PORTRAIT.read_bytes()[:3000])
    (tmp_path / "album" / "zero.png").write_bytes(b"")
    (tmp_path / "album" / "notes.txt").write_text("hello")
    return tmp_path / "album"


def test_a_folder_becomes_a_table_in_order_whatever_its_files(recognizer, album, tmp_path):
    summary = analyse(recognizer, album, Outputs((tmp_path / "t.csv",), tmp_path / "drawn"))
    table = pd.read_csv(tmp_path / "t.csv")
    names = [Path(p).relative_to(album).as_posix() for p in table.path]
    assert names == ["deep/0.jpg", "deep/1.jpg", "deep/2.jpg", "torn.jpg", "wall.png", "zero.png"]
    assert list(table.status) == ["ok"] * 3 + ["unreadable", "no_face", "unreadable"]
    assert list(table.label[:3]) == ["happy"] * 3
    assert (summary.pictures, summary.faces, summary.unreadable) == (6, 3, 2)
    assert len(list((tmp_path / "drawn").rglob("*.jpg"))) == 4


def test_many_pictures_read_as_one_by_one(recognizer, album):
    together = recognizer.recognize(album)
    for reading in together:
        if reading.face:
            (alone,) = recognizer.recognize(reading.path)
            assert alone.face == reading.face
            assert alone.scores.values == pytest.approx(reading.scores.values, abs=1e-6)


def test_a_name_that_is_no_utf_8_is_a_row_like_any_other(recognizer, tmp_path):
    name = os.fsdecode(b"caf\xe9.jpg")
    (tmp_path / "album").mkdir()
    shutil.copy(PORTRAIT, tmp_path / "album" / name)
    tables = (tmp_path / "t.csv", tmp_path / "t.parquet", tmp_path / "t.jsonl")
    analyse(recognizer, tmp_path / "album", Outputs(tables))
    assert list(pd.read_parquet(tables[1]).path) == [str(tmp_path / "album" / "caf\\udce9.jpg")]
    again = analyse(recognizer, tmp_path / "album", Outputs(tables[:1]), resume=True)
    assert (again.pictures, again.skipped) == (0, 1)


def test_a_folder_is_continued_where_it_stopped(recognizer, album, tmp_path):
    analyse(recognizer, album, Outputs((tmp_path / "whole.csv",)))
    lines = (tmp_path / "whole.csv").read_bytes().splitlines(keepends=True)
    (tmp_path / "t.csv").write_bytes(b"".join(lines[:4]) + lines[4][:9])
    summary = analyse(recognizer, album, Outputs((tmp_path / "t.csv",)), resume=True)
    assert (summary.pictures, summary.skipped) == (3, 3)
    assert (tmp_path / "t.csv").read_bytes() == b"".join(lines)


def outputs(folder: Path, **more: object) -> Outputs:
    names = {"plot": folder / "p.png", "segments": folder / "s.csv"}
    return Outputs((folder / "t.csv",), **{**names, **more})


def test_a_film_becomes_everything_that_can_be_asked_for(recognizer, clip, tmp_path):
    analyse(recognizer, clip, outputs(tmp_path, video=tmp_path / "v.mp4", blur=True))
    table = pd.read_csv(tmp_path / "t.csv")
    assert table.frame.nunique() == 60
    assert set(table.face_id) == {0, 1}
    with av.open(str(clip)) as original:
        times = [float(f.time) for f in original.decode(video=0)]
    assert np.allclose(table.groupby("frame").time_s.first(), times, atol=1e-6)
    segments = pd.read_csv(tmp_path / "s.csv")
    assert list(segments.expression) == ["happy", "happy"]
    assert segments.to_s.max() == pytest.approx(times[-1])
    assert cv2.imread(str(tmp_path / "p.png")).shape[1] > 800
    with av.open(str(tmp_path / "v.mp4")) as drawn:
        shown = [float(f.time) for f in drawn.decode(video=0)]
        assert np.allclose(shown, times, atol=1e-3)
        assert len(drawn.streams.audio) == 1
    with av.open(str(tmp_path / "v.mp4")) as drawn, av.open(str(clip)) as original:
        drawn_s = sum(p.duration * p.time_base for p in drawn.demux(audio=0) if p.pts is not None)
        all_s = sum(p.duration * p.time_base for p in original.demux(audio=0) if p.pts is not None)
        assert float(drawn_s) == pytest.approx(float(all_s), abs=0.15)


def test_a_part_of_a_film_has_the_sound_of_that_part(recognizer, clip, tmp_path):
    analyse(recognizer, clip, Outputs(video=tmp_path / "v.mp4"), cut=Cut(start_s=0.5, end_s=1.5))
    with av.open(str(tmp_path / "v.mp4")) as drawn:
        heard = [p for p in drawn.demux(audio=0) if p.pts is not None]
    length_s = float(sum(p.duration * p.time_base for p in heard))
    assert length_s == pytest.approx(1.0, abs=0.3)


def test_a_film_without_a_frame_is_not_written(recognizer, clip, tmp_path):
    with pytest.raises(InputError, match="no frame lies between"):
        analyse(recognizer, clip, Outputs(video=tmp_path / "v.mp4"), cut=Cut(start_s=99))
    assert list(tmp_path.iterdir()) == []


def test_blurred_faces_are_not_found_again(recognizer, clip, tmp_path):
    analyse(recognizer, clip, Outputs(video=tmp_path / "v.mp4", blur=True), cut=Cut(end_s=0.3))
    assert all(r.status == "no_face" for r in recognizer.recognize(tmp_path / "v.mp4"))


@pytest.mark.parametrize("kept", [1, 31, 90, 119])
def test_a_film_is_continued_to_the_same_table_and_segments(recognizer, clip, tmp_path, kept):
    analyse(recognizer, clip, outputs(tmp_path))
    whole = (tmp_path / "t.csv").read_bytes()
    parts = pd.read_csv(tmp_path / "s.csv")
    lines = whole.splitlines(keepends=True)
    while kept < 120 and lines[kept].split(b",")[2] == lines[kept + 1].split(b",")[2]:
        kept += 1  # the rows of a frame are written at once
    (tmp_path / "t.csv").write_bytes(b"".join(lines[: kept + 1]))
    analyse(recognizer, clip, outputs(tmp_path), resume=True)
    assert (tmp_path / "t.csv").read_bytes() == whole
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "s.csv"), parts, atol=2e-6)


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_film_leaves_a_valid_table_and_no_half_film(yunet_home, tmp_path, kind):
    long = film(tmp_path / "long.mp4", [i / 25 for i in range(700)])
    table, shown = tmp_path / "t.csv", tmp_path / "v.mp4"
    command = [sys.executable, "-m", "mien", "recognize", long, "--csv", table, "--video", shown]
    # A test run in the background ignores Ctrl-C, and so would the command.
    heeds = functools.partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [str(c) for c in command], stderr=subprocess.PIPE, text=True, preexec_fn=heeds
    )
    for _ in range(600):
        if table.exists() and table.stat().st_size > 5000:
            break
        time.sleep(0.05)
    process.send_signal(kind)
    said = process.communicate(timeout=60)[1]
    found = pd.read_csv(table)
    assert list(found.frame) == list(range(len(found)))
    assert 10 < len(found) < 700
    assert not shown.exists()
    if kind == signal.SIGINT:
        assert process.returncode == 130
        assert "--resume" in said
    again = subprocess.run([*map(str, command[:-2]), "--resume"], capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert list(pd.read_csv(table).frame) == list(range(700))


def test_pictures_and_films_are_read_from_an_address(recognizer, clip, monkeypatch):
    monkeypatch.setenv("MIEN_OFFLINE", "0")
    handler = functools.partial(QuietHandler, directory="/")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        root = f"http://127.0.0.1:{server.server_address[1]}"
        with pytest.raises(InputError, match="private"):
            recognizer.recognize(f"{root}{PORTRAIT}")
        (reading,) = recognizer.recognize(f"{root}{PORTRAIT}", private=True)
        assert (reading.label, reading.path) == ("happy", f"{root}{PORTRAIT}")
        gone = recognizer.recognize([f"{root}/gone.jpg", f"{root}{PORTRAIT}"], private=True)
        assert [r.status for r in gone] == ["unreadable", "ok"]
        first = recognizer.recognize(f"{root}{clip}", private=True, cut=Cut(end_s=0.2))
        assert {r.path for r in first} == {f"{root}{clip}"}
        assert [r.face_id for r in first[:2]] == [0, 1]
        server.shutdown()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_eight_threads_sharing_a_recognizer_read_what_one_reads(recognizer, album):
    from concurrent.futures import ThreadPoolExecutor

    names = [str(album / "deep" / f"{i % 3}.jpg") for i in range(24)]
    expected = [recognizer.recognize(name) for name in names]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(recognizer.recognize, names))
    assert [r.to_dict() for r in found] == [r.to_dict() for r in expected]


def test_memory_stays_flat_over_many_frames(tmp_path):
    """10,000 pictures through a tiny network and no detector: what is measured is mien's own."""
    bundle = brightness_bundle(tmp_path / "b").folder
    reader = mien.Recognizer(bundle, detector="none")
    picture = np.zeros((120, 160, 3), np.uint8)
    page = os.sysconf("SC_PAGE_SIZE")

    def resident_mb() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * page / 1e6

    begun = 0.0
    for number, _ in enumerate(reader.stream(itertools.repeat(picture, 10_000))):
        if number == 500:
            begun = resident_mb()
    assert number == 9_999
    assert resident_mb() - begun < 20


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"video": "v.mp4"}, "need one"),
        ({"plot": "p.png"}, "need one"),
        ({"segments": "s.csv"}, "need one"),
    ],
)
def test_outputs_of_films_are_refused_for_pictures(recognizer, album, tmp_path, more, message):
    paths = {name: tmp_path / value for name, value in more.items()}
    with pytest.raises(InputError, match=message):
        analyse(recognizer, album, Outputs((tmp_path / "t.csv",), **paths))
    assert not (tmp_path / "t.csv").exists()


def test_what_cannot_go_together_is_said(recognizer, clip, album, tmp_path):
    with pytest.raises(InputError, match="the same --csv"):
        analyse(recognizer, clip, Outputs(), resume=True)
    with pytest.raises(InputError, match="no video"):
        analyse(recognizer, album, Outputs(), cut=Cut(every=2))
    analyse(recognizer, clip, outputs(tmp_path), cut=Cut(end_s=0.2))
    other = film(tmp_path / "other.mp4", [0.0, 0.1])
    with pytest.raises(InputError, match="choose another"):
        analyse(recognizer, other, outputs(tmp_path), resume=True)
    with pytest.raises(InputError, match="choose another"):
        analyse(recognizer, album, Outputs((tmp_path / "t.csv",)), resume=True)
    with pytest.raises(InputError, match="one video at a time"):
        analyse(recognizer, [clip, other], Outputs())
    with pytest.raises(InputError, match="hides the faces in --video"):
        analyse(recognizer, clip, Outputs(blur=True))
    with pytest.raises(InputError, match="a folder for drawings"):
        analyse(recognizer, album, Outputs(pictures=tmp_path / "x.png"))
    with pytest.raises(InputError, match=r"use \.png, \.svg or \.pdf"):
        analyse(recognizer, clip, Outputs(plot=tmp_path / "x.txt"))
    with pytest.raises(InputError, match="cannot be continued"):
        analyse(recognizer, clip, outputs(tmp_path, video=tmp_path / "v.mp4"), resume=True)
    with pytest.raises(InputError, match=r"use \.mp4"):
        analyse(recognizer, clip, outputs(tmp_path, video=tmp_path / "v.xyz"))
