import csv
import io
import json
import resource
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import FileError, InputError
from mien.output import done_in, open_table
from mien.output.tables import format_of
from mien.types import Box, Face, Reading, Readings, Scores, columns

LABELS = ("angry", "happy")
HEADER = (
    "path,index,time_s,frame,face_id,x,y,width,height,score,label,confidence,status,"
    "angry,happy,smoothed_angry,smoothed_happy,error\n"
)


def picture(name: str, faces: int = 2) -> Readings:
    if not faces:
        return Readings([Reading(None, None, "no_face", path=name)])
    scores = Scores(LABELS, (0.25, 0.75))
    return Readings(
        Reading(Face(Box(10 * i, 5, 20, 24), 0.9), scores, path=name) for i in range(faces)
    )


FRAME = Readings(
    [
        Reading(
            Face(Box(-3, 5, 20, 24), 0.123456789, ((1.5, 2.0),) * 5),
            Scores(LABELS, (2 / 3, 1 / 3)),
            "unsure",
            path="f.mp4",
            time_s=1 / 3,
            frame=10,
            face_id=0,
            smoothed=Scores(LABELS, (0.5, 0.5)),
        ),
        Reading(Face(Box(4, 5, 6, 7)), Scores(LABELS, (0.0, 1.0)), path="f.mp4", time_s=2.0),
        Reading(None, None, "unreadable", path="g.png", error="g.png is empty", index=3),
    ]
)
CSV_ROWS = (
    "f.mp4,,0.333333,10,0,-3,5,20,24,0.123457,angry,0.666667,unsure,0.666667,0.333333,0.5,0.5,\n"
    "f.mp4,,2.0,,,4,5,6,7,,happy,1.0,ok,0.0,1.0,,,\n"
    "g.png,3,,,,,,,,,,,unreadable,,,,,g.png is empty\n"
)


def written(path: Path, *pictures: Readings, resume: bool = False) -> bytes:
    table = open_table(path, LABELS, resume=resume)
    for readings in pictures:
        table.write(readings)
    table.close()
    return path.read_bytes()


NAMES = ["a.jpg", "with, comma.jpg", 'with "quotes".jpg', "ünïcödé 名.jpg"]


def test_a_csv_is_a_header_and_a_row_per_reading_with_numbers_to_six_decimals(tmp_path: Path):
    assert written(tmp_path / "new" / "t.csv", FRAME).decode() == HEADER + CSV_ROWS


@pytest.mark.parametrize("suffix", [".jsonl", ".ndjson", ".JSONL"])
def test_json_lines_hold_what_the_csv_does_and_more_unrounded(suffix: str, tmp_path: Path):
    data = written(tmp_path / "new" / f"t{suffix}", FRAME)
    assert data.endswith(b"\n")
    face, bare, none = (json.loads(line) for line in data.splitlines())
    assert face == {
        "path": "f.mp4",
        "time_s": 1 / 3,
        "frame": 10,
        "face_id": 0,
        "status": "unsure",
        "box": {"x": -3, "y": 5, "width": 20, "height": 24},
        "score": 0.123456789,
        "landmarks": [[1.5, 2.0]] * 5,
        "label": "angry",
        "confidence": 2 / 3,
        "expressions": {"angry": 2 / 3, "happy": 1 / 3},
        "smoothed": {"angry": 0.5, "happy": 0.5},
    }
    assert set(bare) == {"path", "time_s", "status", "box", "label", "confidence", "expressions"}
    assert none == {
        "path": "g.png",
        "index": 3,
        "status": "unreadable",
        "error": "g.png is empty",
    }


def test_a_parquet_has_columns_of_their_kinds_and_every_digit(tmp_path: Path):
    written(tmp_path / "new" / "t.parquet", FRAME, picture("a.jpg", 1))
    table = pq.read_table(tmp_path / "new" / "t.parquet")
    kinds = dict.fromkeys(("path", "label", "status", "error"), "string")
    whole = ("index", "frame", "face_id", "x", "y", "width", "height")
    kinds |= dict.fromkeys(whole, "int64")
    assert {f.name: str(f.type) for f in table.schema} == {
        name: kinds.get(name, "double") for name in columns(LABELS)
    }
    assert table.to_pylist() == [r.to_row(LABELS) for r in (*FRAME, *picture("a.jpg", 1))]


def test_a_parquet_is_written_in_groups_of_rows_in_order(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("mien.output.parquet.RowGroups._ROWS", 4)
    written(tmp_path / "t.parquet", *[picture(name) for name in "abcde"])
    file = pq.ParquetFile(tmp_path / "t.parquet")
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [4, 4, 2]
    assert file.read()["path"].to_pylist() == list("aabbccddee")


@pytest.mark.parametrize("suffix", [".csv", ".CSV", ".jsonl", ".parquet", ".Parquet"])
def test_every_kind_of_table_holds_every_name(suffix: str, tmp_path: Path):
    path = tmp_path / f"t{suffix}"
    written(path, *[picture(name) for name in NAMES], picture("none.jpg", faces=0))
    read = {
        ".csv": pd.read_csv,
        ".parquet": pd.read_parquet,
        ".jsonl": lambda file: pd.read_json(file, lines=True),
    }[suffix.lower()]
    found = read(path)
    assert list(found.path) == [n for n in NAMES for _ in range(2)] + ["none.jpg"]
    assert list(found.status) == ["ok"] * 8 + ["no_face"]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_table_is_valid_while_it_grows(suffix: str, tmp_path: Path):
    path = tmp_path / f"t{suffix}"
    table = open_table(path, LABELS)
    begun = path.read_text()
    assert begun == (HEADER if suffix == ".csv" else "")
    table.write(picture("a.jpg"))
    assert len(path.read_text().removeprefix(begun).splitlines()) == 2
    assert path.read_text().endswith("\n")


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_without_resume_a_table_begins_anew(suffix: str, tmp_path: Path):
    path = tmp_path / f"t{suffix}"
    once = written(path, picture("a.jpg"))
    written(path, picture("b.jpg"), picture("c.jpg"))
    assert written(path, picture("a.jpg")) == once


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_table_that_is_not_there_is_begun_where_it_should_be_resumed(suffix, tmp_path: Path):
    fresh = written(tmp_path / f"whole{suffix}", picture("a.jpg"))
    assert written(tmp_path / f"t{suffix}", picture("a.jpg"), resume=True) == fresh


@pytest.mark.parametrize("torn", [1, 10, 40])
def test_a_line_that_was_cut_off_is_no_row(torn: int, tmp_path: Path):
    path = tmp_path / "t.csv"
    whole = written(path, picture("a.jpg"), picture("b.jpg", faces=1))
    path.write_bytes(whole[:-torn])
    assert [reading.path for reading in done_in(path, LABELS)] == ["a.jpg", "a.jpg"]
    assert path.read_bytes() == whole[:-torn]


def test_nothing_was_done_in_a_table_that_is_not_there_or_has_no_rows(tmp_path: Path):
    assert done_in(tmp_path / "t.csv", LABELS) == []
    assert not (tmp_path / "t.csv").exists()
    for begun in ("", HEADER[:30], HEADER[:-1], HEADER):
        (tmp_path / "t.csv").write_text(begun)
        assert done_in(tmp_path / "t.csv", LABELS) == []
        assert written(tmp_path / "t.csv", resume=True).decode() == HEADER


def rounded(reading: Reading) -> Reading:
    """What a table holds of it: no landmarks, six decimals."""

    def round_scores(scores: Scores | None) -> Scores | None:
        return scores and Scores(scores.labels, tuple(round(v, 6) for v in scores.values))

    face, time_s = reading.face, reading.time_s
    return replace(
        reading,
        face=face and Face(face.box, None if face.score is None else round(face.score, 6)),
        scores=round_scores(reading.scores),
        smoothed=round_scores(reading.smoothed),
        time_s=None if time_s is None else round(time_s, 6),
    )


def test_rows_come_back_as_faces(tmp_path: Path):
    written(tmp_path / "t.csv", FRAME)
    assert done_in(tmp_path / "t.csv", LABELS) == [rounded(reading) for reading in FRAME]


@pytest.mark.parametrize(
    "row",
    [
        "a.jpg,,,,,1,2,3,four,,happy,0.5,ok,0.5,0.5,,,",
        "a.jpg,,,,,1,2,,4,,happy,0.5,,0.5,0.5,,,",
        "a.jpg,,,,,1,2,3,4,,happy,0.5,ok,0,0,,,",
        "a.jpg,,,,,1,2,3,4,,happy,0.5,ok,,,,,",
        "a.jpg,,,,,1,2,3,4,,happy,0.5,ok,0.5,0.5,0.5,,",
        "a.jpg,,,,,1,2,3,4,,happy,0.5,ok,0.5,0.5,,,,",
        "a.jpg",
    ],
)
def test_a_row_that_was_not_written_here_is_told_and_the_file_stays(tmp_path: Path, row: str):
    (tmp_path / "t.csv").write_text(f"{HEADER}{row}\n")
    with pytest.raises(InputError, match=r"t\.csv has a row that cannot be read"):
        done_in(tmp_path / "t.csv", LABELS)
    assert (tmp_path / "t.csv").read_text() == f"{HEADER}{row}\n"


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_table_that_cannot_be_written_is_told_by_its_name(suffix: str, tmp_path: Path):
    (tmp_path / "file").touch()
    path = tmp_path / "file" / f"t{suffix}"
    with pytest.raises(FileError, match=r"cannot read or write .*file"):
        open_table(path, LABELS)
    (tmp_path / f"folder{suffix}").mkdir()
    for resume in (False, True):
        with pytest.raises(FileError, match=r"cannot read or write .*folder.*directory"):
            open_table(tmp_path / f"folder{suffix}", LABELS, resume=resume)


OTHERS = {
    "other labels": ("angry", "sad"),
    "another order": ("happy", "angry"),
    "fewer": ("angry",),
    "more": ("angry", "happy", "sad"),
}


@pytest.mark.parametrize("labels", OTHERS.values(), ids=list(OTHERS))
@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_table_of_another_model_is_not_continued(suffix, labels, tmp_path: Path):
    path = tmp_path / f"t{suffix}"
    before = written(path, picture("none.jpg", 0), picture("a.jpg"))
    with pytest.raises(InputError, match=r"has other (columns|expressions) .* choose another"):
        open_table(path, labels, resume=True)
    assert path.read_bytes() == before


def test_json_lines_of_pictures_without_a_face_are_of_any_model(tmp_path: Path):
    before = written(tmp_path / "t.jsonl", picture("none.jpg", 0))
    table = open_table(tmp_path / "t.jsonl", ("sad",), resume=True)
    table.close()
    assert (tmp_path / "t.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.csv", "a,b\n1,2\n", "other columns"),
        ("notes.csv", "my only notes", "other columns"),
        ("long.csv", HEADER[:-1] + ",sad", "other columns"),
        ("notes.jsonl", "my only notes", "no JSON lines"),
        ("notes.jsonl", "my only\nnotes", "no JSON lines"),
        ("other.jsonl", '{"expressions": {}}\n', "other expressions"),
        ("torn.jsonl", '{"expressions": {"angry"\n', "a line that is no JSON"),
        ("t.parquet", "", r"Parquet is written whole; use a \.csv"),
    ],
)
def test_what_cannot_be_continued_is_refused_and_left_as_it_is(name, text, message, tmp_path: Path):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=f"{name}.*{message}"):
        open_table(tmp_path / name, LABELS, resume=True)
    assert (tmp_path / name).read_text() == text


@pytest.mark.parametrize("name", ["t.xls", "t", "t.XLS", "csv"])
def test_a_name_that_is_no_tables_is_refused(name: str, tmp_path: Path):
    for refuse in (format_of, lambda path: open_table(path, LABELS)):
        with pytest.raises(InputError, match=r"use \.csv, \.jsonl or \.parquet"):
            refuse(tmp_path / name)
    assert not list(tmp_path.iterdir())
    for suffix in (".csv", ".CSV", ".jsonl", ".Jsonl", ".parquet", ".PARQUET"):
        assert format_of(tmp_path / f"t{suffix}") == suffix.lower()
    assert format_of(tmp_path / "t.ndjson") == ".jsonl"


def test_a_parquet_that_was_not_closed_leaves_nothing_under_its_name(tmp_path: Path):
    table = open_table(tmp_path / "t.parquet", LABELS)
    table.write(picture("a.jpg"))
    assert not (tmp_path / "t.parquet").exists()
    table.close()
    assert [p.name for p in tmp_path.iterdir()] == ["t.parquet"]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_full_disk_leaves_whole_lines(suffix: str, tmp_path: Path):
    path = tmp_path / f"t{suffix}"
    table = open_table(path, LABELS)
    table.write(picture("a.jpg"))
    before = path.read_bytes()
    bounds = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 30, bounds[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            table.write(picture("b.jpg"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, bounds)
    assert path.read_bytes() == before
    table.write(picture("b.jpg"))
    assert path.read_bytes() == written(
        tmp_path / f"whole{suffix}", picture("a.jpg"), picture("b.jpg")
    )


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_table_that_is_closed_takes_nothing_more(suffix: str, tmp_path: Path):
    table = open_table(tmp_path / f"t{suffix}", LABELS)
    table.close()
    before = (tmp_path / f"t{suffix}").read_bytes()
    with pytest.raises(ValueError, match="closed"):
        table.write(picture("a.jpg"))
    assert (tmp_path / f"t{suffix}").read_bytes() == before


class Slow(io.FileIO):
    """A file that takes a few bytes at a time, as the system may."""

    def write(self, data) -> int:
        return super().write(data[:7])


def test_what_the_system_takes_in_parts_is_written_to_its_end(tmp_path: Path, monkeypatch):
    whole = written(tmp_path / "whole.csv", FRAME)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda path, mode, buffering: Slow(path, "a+"))
        table = open_table(tmp_path / "t.csv", LABELS)
        table.write(FRAME)
        table.close()
    assert (tmp_path / "t.csv").read_bytes() == whole


PICTURES = st.lists(
    st.builds(
        picture,
        st.text(st.characters(codec="utf-8"), min_size=1) | st.text('a,"\n\r', min_size=1),
        faces=st.integers(0, 2),
    ),
    max_size=4,
)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(PICTURES)
def test_whatever_a_picture_is_called_its_rows_come_back(tmp_path_factory, pictures):
    path = tmp_path_factory.mktemp("t") / "t.csv"
    data = written(path, *pictures)
    expected = [r.path for readings in pictures for r in readings]
    assert [reading.path for reading in done_in(path, LABELS)] == expected
    with path.open(newline="", encoding="utf-8") as file:
        assert [row["path"] for row in csv.DictReader(file)] == expected
    assert path.read_bytes() == data
