"""What a worker writes: the rows of one machine, whatever they are read from and cut into."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import IO

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mien.cluster.listing import listed
from mien.cluster.plan import (
    Job,
    Part,
    first_errors,
    parts_of,
    save_plan,
    saved_plan,
    shared,
    unreadable_in,
)
from mien.cluster.reading import recognizer_of
from mien.cluster.stores import ANSWERED, Place, _root
from mien.cluster.worker import Reader
from mien.errors import FileError, InputError, RunError
from mien.output.saved import read_table
from mien.recognizer import Recognizer
from mien.sources import Cut
from mien.types import Readings
from tests.clips import film
from tests.fakes import brightness_bundle

OPTIONS = {"threads": 1, "device": "cpu"}
POISON = """
import os, pathlib

def read_bytes(path, read=pathlib.Path.read_bytes):
    data = read(path)
    if data.endswith(b"POISON"):
        os.kill(os.getpid(), 9)
    return data

pathlib.Path.read_bytes = read_bytes
"""

OUTAGE = """
import os
from pathlib import Path

import fsspec
from fsspec.implementations.local import LocalFileSystem

import mien.cluster.stores

mien.cluster.stores._WAIT_S = 0


class Outage(LocalFileSystem):
    \"\"\"This machine's files as outage:///PATH. All fail, or one, as DOWN says; or the
    first reading of each file breaks off.\"\"\"

    protocol = "outage"
    broken = set()

    def _open(self, path, mode="rb", **more):
        self.check(path)
        file = super()._open(path, mode, **more)
        if Path(os.environ["DOWN"]).read_text() == "half" and path not in self.broken:
            self.broken.add(path)
            file.f = Half(file.f)
        return file

    def info(self, path, **more):
        self.check(path, only="all")
        return super().info(path, **more)

    def check(self, path, only=None):
        down = Path(os.environ["DOWN"]).read_text()
        if down == "odd":
            raise RuntimeError("no answer, and no OSError")
        if down == "all" or (down and not only and path.endswith(down)):
            raise OSError(5, "no answer", path)


class Half:
    def __init__(self, file):
        self.file, self.left = file, 2

    def __getattr__(self, name):
        return getattr(self.file, name)

    def read(self, size=-1):
        self.left -= 1
        if not self.left:
            raise OSError(104, "connection reset")
        return self.file.read(100)


fsspec.register_implementation("outage", Outage, clobber=True)
"""


@pytest.fixture
def outage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Writing `all` into this file, or how a path ends, or `half`, makes outage:// fail."""
    site, down = tmp_path / "site", tmp_path / "down"
    site.mkdir()
    (site / "sitecustomize.py").write_text(OUTAGE)  # also in the processes that are started
    down.write_text("")
    monkeypatch.setenv("DOWN", str(down))
    monkeypatch.setenv("PYTHONPATH", f"{site}:{':'.join(sys.path)}")
    monkeypatch.setattr("mien.cluster.stores._WAIT_S", 0)  # put back; the next line sets it, too
    ANSWERED.clear()
    exec(OUTAGE, {})
    return down


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(brightness_bundle(tmp_path_factory.mktemp("bundle")).folder)


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of different brightness, a broken one, and a film between them."""
    folder = tmp_path_factory.mktemp("album")
    (folder / "z").mkdir()
    for number, name in enumerate(("a.png", "b.png", "d.png", "z/e.png")):
        cv2.imwrite(str(folder / name), np.full((20, 20), 60 * number, np.uint8))
    (folder / "broken.png").write_bytes(b"\x89PNG and no more")
    film(folder / "c.mp4", [n / 5 for n in range(10)], (64, 48))
    return folder


@pytest.fixture
def job(tmp_path: Path, bundle: str) -> Job:
    """To read faces that fill their pictures."""
    return Job(str(tmp_path / "out"), bundle, "none", recognizer=OPTIONS, base=str(Path.cwd()))


def parts(job: Job, *sources: object, photos: int = 2) -> list[Part]:
    return parts_of(listed([str(one) for one in sources], job.cut, False)[0], photos)


def read_all(job: Job, found: list[Part], careful: bool = False) -> Readings:
    """The rows of all files, read by one worker."""
    reader, rows = Reader(job), Readings()
    for part in found:
        pieces = reader.read(part, careful=careful).pieces
        for piece in pieces:
            reader.read(part, piece)
        if pieces:
            reader.join(part, len(pieces))
        rows += read_table(Path(job.out) / f"{part.name}.parquet")
    return rows


def told(readings: Readings, **other: object) -> list[dict[str, object]]:
    return [reading.to_row(readings.labels) | other for reading in readings]


def alone(job: Job, *sources: object) -> Readings:
    """The rows of one machine."""
    return recognizer_of(job).recognize(
        str(sources[0]) if len(sources) == 1 else [*map(str, sources)], cut=job.cut
    )


def test_a_folder_in_parts(job, album):
    found = parts(job, album)
    assert [len(part.entries) for part in found] == [2, 1, 1, 2]
    assert told(read_all(job, found)) == told(alone(job, album))
    assert unreadable_in(job.out, found) == 1 and unreadable_in(job.out, []) == 0
    (said,) = first_errors(job.out, [*found, Part(9, ())], 5)
    assert said.startswith(f"{album / 'broken.png'} is truncated")


def test_one_photo_has_no_index(job, album):
    assert told(read_all(job, parts(job, album / "a.png"))) == told(alone(job, album / "a.png"))


def test_a_film_in_pieces_has_the_faces_of_the_whole(tmp_path):
    play = film(tmp_path / "play.mp4", [n / 10 for n in range(100)], (160, 90), faces=2)
    cut = Cut(fps=3, start_s=0.5, end_s=9.8)
    job = Job(str(tmp_path / "out"), "mien-s-wide-int8", recognizer=OPTIONS, cut=cut, piece_s=3)
    (part,) = parts(job, play)
    assert len(Reader(job).read(part).pieces) > 2
    rows = told(read_all(job, [part]))
    assert rows == told(Recognizer("mien-s-wide-int8", **OPTIONS).recognize(str(play), cut=cut))
    assert {row["face_id"] for row in rows} == {1, 2}


def test_a_film_that_has_ended_a_process_is_opened_in_another_one(job, tmp_path, monkeypatch):
    play = film(tmp_path / "play.mp4", [n / 10 for n in range(60)], (64, 48))
    job = replace(job, piece_s=2.6)
    found = parts(job, play)
    monkeypatch.setattr("mien.cluster.reading.film_of", lambda *_given: pytest.fail("opened here"))
    assert told(read_all(job, found, careful=True)) == told(alone(job, play))


@pytest.mark.parametrize(("suffix", "pieces"), [("mp4", 2), ("avi", 2), ("ts", 1)])
def test_a_film_is_cut_where_its_frames_are_found_by_time(job, tmp_path, suffix, pieces):
    play = film(tmp_path / f"play.{suffix}", [n / 10 for n in range(60)], (64, 48))
    job = replace(job, piece_s=2.6)
    (part,) = parts(job, play)
    assert max(1, len(Reader(job).read(part).pieces)) == pieces
    assert told(read_all(job, [part])) == told(alone(job, play))


def test_a_film_that_breaks_off_does_so_once(job, tmp_path):
    play = film(tmp_path / "play.mkv", [n / 10 for n in range(90)], (64, 48))
    play.write_bytes(play.read_bytes()[: play.stat().st_size * 2 // 3])
    job = replace(job, piece_s=2.6)
    found = read_all(job, parts(job, play))
    assert told(found) == told(alone(job, play))
    assert [reading.status for reading in found].count("unreadable") == 1


def test_a_store_is_read_and_written(job, album):
    """Of pyarrow's file systems, the one that is everywhere."""
    stored = replace(job, out=f"file://{job.out}")
    found = read_all_from(stored, parts(stored, f"file://{album}"), Path(job.out))
    wanted = [row | {"path": f"file://{row['path']}"} for row in told(alone(job, album))]
    for row in wanted:
        row["error"] = row["error"] and str(row["error"]).replace(str(album), f"file://{album}")
    assert told(found) == wanted


def read_all_from(job: Job, found: list[Part], folder: Path) -> Readings:
    reader = Reader(job)
    for part in found:
        reader.read(part)
    return Readings(r for part in found for r in read_table(folder / f"{part.name}.parquet"))


def test_what_a_store_does_not_answer_becomes_no_row(job, album, outage):
    job = replace(job, base=str(album))
    found = parts(job, f"outage://{album}")
    files = [Path(job.out) / f"{part.name}.parquet" for part in found]
    outage.write_text("all")
    rows = read_all_from(job, found[:1], Path(job.out))
    assert [row.status for row in rows] == ["unreadable"] * 2, "no store has been seen there yet"
    outage.write_text("")
    assert "small" in [row.status for row in read_all_from(job, found[:1], Path(job.out))]
    files[0].unlink()
    outage.write_text("all")
    for part, careful in (*((part, False) for part in found), (found[0], True)):
        with pytest.raises(FileError, match="no answer"):
            Reader(job).read(part, careful=careful)
    assert not any(file.exists() for file in files)
    outage.write_text("b.png")
    rows = read_all_from(job, found, Path(job.out))
    wanted = told(alone(job, album))
    spoilt = [row for row in told(rows) if str(row["path"]).endswith("b.png")]
    assert [row["status"] for row in spoilt] == ["unreadable"]
    assert "cannot be fetched" in str(spoilt[0]["error"])
    assert len(rows) == len(wanted)


@pytest.mark.parametrize("how", ["all", "odd"])
def test_a_store_that_was_listed_has_answered(job, album, outage, how):
    source = f"outage://{album}"
    found = parts(job, source)
    outage.write_text(how)
    with pytest.raises(FileError, match="no answer"):
        Reader(replace(job, stores=(source,))).read(found[0])


def test_a_file_that_cannot_even_be_asked_for_is_a_row(job, album, tmp_path, monkeypatch):
    monkeypatch.setattr("mien.cluster.stores._WAIT_S", 0)
    files = [str(album / "a.png"), f"file://{album}/a.png", f"file:///{'x' * 300}/b.png"]
    pq.write_table(pa.table({"path": files}), tmp_path / "list.parquet")
    rows = read_all(job, parts(job, tmp_path / "list.parquet", photos=9))
    assert [row.status == "unreadable" for row in rows] == [False, False, True]


def test_a_folder_of_the_network_that_is_lost_becomes_no_row(job, tmp_path):
    folder = tmp_path / "mounted"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), np.zeros((20, 20), np.uint8))
    found = parts(job, folder)
    reader = Reader(replace(job, shared=shared(found)))
    reader.read(found[0])
    folder.rename(tmp_path / "away")
    with pytest.raises(FileError, match=r"a\.png: it was there at the start"):
        reader.read(found[0])


def test_a_process_that_cannot_start_is_no_file_s_fault(job, album, monkeypatch):
    monkeypatch.setattr("mien.cluster.reading.sys.executable", "/bin/false")
    with pytest.raises(RunError, match=r"cannot start \(exit code 1\)"):
        read_all(job, parts(job, album / "a.png"), careful=True)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a disk that is full")
def test_a_full_disk_is_no_film_s_fault(album, outage, monkeypatch):
    def full(name: str) -> IO[bytes]:
        return Path("/dev/full").open("r+b", buffering=0)

    monkeypatch.setattr("mien.cluster.stores.temporary", full)
    with pytest.raises(FileError):
        Place(f"outage://{album}/c.mp4").fetch()


@pytest.mark.parametrize(
    ("address", "store"),
    [
        ("/mnt/photos/a.png", ""),
        ("s3://bucket/a/b.png", "s3://bucket/?"),
        ("s3://bucket?scheme=http", "s3://bucket/?scheme=http"),
        ("s3://bucket/a.png?endpoint_override=b:9000", "s3://bucket/?endpoint_override=b:9000"),
    ],
)
def test_a_store_is_its_bucket_at_its_endpoint(address, store):
    assert _root(address) == store


def test_a_film_whose_fetching_broke_off_is_whole(album, outage):
    outage.write_text("half")
    copy = Place(f"outage://{album}/c.mp4").fetch()
    copy.seek(0)
    assert copy.read() == (album / "c.mp4").read_bytes()


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    (tmp_path / "out" / "part.parquet").mkdir(parents=True)  # is in the way
    folder = Place(str(tmp_path / "out"))
    with pytest.raises(FileError, match=r"part\.parquet"):
        (folder / "part.parquet").write(b"rows", folder / "work")
    assert [*(tmp_path / "out" / "work").iterdir()] == []


@pytest.mark.parametrize("form", ["path", "bytes", "image"])
def test_a_table_of_pictures(job, album, tmp_path, form):
    files = [str(album / name) for name in ("a.png", "b.png", "broken.png", "d.png")]
    data = [Path(file).read_bytes() for file in files]
    columns = {
        "path": {"path": files},
        "bytes": {"path": files, "bytes": data},
        "image": {"image": [{"bytes": b, "path": p} for b, p in zip(data, files, strict=True)]},
    }[form]
    pq.write_table(pa.table(columns), tmp_path / "list.parquet", row_group_size=3)
    found = parts(job, tmp_path / "list.parquet", photos=3)
    assert told(read_all(job, found)) == told(alone(job, *files))
    assert len(read_table(Path(job.out))) == 4  # the folder as one table
    (tmp_path / "parts.parquet").mkdir()
    (tmp_path / "list.parquet").rename(tmp_path / "parts.parquet" / "part-0.parquet")
    of_parts = parts(job, tmp_path / "parts.parquet")
    assert [len(part.entries) for part in of_parts] == [2, 2]


def test_a_bad_address_in_a_table_is_a_row_without_its_password(job, album, tmp_path):
    files = [str(album / "a.png"), "s3://me:secret@bucket/b.png", "what://bucket/c.png", "", None]
    pq.write_table(pa.table({"path": files}), tmp_path / "list.parquet")
    rows = read_all(job, parts(job, tmp_path / "list.parquet"))
    assert [row.status == "unreadable" for row in rows] == [False, True, True, True, True]
    errors = " ".join(str(row.error) for row in rows)
    assert "no store that is known here" in errors and errors.count("the row has no path") == 2
    assert "secret" not in str(told(rows))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_file_that_ends_its_reader_is_a_row(job, album, tmp_path, monkeypatch):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(POISON)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'site'}:{':'.join(sys.path)}")
    bad = tmp_path / "bad.png"
    bad.write_bytes((album / "a.png").read_bytes() + b"POISON")
    files = (album / "a.png", bad, album / "b.png")
    rows = read_all(job, parts(job, *files, photos=9), careful=True)
    assert rows[1].status == "unreadable" and rows[1].index == 1
    assert rows[1].error == f"{bad} ended the process that read it, twice (signal 9)"
    wanted = alone(job, *files)
    assert told(rows[:1] + rows[2:]) == told(wanted[:1] + wanted[2:])


def test_the_same_command_goes_on_and_another_does_not(job, album):
    origin, found = recognizer_of(job).origin(job.cut), parts(job, album)
    assert saved_plan(job, [str(album)], origin) is None
    save_plan(found, job, [str(album)], origin)
    (album / "new.png").write_bytes(b"has come in between")
    assert saved_plan(job, [str(album)], origin) == found
    (album / "new.png").unlink()
    with pytest.raises(InputError, match="begun with other sources"):
        saved_plan(job, ["elsewhere"], origin)
    with pytest.raises(InputError, match="begun with every 1, now 2"):
        saved_plan(job, [str(album)], replace(origin, every=2))


def test_a_folder_of_something_else_is_left_alone(job):
    Path(job.out).mkdir()
    pq.write_table(pa.table({"a": [1]}), Path(job.out) / "mine.parquet")
    with pytest.raises(InputError, match="Parquet files of something else"):
        saved_plan(job, ["photos"], recognizer_of(job).origin(job.cut))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("rtsp://camera", "is live; --on reads files"),
        ("nowhere", "does not exist"),
        ("file:///nowhere", "does not exist"),
        ("what://bucket/photos", "in no store that is known here"),
        ("nowhere.parquet", "does not exist"),
    ],
)
def test_what_cannot_be_listed(source, said):
    with pytest.raises(InputError, match=said):
        listed([source], Cut(), False)


@pytest.mark.parametrize("content", [b"", b"no table", b"PAR1 and no more"])
def test_a_table_that_is_none(tmp_path, content):
    (tmp_path / "list.parquet").write_bytes(content)
    with pytest.raises(InputError, match=r"list\.parquet is no whole Parquet table: "):
        listed([str(tmp_path / "list.parquet")], Cut(), False)


def test_a_worker_that_does_not_see_the_files_says_so(job, album):
    found = parts(job, album)
    assert shared(found) == (str(album / "a.png"), str(album / "z" / "e.png"))
    with pytest.raises(InputError, match=r"out is not to be seen on the machine"):
        Reader(job).ready()
    with pytest.raises(InputError, match=r"gone.png is not to be seen"):
        Reader(replace(job, shared=("gone.png",))).ready()
    save_plan(found, job, [str(album)], recognizer_of(job).origin(job.cut))
    assert Reader(replace(job, shared=shared(found))).ready().detector == "none"
