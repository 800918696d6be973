"""Folders and films from end to end: with a tiny network and a detector that knows the film where
the way is what matters, with the network in the package and a real detector where faces do."""

import functools
import http.server
import itertools
import os
import shutil
import signal
import subprocess
import sys
import threading
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import mien
from mien.analyse import Outputs, Summary, analyse, place_of
from mien.demo import PORTRAIT
from mien.errors import InputError
from mien.sources import Cut, open_source, read_picture
from mien.types import Box, Face, Reading, Readings, Scores
from tests.clips import film
from tests.fakes import brightness_bundle

SIZE = (128, 64)
LABELS = ("dark", "grey", "bright")
DARK, BRIGHT = 60, 230


def scene(tenth: int) -> tuple[int, int] | None:
    """How bright the left and the right face are after so many tenths of a second; None: gone."""
    if 20 <= tenth < 33:
        return None
    bright, dark = BRIGHT + tenth % 10, DARK - tenth % 20  # no two moments are the same
    return (bright if tenth < 10 or tenth >= 33 else dark), dark


def drawn(tenth: int) -> np.ndarray:
    pixels = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    for half, grey in enumerate(scene(tenth) or (0, 0)):
        pixels[:, 64 * half : 64 * (half + 1)] = grey
    return pixels


@pytest.fixture(scope="module")
def play(tmp_path_factory) -> Path:
    """4.1 s: the left face turns from bright to dark, both leave, both come back."""
    path = tmp_path_factory.mktemp("play") / "play.mp4"
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=Fraction(10))
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        video.options = {"preset": "ultrafast", "crf": "5"}
        for tenth in range(41):
            out.mux(video.encode(av.VideoFrame.from_ndarray(drawn(tenth), format="rgb24")))
        out.mux(video.encode())
    return path


def halves(pixels: np.ndarray) -> list[tuple[int, int, int, int]]:
    """The boxes of the faces of the play."""
    return [] if pixels.mean() < 20 else [(12, 12, 40, 40), (78, 14, 36, 36)]


@pytest.fixture(scope="module")
def reader(tmp_path_factory) -> mien.Recognizer:
    """Tells dark faces from bright ones."""
    folder = tmp_path_factory.mktemp("bundle") / "b"
    return mien.Recognizer(brightness_bundle(folder, LABELS).folder, detector=halves, threads=2)


@pytest.fixture(scope="module")
def recognizer() -> mien.Recognizer:
    return mien.Recognizer(detector="yunet")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two portraits for a second at uneven times, with sound."""
    times = [round(i / 25 + 0.01 * (i % 3), 4) for i in range(24)]
    place = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return film(place, times, (320, 180), faces=2, sound=True)


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
    assert summary == Summary(6, 3, 1, 2, 0, {"happy": 3})
    album_drawn = tmp_path / "drawn" / album.relative_to("/")
    drawings = sorted((tmp_path / "drawn").rglob("*.*"))
    expected = ["deep/0.jpg", "deep/1.jpg", "deep/2.jpg", "wall.png"]
    assert drawings == [album_drawn / name for name in expected]
    assert [read_picture(p).shape[1] for p in drawings] == [512 + 198, 480 + 198, 480 + 198, 480]


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
    totals = []
    summary = analyse(
        recognizer, album, Outputs((tmp_path / "t.csv",)), resume=True, begin=totals.append
    )
    assert (summary.pictures, summary.skipped, totals) == (4, 2, [4])
    assert (tmp_path / "t.csv").read_bytes() == b"".join(lines)


def test_a_summary_of_a_folder_is_the_same_after_it_was_continued(recognizer, album, tmp_path):
    out = Outputs((tmp_path / "t.csv",), summary=tmp_path / "summary.csv")
    analyse(recognizer, album, out)
    whole, table = (tmp_path / "summary.csv").read_bytes(), (tmp_path / "t.csv").read_bytes()
    found = pd.read_csv(tmp_path / "summary.csv").set_index("path")
    deep, top = found.loc[str(album / "deep")], found.loc[str(album)]
    assert tuple(deep[["kind", "pictures", "faces", "count_happy"]]) == ("folder", 3, 3, 3)
    assert deep.mean_happy == pytest.approx(pd.read_csv(tmp_path / "t.csv").happy.mean(), abs=2e-6)
    assert tuple(top[["pictures", "faces", "no_face", "unreadable"]]) == (3, 0, 1, 2)
    (tmp_path / "t.csv").write_bytes(table[:-150])
    analyse(recognizer, album, out, resume=True)
    assert (tmp_path / "summary.csv").read_bytes() == whole
    assert (tmp_path / "t.csv").read_bytes() == table


def test_pictures_of_one_name_in_two_folders_are_two_when_continued(recognizer, album, tmp_path):
    (album / "more").mkdir()
    shutil.copy(PORTRAIT, album / "more" / "wall.png")
    table = tmp_path / "t.csv"
    analyse(recognizer, album / "more", Outputs((table,)))
    summary = analyse(recognizer, album, Outputs((table,)), resume=True)
    assert (summary.skipped, summary.pictures, summary.without_face) == (1, 6, 1)


def outputs(folder: Path, **more: object) -> Outputs:
    names = {"plot": folder / "p.png", "segments": folder / "s.csv"}
    return Outputs((folder / "t.csv",), **{**names, **more})


def test_the_play_becomes_a_table_and_segments(reader, play, tmp_path):
    told: dict[str, list] = {"begin": [], "show": []}
    summary = analyse(
        reader,
        play,
        Outputs((tmp_path / "t.csv",), segments=tmp_path / "s.csv"),
        begin=told["begin"].append,
        show=told["show"].append,
    )
    table = pd.read_csv(tmp_path / "t.csv")
    faces = table[table.status != "no_face"]
    assert list(faces.frame) == [n for n in range(41) if scene(n) for _ in range(2)]
    assert list(table.frame[table.status == "no_face"]) == list(range(20, 33))
    assert np.allclose(table.time_s, table.frame / 10)
    ids = [(1, 2)] * 20 + [(3, 4)] * 8
    assert list(faces.face_id) == [face for pair in ids for face in pair]
    left = ["bright"] * 10 + ["dark"] * 10 + ["bright"] * 8
    assert list(faces.label) == [label for one in left for label in (one, "dark")]
    assert list(faces.x) == [12, 78] * 28
    rows = [line.split(",") for line in (tmp_path / "s.csv").read_text().splitlines()]
    assert rows[0] == ["path", "face_id", "expression", "from_s", "to_s", "peak", "peak_s"]
    assert [row[1:4] for row in rows[1:]] == [
        ["1", "bright", "0.0"],
        ["2", "dark", "0.0"],
        ["1", "dark", rows[3][3]],
        ["3", "bright", "3.3"],
        ["4", "dark", "3.3"],
    ]
    assert {row[0] for row in rows[1:]} == {str(play)}
    assert 1.0 < float(rows[3][3]) < 1.6, "smoothing takes a moment"
    assert [row[4] for row in rows[1:]] == [rows[3][3], "1.9", "1.9", "4.0", "4.0"]
    assert all(len(value.partition(".")[2]) <= 6 for row in rows[1:] for value in row[1:])
    assert summary == Summary(41, 56, 13, 0, 0, {"bright": 18, "dark": 38})
    assert told["begin"] == [41]
    assert [seen.frame for seen in told["show"]] == list(range(41))


@pytest.mark.parametrize("kept", [0, 1, 5, 10, 11, 13, 19, 20, 25, 32, 33, 34, 40, 41])
def test_a_film_is_continued_to_the_same_tables_segments_and_timeline(
    reader, play, tmp_path, kept, monkeypatch
):
    """Whichever frame was the last one: among faces, before they leave, while they are away."""
    timelines = []
    monkeypatch.setattr(
        "mien.output.timeline.Timeline.save",
        lambda timeline, _path: timelines.append(timeline),
    )

    def run(folder: Path, resume: bool = False) -> tuple[list[str], list[str], list[bytes]]:
        tables = (folder / "t.csv", folder / "t.jsonl")
        shown = {"plot": folder / "p.png", "segments": folder / "s.csv"}
        out = Outputs(tables, **shown, summary=folder / "summary.csv")
        totals = []
        summary = analyse(reader, play, out, resume=resume, begin=totals.append)
        done = 0 if not resume else 41 if kept == 41 else max(0, kept - 1)  # the last may be torn
        assert (summary.skipped, summary.pictures) == (done, 41 - done)
        assert totals == [pytest.approx(summary.pictures, abs=1)], "about"
        rows, lines = (path.read_text().splitlines(keepends=True) for path in tables)
        files = [(folder / name).read_bytes() for name in ("s.csv", "summary.csv")]
        return rows, lines, files

    rows, lines, files = run(tmp_path)
    frames = [int(row.split(",")[3]) for row in rows[1:]]
    whole = sum(frame < kept for frame in frames)
    (tmp_path / "t.csv").write_text("".join(rows[: whole + 1]) + "play")
    (tmp_path / "t.jsonl").write_text("".join(lines[:whole]) + '{"path": "play')
    assert run(tmp_path, resume=True) == (rows, lines, files)
    first, second = timelines
    assert [lane.face_id for lane in first.lanes()] == [1, 2, 3, 4]
    assert second.lanes() == first.lanes()
    assert (second.span_s, second.title) == (first.span_s, first.title) == ((0.0, 4.0), play.name)


def test_a_table_whose_frames_were_sorted_is_not_continued(reader, play, tmp_path):
    table = tmp_path / "t.csv"
    analyse(reader, play, Outputs((table,)))
    heading, *rows = table.read_text().splitlines(keepends=True)
    table.write_text(sorted_ := heading + "".join(reversed(rows)))
    with pytest.raises(
        InputError, match=r"t\.csv has been sorted: .* s come after 4\.0 s; sort it"
    ):
        analyse(reader, play, Outputs((table,)), resume=True)
    assert table.read_text() == sorted_


def test_only_the_chosen_frames_are_read_also_when_continued(reader, play, tmp_path):
    table, cut = tmp_path / "t.csv", Cut(every=4, start_s=0.5, end_s=3.6)
    analyse(reader, open_source(play, cut=cut), Outputs((table,)))
    frames = sorted(set(pd.read_csv(table).frame))
    assert frames == list(range(8, 36, 4))
    whole = table.read_text().splitlines(keepends=True)
    table.write_text("".join(whole[:5]))
    again = analyse(reader, open_source(play, cut=cut), Outputs((table,)), resume=True)
    assert again.skipped == 1, "of the last a row may be missing"
    assert table.read_text().splitlines(keepends=True) == whole


def test_a_film_that_broke_off_is_not_read_again(reader, play, tmp_path):
    torn = tmp_path / "torn.ts"
    with av.open(str(play)) as source, av.open(str(torn), "w") as out:
        copy = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = copy
                out.mux(packet)
    large = film(tmp_path / "large.ts", [0.0, 0.04], (320, 240), empty=True)
    torn.write_bytes(torn.read_bytes() + large.read_bytes())
    table = tmp_path / "t.csv"
    source = open_source(torn, most_pixels=128 * 64)
    read = functools.partial(analyse, reader, source, Outputs((table,)))
    assert read().unreadable == 1
    before = table.read_bytes()
    assert before.decode().splitlines()[-1].split(",")[12] == "unreadable"
    again = read(resume=True)
    assert (again.pictures, again.skipped) == (0, pd.read_csv(table).time_s.nunique())
    assert table.read_bytes() == before


def test_frames_are_drawn_under_their_numbers(reader, play, tmp_path):
    out = Outputs(pictures=tmp_path / "drawn")
    summary = analyse(reader, open_source(play, cut=Cut(every=10)), out)
    names = [f"frame_{number:06d}.jpg" for number in (0, 10, 20, 30, 40)]
    assert sorted(path.name for path in (tmp_path / "drawn").iterdir()) == names
    assert summary.describe() == "5 read, 6 faces, 2 without a face; dark 4, bright 2"
    height, width, _ = read_picture(tmp_path / "drawn" / names[0]).shape
    assert height == 480
    assert 960 + 100 < width < 960 + 300


@pytest.mark.parametrize(
    ("summary", "words"),
    [
        (Summary(), "0 read, 0 faces"),
        (Summary(1, 2, labels={"sad": 1, "happy": 1}), "1 read, 2 faces; sad 1, happy 1"),
        (
            Summary(9, 5, 1, 2, 3, {"sad": 1, "happy": 4}),
            "9 read, 5 faces, 1 without a face, 2 unreadable, 3 done before; happy 4, sad 1",
        ),
    ],
)
def test_what_was_read_is_told_in_a_line(summary, words):
    assert summary.describe() == words


def test_pictures_and_the_faces_on_them_are_counted():
    scores = Scores(("a", "b"), (0.75, 0.25))
    face = Reading(Face(Box(0, 0, 9, 9)), scores)
    summary = Summary()
    for readings in ([face, face], [Reading(None, None, "no_face")], [face]):
        summary.count(Readings(readings))
    summary.count(Readings([Reading(None, None, "unreadable", error="torn")]))
    assert summary == Summary(4, 3, 1, 1, 0, {"a": 3})


@pytest.mark.parametrize(
    ("tables", "csv"),
    [((), None), (("t.jsonl",), None), (("t.jsonl", "t.csv"), "t.csv"), (("a.csv",), "a.csv")],
)
def test_the_csv_is_what_can_be_continued(tables, csv):
    assert Outputs(tuple(map(Path, tables))).csv == (csv and Path(csv))


def test_a_film_becomes_everything_that_can_be_asked_for(recognizer, clip, tmp_path):
    analyse(recognizer, clip, outputs(tmp_path, video=tmp_path / "v.mp4", blur=True))
    table = pd.read_csv(tmp_path / "t.csv")
    assert table.frame.nunique() == 24
    assert set(table.face_id) == {1, 2}
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
    part = open_source(clip, cut=Cut(start_s=0.2, end_s=0.8))
    analyse(recognizer, part, Outputs(video=tmp_path / "v.mp4"))
    with av.open(str(tmp_path / "v.mp4")) as drawn:
        heard = [p for p in drawn.demux(audio=0) if p.pts is not None]
    length_s = float(sum(p.duration * p.time_base for p in heard))
    assert length_s == pytest.approx(0.6, abs=0.2)


def test_a_film_without_a_frame_is_not_written(recognizer, clip, tmp_path):
    nothing = open_source(clip, cut=Cut(start_s=0.42, end_s=0.45))
    with pytest.raises(InputError, match="no frame lies between"):
        analyse(recognizer, nothing, Outputs(video=tmp_path / "v.mp4"))
    assert list(tmp_path.iterdir()) == []


def test_blurred_faces_are_not_found_again(recognizer, clip, tmp_path):
    part = open_source(clip, cut=Cut(end_s=0.3))
    analyse(recognizer, part, Outputs(video=tmp_path / "v.mp4", blur=True))
    assert all(r.status == "no_face" for r in recognizer.recognize(tmp_path / "v.mp4"))


RUN = """
import os, signal, sys, mien.recognizer
answer, batches, kind = mien.recognizer.Recognizer.answer, [], int(sys.argv.pop())

def killed(self, batch):
    batches.append(batch)
    if len(batches) == 4:
        os.kill(os.getpid(), kind)
    return answer(self, batch)

mien.recognizer.Recognizer.answer = killed
signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a test run ignores Ctrl-C
from mien.cli import main
main()
"""


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_film_leaves_a_valid_table_and_no_half_film(tmp_path, play, kind):
    bundle = brightness_bundle(tmp_path / "b", LABELS).folder
    table, shown = tmp_path / "t.csv", tmp_path / "v.mp4"
    command = ["recognize", play, "--csv", table, "--model", bundle, "--detector", "none"]
    told = subprocess.run(
        [sys.executable, "-c", RUN, *map(str, command), "--video", shown, str(int(kind))],
        capture_output=True,
        text=True,
        timeout=60,
    )
    found = pd.read_csv(table)
    assert 4 <= len(found) < 41
    assert list(found.frame) == list(range(len(found)))
    assert not shown.exists()
    if kind == signal.SIGINT:
        assert told.returncode == 130
        assert told.stderr == f"mien: stopped; continue with --csv {table} --resume\n"
        assert not list(tmp_path.glob(".v*"))
    reader = mien.Recognizer(bundle, detector="none")
    analyse(reader, str(play), Outputs((table,)), resume=True)
    analyse(reader, str(play), Outputs((tmp_path / "whole.csv",)))
    assert table.read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_pictures_and_films_are_read_from_an_address(recognizer, clip, tmp_path, monkeypatch):
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
        assert [r.face_id for r in first[:2]] == [1, 2]
        fetched = open_source(f"{root}{clip}", private=True, cut=Cut(end_s=0.2))
        analyse(recognizer, fetched, Outputs(video=tmp_path / "v.mp4"))
        server.shutdown()
    with av.open(str(tmp_path / "v.mp4")) as drawn:
        assert len(drawn.streams.audio) == 1


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_eight_threads_sharing_a_recognizer_read_what_one_reads(recognizer, album):
    from concurrent.futures import ThreadPoolExecutor

    names = [str(album / "deep" / f"{i}.jpg") for i in range(3)]
    expected = [recognizer.recognize(name) for name in names] * 4
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(recognizer.recognize, names * 4))
    assert [r.to_dict() for r in found] == [r.to_dict() for r in expected]


def test_memory_stays_flat_over_many_frames(tmp_path):
    """4,000 pictures through a tiny network and no detector: what is measured is mien's own."""
    bundle = brightness_bundle(tmp_path / "b").folder
    reader = mien.Recognizer(bundle, detector="none")
    picture = np.zeros((120, 160, 3), np.uint8)
    page = os.sysconf("SC_PAGE_SIZE")

    def resident_mb() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * page / 1e6

    begun = 0.0
    for number, _ in enumerate(reader.stream(itertools.repeat(picture, 4_000))):
        if number == 500:
            begun = resident_mb()
    assert number == 3_999
    assert resident_mb() - begun < 8


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"video": "v.mp4"}, "need one"),
        ({"plot": "p.png"}, "need one"),
        ({"segments": "s.csv"}, "need one"),
    ],
)
def test_outputs_of_films_are_refused_for_pictures(reader, album, tmp_path, more, message):
    paths = {name: tmp_path / value for name, value in more.items()}
    with pytest.raises(InputError, match=message):
        analyse(reader, album, Outputs((tmp_path / "t.csv",), **paths))
    assert not (tmp_path / "t.csv").exists()


def test_what_cannot_go_together_is_said(reader, play, album, tmp_path):
    with pytest.raises(InputError, match="the same --csv"):
        analyse(reader, play, Outputs(), resume=True)
    analyse(reader, play, outputs(tmp_path))
    other = film(tmp_path / "other.mp4", [0.0, 0.1])
    with pytest.raises(InputError) as told:
        analyse(reader, other, Outputs((tmp_path / "t.csv",)), resume=True)
    assert str(told.value) == f"{tmp_path / 't.csv'} is of {play}, not of {other}; choose another"
    for one in ({"video": tmp_path / "v.mp4"}, {"plot": tmp_path / "p.png"}):
        with pytest.raises(InputError, match="--video and --plot are of exactly one"):
            analyse(reader, [play, other], Outputs(**one))
    with pytest.raises(InputError, match="hides the faces in --video; add it"):
        analyse(reader, play, Outputs(blur=True))
    with pytest.raises(InputError, match="hides the faces in --video alone; leave --out out"):
        analyse(reader, play, Outputs((), tmp_path / "d", tmp_path / "v.mp4", blur=True))
    with pytest.raises(InputError, match="a folder for drawings of several"):
        analyse(reader, album, Outputs(pictures=tmp_path / "x.png"))
    with pytest.raises(InputError, match=r"use \.png, \.svg, \.pdf, \.html"):
        analyse(reader, play, Outputs(plot=tmp_path / "x.txt"))
    with pytest.raises(InputError, match="cannot be continued"):
        analyse(reader, play, outputs(tmp_path, video=tmp_path / "v.mp4"), resume=True)
    before = (tmp_path / "t.csv").read_bytes()
    with pytest.raises(InputError, match=r"use \.mp4"):
        analyse(reader, play, outputs(tmp_path, video=tmp_path / "v.xyz"))
    assert (tmp_path / "t.csv").read_bytes() == before


@pytest.fixture
def holiday(tmp_path: Path) -> Path:
    """Two films, three photos of which one is broken, an animated picture and a text."""
    folder = tmp_path / "holiday"
    folder.mkdir()
    film(folder / "a.mp4", [i / 10 for i in range(4)], (320, 180))
    shutil.copy(PORTRAIT, folder / "b.jpg")
    (folder / "c.png").write_bytes(b"no picture")
    film(folder / "d.mkv", [i / 10 for i in range(4)], (320, 180), faces=2)
    face, wall = Image.open(PORTRAIT), Image.new("RGB", (512, 512))
    wall.save(folder / "e.webp", save_all=True, append_images=[face], duration=300)
    (folder / "f.txt").write_text("text")
    wall.save(folder / "g.bmp")
    return folder


def test_films_and_photos_go_into_one_table(recognizer, holiday, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = open_source("holiday")
    out = Outputs((tmp_path / "t.csv",), tmp_path / "drawn", segments=tmp_path / "s.csv")
    summary = analyse(recognizer, source, out)
    assert source.warnings == ["1 file left out: f.txt"]
    assert (summary.pictures, summary.unreadable) == (13, 1)
    table = pd.read_csv(tmp_path / "t.csv")
    films = table.groupby("index").agg({"path": "first", "face_id": "max", "time_s": "max"})
    names = ("a.mp4", "b.jpg", "c.png", "d.mkv", "e.webp", "g.bmp")
    assert list(films.path) == [f"holiday/{name}" for name in names]
    assert films.face_id.fillna(-1).tolist() == [1, -1, -1, 2, 1, -1], "each film begins anew"
    assert films.time_s.fillna(-1).tolist() == [0.3, -1, -1, 0.3, 0.3, -1]
    segments = pd.read_csv(tmp_path / "s.csv")
    assert list(segments.path) == [f"holiday/{n}" for n in ("a.mp4", "d.mkv", "d.mkv", "e.webp")]
    place = tmp_path / "drawn" / "holiday"
    drawn = sorted(str(p.relative_to(place)) for p in place.rglob("*") if p.is_file())
    frames = [
        f"{name}/frame_{number:06}.jpg"
        for name, count in (("a.mp4", 4), ("d.mkv", 4), ("e.webp", 2))
        for number in range(count)
    ]
    assert drawn == sorted([*frames, "b.jpg", "g.bmp.jpg"])


@pytest.mark.parametrize("kept", [1, 3, 5, 6, 7, 9, 13, 15])
def test_a_batch_of_films_and_photos_is_continued_to_the_same_bytes(
    recognizer, holiday, tmp_path, kept
):
    def run(**more: bool) -> tuple[bytes, bytes, bytes]:
        files = [tmp_path / name for name in ("t.csv", "t.jsonl", "s.csv")]
        analyse(recognizer, holiday, Outputs(tuple(files[:2]), segments=files[2]), **more)
        return tuple(file.read_bytes() for file in files)

    whole = run()
    for name, lines in (("t.csv", kept + 1), ("t.jsonl", kept + 1)):
        told = (tmp_path / name).read_bytes().splitlines(keepends=True)
        (tmp_path / name).write_bytes(b"".join(told[:lines]) + b"holi" * (name == "t.csv"))
    assert run(resume=True) == whole


def test_the_drawing_of_a_long_name_has_a_name_that_is_allowed():
    long = f"{'é' * 125}.heic"
    place = place_of(Path("out"), long)
    assert len(os.fsencode(place.name)) <= 255
    assert place.name.startswith("é" * 120) and place.suffix == ".jpg"


def test_what_cannot_go_to_standard_output_says_what_can(reader: mien.Recognizer, tmp_path: Path):
    with pytest.raises(InputError, match="--summary - is no file; --csv - and --jsonl - go"):
        analyse(reader, [tmp_path / "a.png"], Outputs(summary=Path("-")))
