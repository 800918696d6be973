import json

import pytest

from mien.errors import ShapeError
from mien.types import Box, Face, Reading, Scores

LABELS = ("angry", "happy", "sad")


@pytest.mark.parametrize(("width", "height"), [(0, 5), (5, 0), (-1, 5)])
def test_a_box_has_an_area(width, height):
    with pytest.raises(ShapeError, match="box with an area"):
        Box(0, 0, width, height)


@pytest.mark.parametrize(
    ("box", "scale", "square"),
    [
        (Box(0, 0, 10, 10), 1.0, Box(0, 0, 10, 10)),
        (Box(0, 0, 10, 20), 1.0, Box(-5, 0, 20, 20)),
        (Box(10, 10, 20, 10), 1.5, Box(5, 0, 30, 30)),
        (Box(3, 4, 1, 1), 0.1, Box(3, 4, 1, 1)),
    ],
)
def test_square_keeps_the_centre(box, scale, square):
    assert box.square(scale) == square


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((0.5, 0.5), "expected 3 probabilities, got 2"),
        ((0.9, 0.3, -0.2), "from 0 to 1"),
        ((float("nan"), 0.5, 0.5), "from 0 to 1"),
        ((0.2, 0.2, 0.2), r"sum to 1, got 0\.6"),
    ],
)
def test_scores_that_are_no_probabilities_are_refused(values, message):
    with pytest.raises(ShapeError, match=message):
        Scores(LABELS, values)


def test_scores_name_the_most_probable_label():
    scores = Scores(LABELS, (0.2, 0.7, 0.1))
    assert (scores.label, scores.confidence) == ("happy", 0.7)
    assert scores.to_dict() == {"angry": 0.2, "happy": 0.7, "sad": 0.1}


def test_a_reading_survives_json():
    reading = Reading(Face(Box(1, 2, 3, 4), 0.9), Scores(LABELS, (0.2, 0.7, 0.1)))
    assert json.loads(json.dumps(reading.to_dict())) == {
        "status": "ok",
        "box": {"x": 1, "y": 2, "width": 3, "height": 4},
        "score": 0.9,
        "label": "happy",
        "confidence": 0.7,
        "expressions": {"angry": 0.2, "happy": 0.7, "sad": 0.1},
    }


@pytest.mark.parametrize("value", [Box(0, 0, 1, 1), Scores(("a",), (1.0,)), Face(Box(0, 0, 1, 1))])
def test_values_are_frozen(value):
    with pytest.raises(AttributeError):
        setattr(value, value.__slots__[0], None)
