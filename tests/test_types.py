import dataclasses
import json
import math
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import ShapeError
from mien.labels import FER2013
from mien.types import COLUMNS, Box, Face, Reading, Readings, Scores, columns

LABELS = ("angry", "happy", "sad")
SCORES = Scores(LABELS, (0.2, 0.7, 0.1))
SMOOTHED = Scores(LABELS, (0.3, 0.6, 0.1))
LANDMARKS = ((1.5, 2.0), (3.0, 2.0), (2.0, 3.0), (1.5, 4.0), (3.0, 4.0))
FACE = Face(Box(1, 2, 3, 4), 0.9, LANDMARKS)
OF_A_FILM = Reading(FACE, SCORES, "unsure", "a.mp4", 0.5, 12, 3, SMOOTHED)
NOBODY = Reading(None, None, "no_face", path="b.png")
UNREADABLE = Reading(None, None, "unreadable", path="c.png", error="c.png is empty (0 bytes)")


@pytest.mark.parametrize(("width", "height"), [(0, 5), (5, 0), (-1, 5), (5, -1)])
def test_a_box_has_an_area(width, height):
    with pytest.raises(ShapeError, match=f"box with an area, got {width}x{height} px"):
        Box(0, 0, width, height)


def test_the_smallest_box_and_its_middle():
    assert Box(0, 0, 1, 1).centre == (0.5, 0.5)
    assert Box(-10, 20, 5, 8).centre == (-7.5, 24.0)


@pytest.mark.parametrize(
    ("one", "other", "share"),
    [
        (Box(0, 0, 10, 10), Box(0, 0, 10, 10), 1),
        (Box(0, 0, 10, 10), Box(5, 0, 10, 10), 50 / 150),
        (Box(0, 0, 10, 10), Box(0, 4, 10, 10), 60 / 140),
        (Box(0, 0, 10, 10), Box(2, 3, 4, 5), 20 / 100),
        (Box(0, 0, 10, 20), Box(8, 15, 6, 9), 10 / 244),
        (Box(0, 0, 2, 3), Box(1, 2, 3, 2), 1 / 11),
        (Box(0, 0, 10, 10), Box(9, 9, 10, 10), 1 / 199),
        (Box(0, 0, 10, 10), Box(10, 0, 10, 10), 0),
        (Box(0, 0, 10, 10), Box(0, 10, 10, 10), 0),
        (Box(0, 0, 10, 10), Box(20, 20, 5, 5), 0),  # two negative sides are no area
        (Box(-5, -5, 10, 10), Box(0, 0, 10, 10), 25 / 175),
    ],
)
def test_overlap_is_the_shared_part_of_both_areas(one, other, share):
    assert one.overlap(other) == pytest.approx(share)
    assert other.overlap(one) == pytest.approx(share)


@pytest.mark.parametrize(
    ("box", "part"),
    [
        (Box(0, 0, 8, 6), Box(0, 0, 8, 6)),
        (Box(-1, -2, 3, 3), Box(0, 0, 2, 1)),
        (Box(7, 5, 3, 3), Box(7, 5, 1, 1)),
        (Box(8, 0, 3, 3), None),
        (Box(0, 6, 3, 3), None),
        (Box(-3, 0, 3, 3), None),
        (Box(0, -3, 3, 3), None),
    ],
)
def test_the_part_of_a_box_within_a_picture(box: Box, part: Box | None):
    assert box.within(8, 6) == part


@pytest.mark.parametrize(
    ("box", "scale", "square"),
    [
        (Box(0, 0, 10, 10), 1.0, Box(0, 0, 10, 10)),
        (Box(0, 0, 10, 20), 1.0, Box(-5, 0, 20, 20)),
        (Box(10, 10, 20, 10), 1.5, Box(5, 0, 30, 30)),
        (Box(3, 4, 1, 1), 0.1, Box(3, 4, 1, 1)),
        (Box(10, 30, 8, 4), 0.5, Box(12, 30, 4, 4)),
        (Box(0, 0, 10, 12), 1.25, Box(-2, -2, 15, 15)),
    ],
)
def test_square_keeps_the_centre(box, scale, square):
    assert box.square(scale) == square


def test_a_square_is_as_large_as_the_longer_side_unless_it_is_told():
    assert Box(0, 0, 10, 20).square() == Box(-5, 0, 20, 20)


boxes = st.builds(
    Box, st.integers(-50, 50), st.integers(-50, 50), st.integers(1, 60), st.integers(1, 60)
)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(boxes, st.integers(-9, 9), st.integers(-9, 9), st.floats(0.5, 3))
def test_laws_of_boxes(box, right, down, scale):
    moved = Box(box.x + right, box.y + down, box.width, box.height)
    assert 0 <= box.overlap(moved) == moved.overlap(box) <= 1
    square = box.square(scale)
    assert square.width == square.height == max(1, round(max(box.width, box.height) * scale))
    assert math.dist(square.centre, box.centre) < 0.75  # whole pixels


@pytest.mark.parametrize(
    ("right_eye", "left_eye", "roll"),
    [
        ((10, 20), (30, 20), 0),
        ((10, 20), (30, 40), 45),  # y goes down: the left eye hangs, clockwise
        ((10, 40), (30, 20), -45),
        ((20, 10), (20, 30), 90),
        ((30, 20), (10, 20), 180),
        ((10, 20), (110, 37.633), 10),
    ],
)
def test_roll_is_how_far_the_eyes_are_off_the_level(right_eye, left_eye, roll):
    landmarks = (right_eye, left_eye, (0, 0), (1, 9), (7, 3))
    assert Face(Box(0, 0, 9, 9), landmarks=landmarks).roll_deg == pytest.approx(roll, abs=1e-3)


def test_a_face_without_landmarks_is_level():
    assert Face(Box(0, 0, 9, 9)) == Face(Box(0, 0, 9, 9), None, None)
    assert Face(Box(0, 0, 9, 9)).roll_deg == 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((0.5, 0.5), "expected 3 probabilities, got 2"),
        ((0.5, 0.25, 0.15, 0.1), "expected 3 probabilities, got 4"),
        ((0.9, 0.3, -0.2), "from 0 to 1"),
        ((1.2, -0.1, -0.1), "from 0 to 1"),
        ((1.0005, 0.0, 0.0), "from 0 to 1"),
        ((float("nan"), 0.5, 0.5), "from 0 to 1"),
        ((float("inf"), 0.5, 0.5), "from 0 to 1"),
        ((0.2, 0.2, 0.2), r"sum to 1, got 0\.6"),
        ((0.5, 0.4, 0.102), r"sum to 1, got 1\.0020"),
        ((0.5, 0.4, 0.098), r"sum to 1, got 0\.9980"),
    ],
)
def test_scores_that_are_no_probabilities_are_refused(values, message):
    with pytest.raises(ShapeError, match=message):
        Scores(LABELS, values)


@pytest.mark.parametrize("values", [(0, 1, 0), (0.5, 0.4, 0.1009), (0.5, 0.4, 0.0991)])
def test_probabilities_may_be_rounded(values):
    assert Scores(LABELS, values).values == values


def test_scores_name_the_most_probable_label():
    assert (SCORES.label, SCORES.confidence) == ("happy", 0.7)
    assert SCORES.to_dict() == {"angry": 0.2, "happy": 0.7, "sad": 0.1}
    assert Scores(LABELS, (0.4, 0.2, 0.4)).label == "angry", "the first of equals"


def test_a_reading_answers_for_its_face():
    assert (OF_A_FILM.label, OF_A_FILM.confidence) == ("happy", 0.7)
    assert OF_A_FILM.expressions == {"angry": 0.2, "happy": 0.7, "sad": 0.1}
    assert (NOBODY.label, NOBODY.confidence, NOBODY.expressions) == (None, None, {})


@pytest.mark.parametrize(("face", "scores"), [(FACE, None), (None, SCORES)])
def test_a_face_has_scores_and_scores_have_a_face(face, scores):
    with pytest.raises(ShapeError, match="a face with its scores, or neither"):
        Reading(face, scores)


JSON = {
    "plain": (
        Reading(Face(Box(1, 2, 3, 4)), SCORES),
        {
            "status": "ok",
            "box": {"x": 1, "y": 2, "width": 3, "height": 4},
            "label": "happy",
            "confidence": 0.7,
            "expressions": {"angry": 0.2, "happy": 0.7, "sad": 0.1},
        },
    ),
    "of a film": (
        OF_A_FILM,
        {
            "path": "a.mp4",
            "time_s": 0.5,
            "frame": 12,
            "face_id": 3,
            "status": "unsure",
            "box": {"x": 1, "y": 2, "width": 3, "height": 4},
            "score": 0.9,
            "landmarks": [[1.5, 2.0], [3.0, 2.0], [2.0, 3.0], [1.5, 4.0], [3.0, 4.0]],
            "label": "happy",
            "confidence": 0.7,
            "expressions": {"angry": 0.2, "happy": 0.7, "sad": 0.1},
            "smoothed": {"angry": 0.3, "happy": 0.6, "sad": 0.1},
        },
    ),
    "at the beginning": (
        dataclasses.replace(NOBODY, time_s=0.0, frame=0),
        {"path": "b.png", "time_s": 0.0, "frame": 0, "status": "no_face"},
    ),
    "of several": (
        dataclasses.replace(NOBODY, index=0),
        {"path": "b.png", "index": 0, "status": "no_face"},
    ),
    "nobody": (NOBODY, {"path": "b.png", "status": "no_face"}),
    "unreadable": (
        UNREADABLE,
        {"path": "c.png", "status": "unreadable", "error": "c.png is empty (0 bytes)"},
    ),
}


@pytest.mark.parametrize("kind", JSON)
def test_json_tells_what_is_known_in_the_same_order(kind):
    reading, expected = JSON[kind]
    told = json.loads(json.dumps(reading.to_dict()))
    assert told == expected
    assert list(told) == list(expected)


def test_readings_are_a_json_list():
    readings = Readings([OF_A_FILM, NOBODY])
    assert readings.to_dict() == [OF_A_FILM.to_dict(), NOBODY.to_dict()]
    assert json.loads(readings.to_json()) == [JSON["of a film"][1], JSON["nobody"][1]]
    assert readings.to_json().startswith('[\n  {\n    "path": "a.mp4"')
    assert json.loads(Readings().to_json()) == []


def test_a_row_has_every_column_in_order():
    assert (
        *("path", "index", "time_s", "frame", "face_id", "x", "y", "width", "height"),
        *("score", "label", "confidence", "status"),
    ) == COLUMNS
    row = OF_A_FILM.to_row(LABELS)
    smoothed = tuple(f"smoothed_{label}" for label in LABELS)
    assert tuple(row) == columns(LABELS) == (*COLUMNS, *LABELS, *smoothed, "error")
    values = ("a.mp4", None, 0.5, 12, 3, 1, 2, 3, 4, 0.9, "happy", 0.7, "unsure")
    assert tuple(row.values()) == (*values, *SCORES.values, *SMOOTHED.values, None)


@pytest.mark.parametrize("reading", [NOBODY, UNREADABLE])
def test_a_row_without_a_face_leaves_its_columns_empty(reading):
    row = reading.to_row(LABELS)
    assert tuple(row) == columns(LABELS)
    told = {"path": reading.path, "status": reading.status}
    told |= {"error": reading.error} if reading.error else {}
    assert {k: v for k, v in row.items() if v is not None} == told


def test_a_box_at_the_corner_is_not_left_out():
    corner = dataclasses.replace(OF_A_FILM, face=Face(Box(0, 0, 3, 4)))
    row = corner.to_row(LABELS)
    assert (row["x"], row["y"], row["score"]) == (0, 0, None)
    assert corner.to_dict()["box"] == {"x": 0, "y": 0, "width": 3, "height": 4}


def test_a_table_of_readings():
    pytest.importorskip("pandas")
    table = Readings([NOBODY, OF_A_FILM]).to_pandas()
    assert list(table.columns) == list(columns(LABELS))
    assert table["path"].tolist() == ["b.png", "a.mp4"]
    assert table["happy"].isna().tolist() == [True, False]
    assert table.loc[1, list(LABELS)].tolist() == [0.2, 0.7, 0.1]
    assert table["frame"].tolist()[1] == 12, "a whole number beside an empty cell"


@pytest.mark.parametrize("readings", [[], [NOBODY], [UNREADABLE], [OF_A_FILM], [NOBODY, OF_A_FILM]])
def test_a_table_has_its_columns_and_their_types_whatever_was_read(readings):
    pytest.importorskip("pandas")
    table = Readings(readings, labels=LABELS).to_pandas()
    texts = ("path", "label", "status", "error")
    wholes = ("index", "frame", "face_id", "x", "y", "width", "height")
    kinds = dict.fromkeys(texts, "string") | dict.fromkeys(wholes, "Int64")
    expected = {name: kinds.get(name, "float64") for name in columns(LABELS)}
    assert {name: str(kind) for name, kind in table.dtypes.items()} == expected
    assert len(table) == len(readings)


def test_readings_know_their_labels():
    assert Readings([OF_A_FILM]).labels == LABELS
    assert Readings([NOBODY], labels=("sad", "glad")).labels == ("sad", "glad")
    assert Readings([NOBODY]).labels == FER2013
    other = Reading(FACE, Scores(("sad", "glad"), (0.5, 0.5)))
    assert Readings([OF_A_FILM, other]).labels == (*LABELS, "glad"), "of two models"
    again = pickle.loads(pickle.dumps(Readings([NOBODY], labels=LABELS)))
    assert (list(again), again.labels) == ([NOBODY], LABELS)


@pytest.mark.parametrize(
    ("reading", "told"),
    [
        (OF_A_FILM, "<Reading a.mp4 0.500 s happy 70 % at (1, 2) unsure>"),
        (NOBODY, "<Reading b.png no_face>"),
        (Reading(FACE, SCORES), "<Reading happy 70 % at (1, 2)>"),
        (
            Reading(FACE, SCORES, path="/there/" + "long" * 20 + ".jpg"),
            "<Reading longl...long.jpg happy 70 % at (1, 2)>",
        ),
    ],
)
def test_a_reading_is_told_in_a_line(reading: Reading, told: str):
    assert repr(reading) == told
    assert str(reading) == told


def test_the_longest_reading_takes_80_characters():
    scores = Scores(("an expression of many words",), (1.0,))
    face = Face(Box(12345, 12345, 9, 9))
    reading = Reading(face, scores, "blurred", "p" * 300, 12345.678, 9, 9)
    assert len(repr(reading)) <= 80


def test_readings_are_told_line_by_line():
    assert repr(Readings()) == "Readings([])"
    assert repr(Readings([NOBODY] * 2)) == f"Readings([{NOBODY!r},\n {NOBODY!r}])"
    many = repr(Readings([NOBODY] * 5000)).splitlines()
    assert len(many) == 13
    assert many[-1] == " ... 4988 more])"


def test_parts_and_sums_of_readings_are_readings():
    readings = Readings([OF_A_FILM, NOBODY, UNREADABLE], labels=("a", "b"))
    assert readings[1] is NOBODY
    assert readings[-1] is UNREADABLE
    for part, whole in [
        (readings[:2], [OF_A_FILM, NOBODY]),
        (readings[::-1], [UNREADABLE, NOBODY, OF_A_FILM]),
        (readings + Readings([NOBODY]), [OF_A_FILM, NOBODY, UNREADABLE, NOBODY]),
        (readings * 2, [OF_A_FILM, NOBODY, UNREADABLE] * 2),
        (readings.copy(), list(readings)),
        (pickle.loads(pickle.dumps(readings)), list(readings)),
    ]:
        assert type(part) is Readings
        assert part == whole
        assert set(part.labels) >= {"a", "b"}
    readings += [NOBODY]
    assert type(readings) is Readings


def test_a_reading_tells_where_its_face_is():
    assert OF_A_FILM.box == FACE.box
    assert NOBODY.box is None
