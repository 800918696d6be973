"""Every shipped bundle reads the golden pictures and films as it did: see `tests.golden`."""

import json
from pathlib import Path

import numpy as np
import pytest

from mien.data.drawn import draw_face
from mien.sources import read_picture
from tests.golden.pictures import DRAWN, FILMS, PICTURES, png
from tests.golden.readings import (
    MADE_WITH,
    SAVED,
    SETS,
    Golden,
    changes,
    made_with,
    save,
)

SHOWN = 20


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Golden:
    return Golden(tmp_path_factory.mktemp("golden"))


@pytest.mark.parametrize("name", SETS)
def test_readings_are_those_that_were_saved(name: str, golden: Golden):
    found = [str(change) for change in changes(name, golden.texts(name))]
    told = "\n".join(found[:SHOWN])
    saved = json.loads((SAVED / MADE_WITH).read_text())
    assert not found, (
        f"{len(found)} changes, first {SHOWN}:\n{told}\nsaved with {saved}, here {made_with()}; "
        "if they are meant: scripts/golden"
    )


def test_there_are_as_many_as_the_issue_asks_for():
    assert len(PICTURES) == 30
    assert len(FILMS) == 3
    assert sum(path.stat().st_size for path in SAVED.parent.rglob("*") if path.is_file()) < 1.5e6


def test_every_saved_set_is_still_read():
    names = {path.name.rpartition(".")[0] for path in SAVED.iterdir()} - {"made-with"}
    assert names == set(SETS)


@pytest.mark.parametrize("number", range(5))
def test_the_drawn_faces_are_drawn_as_they_were(number: int):
    """OpenCV's strokes may differ by a tone or two between its versions."""
    expression = ("angry", "fear", "happy", "neutral", "surprise")[number]
    now = draw_face(expression, np.random.default_rng([1, number]))
    then = read_picture(DRAWN / f"{expression}.png")[:, :, 0]
    assert np.abs(now.astype(int) - then).mean() < 1


def test_the_pictures_are_the_same_each_time(golden: Golden, tmp_path: Path):
    for name in ("tilted.png", "alpha.png", "colour-of-16-bits.png"):
        (tmp_path / name).write_bytes(PICTURES[name].make())
        assert (read_picture(tmp_path / name) == read_picture(golden.folder / name)).all()


READING = {
    "path": "a.png",
    "status": "ok",
    "box": {"x": 1, "y": 2, "width": 90, "height": 90},
    "landmarks": [[3.0, 4.0], [5.0, 6.0]],
    "label": "happy",
    "confidence": 0.6,
    "expressions": {"happy": 0.6, "sad": 0.4},
}


def lines(*readings: dict) -> dict[str, str]:
    return {"mien-s.jsonl": "".join(json.dumps(r) + "\n" for r in readings)}


@pytest.mark.parametrize(
    ("now", "told"),
    [
        ([READING], []),
        ([READING | {"confidence": 0.6109}], []),
        ([READING | {"confidence": 0.612}], ["confidence 0.6 -> 0.612"]),
        ([READING | {"status": "unsure"}], ["status ok -> unsure"]),
        ([READING | {"label": "sad"}], ["label happy -> sad"]),
        ([READING | {"path": "b.png"}], ["readings 1 -> 0", "readings 0 -> 1"]),
        ([READING, READING], ["readings 1 -> 2"]),
        ([], ["readings 1 -> 0"]),
        ([READING | {"landmarks": [[3.0, 4.0], [5.0, 6.3]]}], ["landmarks.1.1 6.0 -> 6.3"]),
        (
            [READING | {"box": {"x": 3, "y": 2, "width": 90, "height": 90}, "confidence": 0.7}],
            ["box.x 1 -> 3"],
        ),
        ([READING | {"face_id": 0}], ["face_id - -> 0"]),
        (
            [{k: v for k, v in READING.items() if k != "landmarks"}],
            [f"landmarks.{a}.{b} {3.0 + 2 * a + b} -> -" for a in (0, 1) for b in (0, 1)],
        ),
    ],
)
def test_what_changed_is_told(tmp_path: Path, now: list[dict], told: list[str]):
    save("mien-s", lines(READING), tmp_path)
    found = changes("mien-s", lines(*now), tmp_path)
    assert [" ".join(str(c).split()[2:]) for c in found] == told
    assert all(str(c).split()[1] == "mien-s" for c in found)


def test_labels_and_doubts_on_the_edge_are_no_change(tmp_path: Path):
    """mien-s is unsure below 0.456."""
    edge = READING | {"confidence": 0.4564, "expressions": {"happy": 0.4564, "sad": 0.455}}
    save("mien-s", lines(edge), tmp_path)
    other = edge | {"status": "unsure", "label": "sad", "confidence": 0.4556}
    assert changes("mien-s", lines(other), tmp_path) == []


def test_a_table_is_compared_by_its_columns(tmp_path: Path):
    head, last = "path,x,label,confidence,status,happy,sad", "smoothed_sad,error"
    rows = "a.png,1,happy,0.6,ok,0.6,0.4,0.3,\nb.png,,,,no_face,,,,\nc.png,,,,unreadable,,,,torn\n"
    before = {"mien-s.csv": f"{head},{last}\n{rows}"}
    save("mien-s", before, tmp_path)
    assert changes("mien-s", before, tmp_path) == []
    rows = "a.png,3,happy,0.6,ok,0.6,0.41,,0.9,\nb.png,1,,,no_face,,,,,\nc.png,,,,unreadable,,,,,\n"
    after = {"mien-s.csv": f"{head},fear,{last}\n{rows}"}
    told = [" ".join(str(c).split()) for c in changes("mien-s", after, tmp_path)]
    assert told == [
        "a.png mien-s box.x 1.0 -> 3.0",
        "a.png mien-s smoothed.sad 0.3 -> 0.9",
        "b.png mien-s box.x - -> 1.0",
        "c.png mien-s error torn -> -",
        f"all mien-s mien-s.csv {head},{last} -> {head},fear,{last}",
    ]


def test_a_set_that_was_never_saved_is_new(tmp_path: Path):
    (change,) = changes("mien-s", lines(READING), tmp_path)
    assert str(change).split() == ["all", "mien-s", "mien-s.jsonl", "-", "->", "new"]


def test_a_saved_png_is_what_it_was_made_of():
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    assert png(pixels)[:4] == b"\x89PNG"
