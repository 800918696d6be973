import pytest

from mien.segments import HOLD_S, Segmenter
from mien.types import Box, Face, Reading, Scores

LABELS = ("happy", "sad", "neutral")
HAPPY, SAD, NEUTRAL = ((0.8, 0.1, 0.1), (0.1, 0.7, 0.2), (0.2, 0.2, 0.6))


def reading(time_s: float, values: tuple[float, ...], face_id: int = 0) -> Reading:
    scores = Scores(LABELS, values)
    face = Face(Box(0, 0, 9, 9))
    return Reading(face, scores, time_s=time_s, face_id=face_id, smoothed=scores)


def told(*readings: Reading) -> list[tuple[int, str, float, float]]:
    segmenter = Segmenter()
    found = [s for r in readings for s in segmenter.add(r)]
    found += segmenter.close()
    return [(s.face_id, s.expression, s.from_s, s.to_s) for s in found]


def run(values: tuple[float, ...], first: int, last: int, face_id: int = 0) -> list[Reading]:
    """A reading each tenth of a second."""
    return [reading(i / 10, values, face_id) for i in range(first, last + 1)]


def test_an_expression_ends_where_the_next_begins():
    found = told(*run(HAPPY, 0, 10), *run(SAD, 11, 20))
    assert found == [(0, "happy", 0.0, 1.1), (0, "sad", 1.1, 2.0)]


def test_a_flicker_shorter_than_the_hold_is_no_segment():
    flicker = int(HOLD_S * 10) - 1
    found = told(*run(HAPPY, 0, 9), *run(SAD, 10, 9 + flicker), *run(HAPPY, 10 + flicker, 20))
    assert found == [(0, "happy", 0.0, 2.0)]


def test_faces_have_segments_of_their_own():
    both = [r for pair in zip(run(HAPPY, 0, 9), run(SAD, 0, 9, 1), strict=True) for r in pair]
    assert told(*both) == [(0, "happy", 0.0, 0.9), (1, "sad", 0.0, 0.9)]


def test_a_face_that_leaves_ends_its_segment_when_it_was_last_seen():
    found = told(*run(HAPPY, 0, 5), *run(SAD, 30, 40, 1))
    assert found == [(0, "happy", 0.0, 0.5), (1, "sad", 3.0, 4.0)]


def test_readings_that_are_seconds_apart_are_one_segment():
    assert told(*[reading(3.0 * i, HAPPY) for i in range(5)]) == [(0, "happy", 0.0, 12.0)]


def test_the_peak_is_where_the_probability_was_highest():
    segmenter = Segmenter()
    for time_s, value in ((0.0, 0.5), (0.1, 0.9), (0.2, 0.6)):
        assert list(segmenter.add(reading(time_s, (value, 1 - value, 0.0)))) == []
    (segment,) = segmenter.close()
    assert (segment.peak, segment.peak_s) == (0.9, 0.1)


@pytest.mark.parametrize("missing", ["face_id", "smoothed", "time_s"])
def test_readings_of_photos_have_no_segments(missing: str):
    import dataclasses

    assert told(dataclasses.replace(reading(0.0, HAPPY), **{missing: None})) == []
