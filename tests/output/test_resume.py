"""Tables that go on: after a kill at any byte, after Excel, beside another run."""

import csv
import io
import json
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import InputError
from mien.origin import Origin
from mien.output import Tables, done_in
from mien.types import Box, Face, Reading, Readings, Scores

LABELS = ("angry", "happy")
ORIGIN = Origin(
    mien="0.2.0",
    model="mien-s",
    model_sha256=64 * "a",
    temperature=1.1,
    unsure_below=0.4,
    views="plain",
    detector="yunet",
    detector_version="2023mar, from 30 px",
    align=True,
    every_frame=False,
    identify=False,
    every=1,
    fps=None,
    start_s=0.0,
    end_s=None,
)

share = st.floats(0, 1)
scores = share.map(lambda value: Scores(LABELS, (round(value, 6), round(1 - value, 6))))
name = st.text(st.characters(codec="utf-8"), min_size=1) | st.text('a,;"\n\r\t', min_size=1)
box = st.builds(Box, st.integers(-9, 999), st.integers(-9, 999), st.integers(1, 99), st.just(7))
face = st.builds(Face, box, st.none() | share.map(lambda value: round(value, 6)))
faces = st.builds(Reading, face, scores, st.sampled_from(["ok", "small", "unsure"]))
nobody = st.just(Reading(None, None, "no_face"))
torn = st.builds(Reading, st.none(), st.none(), st.just("unreadable"), error=name)


@st.composite
def photos(draw) -> list[Readings]:
    """Photos with faces, without, and torn ones; names may come twice."""
    found = draw(st.lists(st.lists(faces, min_size=1, max_size=3) | st.tuples(nobody | torn)))
    return [
        Readings(replace(reading, path=path, index=index) for reading in readings)
        for index, readings in enumerate(found)
        for path in [draw(name)]
    ]


@st.composite
def film(draw) -> list[Readings]:
    """Frames with faces that have ids and smoothed scores."""
    steps = draw(st.lists(st.tuples(st.integers(1, 10**6), st.lists(st.tuples(faces, scores)))))
    now, frames = 0, []
    for number, (step, seen) in enumerate(steps):
        now += step
        place = {"path": "f.mp4", "time_s": round(now / 10**6, 6), "frame": number}
        found = [replace(r, face_id=i, smoothed=s, **place) for i, (r, s) in enumerate(seen)]
        frames.append(Readings(found or [Reading(None, None, "no_face", **place)]))
    return frames


pictures = photos() | film()
often = settings(max_examples=25, deadline=None, derandomize=True)


def run(paths: list[Path], found: list[Readings], *, resume: bool = False, **more) -> int:
    """Write what is not done yet; how many pictures were done."""
    with Tables(paths, LABELS, more.pop("origin", ORIGIN), resume=resume, **more) as tables:
        done = {reading.place for reading in tables.done}
        tables.begin()
        for readings in found:
            if readings[0].place not in done:
                tables.write(readings)
    return len(done)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("scratch")


@often
@given(pictures)
def test_a_table_read_back_has_the_same_readings(scratch: Path, found: list[Readings]):
    run([scratch / "t.csv"], found)
    assert done_in(scratch / "t.csv", LABELS) == [r for readings in found for r in readings]


@often
@given(pictures, st.booleans(), st.data())
def test_tables_that_were_killed_at_any_byte_become_the_same(scratch, found, bom, data):
    paths = [scratch / "t.csv", scratch / "t.jsonl"]
    ends = []  # of both tables, after each picture
    for number in range(len(found) + 1):
        run(paths, found[:number], bom=bom)
        ends.append([path.stat().st_size for path in paths])
    whole = [path.read_bytes() for path in paths]
    # Lines of JSON are written first: while rows are written, their lines are all there.
    cut = data.draw(st.integers(0, len(whole[0])))
    begun = sum(end < cut for end, _ in ends)  # pictures of which a part is in the .csv
    if cut in (ends[begun][0], ends[0][0]):
        lines = data.draw(st.integers(ends[begun][1], ends[min(begun + 1, len(found))][1]))
    else:
        lines = ends[begun][1]
    run(paths, [], bom=bom)  # what a run tells beside its tables when it begins
    for path, content, end in zip(paths, whole, (cut, lines), strict=True):
        path.write_bytes(content[:end])
    done = run(paths, found, resume=True, bom=bom)
    assert [path.read_bytes() for path in paths] == whole
    assert done <= begun


def test_a_torn_line_of_json_is_cut_away(tmp_path: Path):
    paths = [tmp_path / "t.csv", tmp_path / "t.jsonl"]
    found = [Readings([Reading(None, None, "no_face", path=p)]) for p in "abc"]
    run(paths, found)
    whole = [path.read_bytes() for path in paths]
    run(paths, [])
    for path, content in zip(paths, whole, strict=True):
        kept = content.splitlines(keepends=True)[: 2 if path.suffix == ".csv" else 1]
        path.write_bytes(b"".join(kept))
    paths[1].write_bytes(paths[1].read_bytes() + b'{"path": "b", "ind')
    run(paths, found, resume=True)
    assert [path.read_bytes() for path in paths] == whole


def test_a_run_that_came_to_its_end_is_not_read_again(tmp_path: Path):
    found = [Readings([Reading(None, None, "no_face", path=p)]) for p in "abc"]
    run([tmp_path / "t.csv"], found)
    assert run([tmp_path / "t.csv"], found, resume=True) == 3
    (tmp_path / "t.csv-metadata.json").unlink()
    assert run([tmp_path / "t.csv"], found, resume=True) == 2, "the last may lack a row"


def excel(data: bytes, separator: str, decimal: str, bom: bool) -> bytes:
    """A table as Excel saves it: CRLF, numbers in its own way, cells with separators in quotes."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=separator, lineterminator="\r\n")
    for row in csv.reader(io.StringIO(data.decode(), newline="")):
        writer.writerow([cell if not _number(cell) else _shown(cell, decimal) for cell in row])
    return (b"\xef\xbb\xbf" if bom else b"") + text.getvalue().encode()


def _number(cell: str) -> bool:
    return cell.replace(".", "").replace("e-", "").lstrip("-").isdecimal() and "." in cell


def _shown(cell: str, decimal: str) -> str:
    return (
        f"{float(cell):G}".replace(".", decimal)
        if float(cell) < 0.001
        else (cell.removesuffix(".0").replace(".", decimal))
    )


@pytest.mark.parametrize("bom", [False, True])
@pytest.mark.parametrize(
    ("separator", "decimal"), [(",", "."), (";", ","), ("\t", ","), (";", ".")]
)
def test_a_table_that_excel_saved_is_continued_in_its_form(tmp_path, separator, decimal, bom):
    path = tmp_path / "t.csv"
    values = [(0.000012, 0.999988), (1.0, 0.0), (0.25, 0.75)]
    found = [
        Readings([Reading(Face(Box(1, 2, 3, 4), 0.5), Scores(LABELS, v), path=name, index=i)])
        for i, (name, v) in enumerate(zip(("a;1.jpg", "b,2.jpg", 'c"\n3.jpg'), values, strict=True))
    ]
    run([path], found[:2])
    path.write_bytes(saved := excel(path.read_bytes(), separator, decimal, bom))
    assert run([path], found, resume=True) == 2
    assert path.read_bytes().startswith(saved)
    rest = path.read_bytes()[len(saved) :].decode()
    assert rest.endswith("\r\n") and rest.count(separator) >= 17
    assert f"0{decimal}25" in rest
    assert done_in(path, LABELS) == [r for readings in found for r in readings]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda data: data.replace("ü".encode(), "ü".encode("cp1252")),
            "save it again as 'CSV UTF-8'",
        ),
        (lambda data: data.replace(b"path,index", b"path,number"), "has other columns"),
        (lambda data: data.replace(b",no_face", b",no_face,mine"), "a row that cannot be read"),
    ],
)
def test_what_a_spreadsheet_spoiled_is_refused_and_left(tmp_path: Path, change, message: str):
    path = tmp_path / "t.csv"
    frames = [Reading(None, None, "no_face", "ü.mp4", float(i), i) for i in range(3)]
    run([path], [Readings([frame]) for frame in frames])
    path.write_bytes(spoiled := change(path.read_bytes()))
    with pytest.raises(InputError, match=message):
        run([path], [], resume=True)
    assert path.read_bytes() == spoiled


def test_a_new_table_for_excel_begins_with_the_mark_of_utf_8(tmp_path: Path):
    run([tmp_path / "t.csv"], [], bom=True)
    run([tmp_path / "plain.csv"], [])
    marked, plain = ((tmp_path / name).read_bytes() for name in ("t.csv", "plain.csv"))
    assert marked == b"\xef\xbb\xbf" + plain


@pytest.mark.parametrize("kept", [0, 2, 5])
def test_lines_of_another_run_are_not_cut(tmp_path: Path, kept: int):
    found = [Readings([Reading(None, None, "no_face", path=str(i))]) for i in range(6)]
    run([tmp_path / "t.jsonl"], found[:kept] if kept == 5 else found)
    run([tmp_path / "t.csv"], found[:kept] if kept < 5 else found)
    paths = [tmp_path / "t.csv", tmp_path / "t.jsonl"]
    before = [path.read_bytes() for path in paths]
    with pytest.raises(InputError, match=r"t\.jsonl is not of the same run as the \.csv"):
        run(paths, found, resume=True)
    assert [path.read_bytes() for path in paths] == before


def test_lines_of_other_pictures_are_not_continued(tmp_path: Path):
    for name, paths in (("t.csv", "abc"), ("t.jsonl", "abd")):
        run([tmp_path / name], [Readings([Reading(None, None, "no_face", p)]) for p in paths])
    with pytest.raises(InputError, match=r"is not of the same run .* got others; choose"):
        run([tmp_path / "t.csv", tmp_path / "t.jsonl"], [], resume=True)


def test_a_table_tells_what_made_it(tmp_path: Path):
    names = ["t.csv", "t.JSONL", "t.parquet"]
    run([tmp_path / name for name in names], [Readings([Reading(None, None, "no_face")])])
    told = json.loads((tmp_path / "t.csv-metadata.json").read_text())
    note = {
        **{"mien": "0.2.0", "model": "mien-s", "model_sha256": 64 * "a", "temperature": 1.1},
        **{"unsure_below": 0.4, "views": "plain", "detector": "yunet", "every_frame": False},
        **{"detector_version": "2023mar, from 30 px", "align": True, "every": 1, "fps": None},
        **{"start_s": 0.0, "end_s": None, "identify": False, "rows": 1},
    }
    context = "http://www.w3.org/ns/csvw"
    assert told == {"@context": context, "url": "t.csv", "notes": [note]}
    lines = json.loads((tmp_path / "t.JSONL-metadata.json").read_text())
    assert lines == {"url": "t.JSONL", "notes": [note]}
    kept = pq.read_schema(tmp_path / "t.parquet").metadata[b"mien"]
    assert json.loads(kept) == {k: v for k, v in note.items() if k != "rows"}
    sides = {f"{name}-metadata.json" for name in names[:2]}
    assert {path.name for path in tmp_path.iterdir()} == {*names, *sides}


def test_a_table_that_tells_of_no_looks_was_made_without():
    before = {name: value for name, value in asdict(ORIGIN).items() if name != "identify"}
    assert ORIGIN.differences(before) == []
    assert replace(ORIGIN, identify=True).differences(before) == ["identify no, now yes"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "mien-m-int8"}, "model mien-s, now mien-m-int8; continue"),
        ({"model_sha256": 64 * "b"}, r"model sha256 aaaaaaaaaaaa\.\.\., now bbbbbbbbbbbb\.\.\."),
        ({"align": False, "fps": 2.0}, "align yes, now no; fps none, now 2.0"),
        ({"mien": "0.3.0"}, "mien 0.2.0, now 0.3.0"),
        ({"start_s": 1.5, "end_s": 3.0}, "start 0.0, now 1.5; end none, now 3.0"),
    ],
)
@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_table_of_other_settings_is_not_continued(tmp_path, suffix, changes, message):
    path = tmp_path / f"t{suffix}"
    run([path], [Readings([Reading(None, None, "no_face", path="a")])])
    before = {p: p.read_bytes() for p in tmp_path.iterdir()}
    with pytest.raises(InputError, match=rf"t{suffix} was made with (.*; )?{message}"):
        run([path], [], resume=True, origin=replace(ORIGIN, **changes))
    assert {p: p.read_bytes() for p in tmp_path.iterdir()} == before
    run([path], [], origin=replace(ORIGIN, **changes))


def test_a_table_that_does_not_tell_is_continued_with_a_word(tmp_path: Path):
    path = tmp_path / "t.csv"
    found = [Readings([Reading(None, None, "no_face", path=p)]) for p in "ab"]
    run([path], found)
    side = tmp_path / "t.csv-metadata.json"
    side.unlink()
    with Tables([path], LABELS, ORIGIN, resume=True) as tables:
        assert tables.notes == [f"{path} does not tell what made it; it is continued all the same"]
        tables.begin()
    for damaged in ("", "[]", '{"notes": []}'):
        side.write_text(damaged)
        with pytest.raises(InputError, match=r"metadata\.json does not tell .*delete it to go on"):
            run([path], [], resume=True)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_two_runs_do_not_write_one_table(tmp_path: Path, suffix: str):
    path = tmp_path / f"t{suffix}"
    found = [Readings([Reading(None, None, "no_face", path="a")])]
    (tmp_path / "link").symlink_to(tmp_path)
    with Tables([path], LABELS, ORIGIN) as tables:
        tables.begin()
        tables.write(found[0])
        for resume in (False, True) if suffix == ".csv" else (False,):
            with pytest.raises(InputError, match="is being written by another run; wait"):
                run([tmp_path / "link" / f"t{suffix}"], found, resume=resume)
    once = path.read_bytes()
    run([path], found)
    assert path.read_bytes() == once


HOLD = """
import sys
from pathlib import Path
from mien.locks import held
with held(Path(sys.argv[1])) as file:
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_kill_leaves_no_lock(tmp_path: Path):
    path = tmp_path / "t.csv"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(InputError, match="another run"):
            run([path], [])
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert run([path], []) == 0


def test_a_run_that_fails_before_it_begins_leaves_all_as_it_was(tmp_path: Path):
    (tmp_path / "old.csv").write_text("notes")
    names = ["old.csv", "new.csv", "new.jsonl", "new.parquet"]
    with pytest.raises(ZeroDivisionError), Tables([tmp_path / n for n in names], LABELS, ORIGIN):
        1 / 0  # noqa: B018
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("old.csv", "notes")]


def test_a_run_that_fails_leaves_the_parquet_that_was_there(tmp_path: Path):
    found = [Readings([Reading(None, None, "no_face", path="a")])]
    run([tmp_path / "t.parquet"], found)
    before = (tmp_path / "t.parquet").read_bytes()
    with pytest.raises(ZeroDivisionError), Tables([tmp_path / "t.parquet"], LABELS) as tables:
        tables.begin()
        tables.write(found[0])
        1 / 0  # noqa: B018
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("t.parquet", before)]


@pytest.mark.parametrize("form", [".csv", ".jsonl"])
def test_standard_output_gets_what_a_file_gets(tmp_path: Path, capsysbinary, form: str):
    found = [Readings([Reading(None, None, "no_face", path="ü"), Reading(None, None, "no_face")])]
    run([tmp_path / f"t{form}"], found, stdout=form)
    assert capsysbinary.readouterr().out == (tmp_path / f"t{form}").read_bytes()
