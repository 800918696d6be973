import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mien.errors import InputError
from mien.output import done_in, open_table
from mien.output.tables import read_row
from mien.types import COLUMNS, Box, Face, Reading, Readings, Scores

LABELS = ("angry", "happy")
HEADER = (*COLUMNS, *LABELS)


def picture(name: str, faces: int = 2) -> Readings:
    if not faces:
        return Readings([Reading(None, None, "no_face", path=name)])
    scores = Scores(LABELS, (0.25, 0.75))
    return Readings(
        Reading(Face(Box(10 * i, 5, 20, 24), 0.9), scores, path=name) for i in range(faces)
    )


NAMES = ["a.jpg", "with, comma.jpg", 'with "quotes".jpg', "ünïcödé 名.jpg"]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_every_kind_of_table_holds_a_row_per_face(suffix: str, tmp_path: Path):
    path = tmp_path / "new" / f"t{suffix}"
    table = open_table(path, LABELS)
    for name in NAMES:
        table.write(picture(name))
    table.write(picture("none.jpg", faces=0))
    table.close()
    read = {".csv": pd.read_csv, ".parquet": pd.read_parquet}.get(suffix)
    if read is None:
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        assert rows[-1] == {"path": "none.jpg", "status": "no_face"}
        assert rows[0]["expressions"] == {"angry": 0.25, "happy": 0.75}
    else:
        found = read(path)
        assert tuple(found.columns) == HEADER
        assert list(found.path) == [n for n in NAMES for _ in range(2)] + ["none.jpg"]
        assert list(found.status) == ["ok"] * 8 + ["no_face"]
        assert found.happy[0] == 0.75
        assert np.isnan(found.happy.iloc[-1])


def test_a_table_is_valid_while_it_grows(tmp_path: Path):
    table = open_table(tmp_path / "t.csv", LABELS)
    assert len(pd.read_csv(tmp_path / "t.csv")) == 0
    table.write(picture("a.jpg"))
    assert len(pd.read_csv(tmp_path / "t.csv")) == 2


@pytest.mark.parametrize("torn", [1, 10, 40])
def test_a_line_that_was_cut_off_is_dropped_and_written_again(torn: int, tmp_path: Path):
    whole = tmp_path / "whole.csv"
    table = open_table(whole, LABELS)
    table.write(picture("a.jpg"))
    table.write(picture("b.jpg", faces=1))
    (tmp_path / "t.csv").write_bytes(whole.read_bytes()[:-torn])
    assert [row["path"] for row in done_in(tmp_path / "t.csv", LABELS)] == ["a.jpg", "a.jpg"]
    table = open_table(tmp_path / "t.csv", LABELS, resume=True)
    table.write(picture("b.jpg", faces=1))
    assert (tmp_path / "t.csv").read_bytes() == whole.read_bytes()


def test_rows_come_back_as_faces(tmp_path: Path):
    table = open_table(tmp_path / "t.csv", LABELS)
    table.write(picture("a.jpg", faces=1))
    table.write(picture("b.jpg", faces=0))
    one, none = done_in(tmp_path / "t.csv", LABELS)
    assert read_row(one, LABELS) == (Face(Box(0, 5, 20, 24)), Scores(LABELS, (0.25, 0.75)))
    assert read_row(none, LABELS) is None


def test_what_cannot_be_continued_is_refused(tmp_path: Path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    (tmp_path / "notes.csv").write_text("my only notes")
    (tmp_path / "notes.jsonl").write_text("my only notes")
    for name in ("t.csv", "notes.csv", "notes.jsonl"):
        before = (tmp_path / name).read_bytes()
        with pytest.raises(InputError, match=r"other columns|no JSON lines"):
            open_table(tmp_path / name, LABELS, resume=True)
        assert (tmp_path / name).read_bytes() == before
    with pytest.raises(InputError, match="Parquet is written whole"):
        open_table(tmp_path / "t.parquet", LABELS, resume=True)
    with pytest.raises(InputError, match=r"use \.csv"):
        open_table(tmp_path / "t.xls", LABELS)


def test_a_parquet_that_was_not_closed_leaves_nothing_under_its_name(tmp_path: Path):
    table = open_table(tmp_path / "t.parquet", LABELS)
    table.write(picture("a.jpg"))
    assert not (tmp_path / "t.parquet").exists()
    table.close()
    assert [p.name for p in tmp_path.iterdir()] == ["t.parquet"]


def test_the_csv_is_what_the_standard_library_reads(tmp_path: Path):
    table = open_table(tmp_path / "t.csv", LABELS)
    table.write(picture(NAMES[2]))
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["path"] == NAMES[2]
