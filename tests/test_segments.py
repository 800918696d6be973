import dataclasses

import pytest

from mien.segments import Segment, Segmenter
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


def seconds(*shown: tuple[float, tuple[float, ...]]) -> list[tuple[str, float, float]]:
    """The segments of one face that shows each of `shown` from its time on."""
    return [segment[1:] for segment in told(*(reading(*each) for each in shown))]


def test_an_expression_ends_where_the_next_begins():
    found = told(*run(HAPPY, 0, 10), *run(SAD, 11, 20))
    assert found == [(0, "happy", 0.0, 1.1), (0, "sad", 1.1, 2.0)]


@pytest.mark.parametrize("began_s", [0.3, 1.0, 1.1, 2.56, 7.04, 59.96, 3600.04])
@pytest.mark.parametrize(("held_s", "counts"), [(0.16, False), (0.199, False), (0.2, True)])
def test_an_expression_counts_once_it_was_on_top_for_a_fifth_of_a_second(
    began_s: float, held_s: float, counts: bool
):
    last_s = round(began_s + held_s, 6)  # as frames have it
    found = seconds((0.0, HAPPY), (began_s, SAD), (last_s, SAD))
    both = [("happy", 0.0, began_s), ("sad", began_s, last_s)]
    assert found == (both if counts else [("happy", 0.0, last_s)])


HELD = {
    "one flicker": [(0, HAPPY), (0.5, SAD), (0.6, HAPPY), (1, HAPPY)],
    "flickers do not add up": [
        *[(0, HAPPY), (0.1, SAD), (0.2, HAPPY), (0.3, SAD), (0.4, HAPPY), (0.5, SAD)],
        *[(0.6, HAPPY), (0.7, SAD), (0.8, HAPPY), (1, HAPPY)],
    ],
    "nor do those of several expressions": [
        *[(0, HAPPY), (0.1, SAD), (0.2, NEUTRAL), (0.3, SAD), (0.4, NEUTRAL), (0.5, SAD)],
        *[(0.6, NEUTRAL), (0.7, SAD), (1, HAPPY)],
    ],
    "a flicker at the end": [(0, HAPPY), (0.5, HAPPY), (0.9, SAD), (1, SAD)],
}


@pytest.mark.parametrize("kind", HELD)
def test_a_flicker_belongs_to_the_segment_that_it_interrupts(kind: str):
    assert seconds(*HELD[kind]) == [("happy", 0, 1)]


def test_a_flicker_before_another_expression_belongs_to_the_one_before():
    found = seconds(
        (0, HAPPY), (1.0, SAD), (1.1, SAD), (1.2, NEUTRAL), (1.3, NEUTRAL), (2, NEUTRAL)
    )
    assert found == [("happy", 0, 1.2), ("neutral", 1.2, 2)]


def test_one_reading_is_a_segment_too():
    assert seconds((3.5, SAD)) == [("sad", 3.5, 3.5)]


def test_faces_have_segments_of_their_own():
    both = [r for pair in zip(run(HAPPY, 0, 9), run(SAD, 0, 9, 1), strict=True) for r in pair]
    assert told(*both) == [(0, "happy", 0.0, 0.9), (1, "sad", 0.0, 0.9)]


def test_a_face_that_leaves_ends_its_segment_when_it_was_last_seen():
    found = told(*run(HAPPY, 0, 5), *run(SAD, 30, 40, 1))
    assert found == [(0, "happy", 0.0, 0.5), (1, "sad", 3.0, 4.0)]


@pytest.mark.parametrize("left_s", [0.5, 1.2, 3.3, 59.9])
@pytest.mark.parametrize(("away_s", "same"), [(1.0, True), (1.01, False)])
def test_a_face_that_was_away_for_more_than_a_second_begins_anew(
    left_s: float, away_s: float, same: bool
):
    back_s = round(left_s + away_s, 6)
    others = [reading(t, SAD, 1) for t in (left_s, left_s + 0.5, back_s)]
    found = told(reading(left_s, HAPPY), *others, reading(back_s, HAPPY))
    one = [(0, "happy", left_s, back_s)]
    two = [(0, "happy", left_s, left_s), (0, "happy", back_s, back_s)]
    assert found == [*(one if same else two), (1, "sad", left_s, back_s)]


def test_a_flicker_is_forgotten_with_the_face_that_left():
    shown = [reading(0.0, HAPPY), reading(0.5, SAD), reading(2.0, SAD, 1), reading(4.0, SAD, 1)]
    assert told(*shown, reading(4.0, SAD)) == [
        *((0, "happy", 0.0, 0.5), (0, "sad", 4.0, 4.0), (1, "sad", 2.0, 4.0)),
    ]


def nobody(time_s: float) -> Reading:
    return Reading(None, None, "no_face", time_s=time_s)


def test_a_segment_is_given_as_soon_as_it_has_ended():
    segmenter = Segmenter()
    shown = [
        *(reading(0.0, HAPPY, 1), reading(0.0, SAD, 0), reading(0.4, SAD, 0)),
        *(reading(0.5, HAPPY, 0), reading(0.7, HAPPY, 0)),  # happy has held
        *(nobody(1.0), nobody(1.1), nobody(1.7), nobody(1.71)),  # one has been away, then both
    ]
    given = [[(s.face_id, s.expression, s.to_s) for s in segmenter.add(one)] for one in shown]
    assert given == [
        *([], [], [], [], [(0, "sad", 0.5)]),
        *([], [(1, "happy", 0.0)], [], [(0, "happy", 0.7)]),
    ]
    assert list(segmenter.close()) == []


def test_segments_that_end_together_come_in_the_order_of_faces():
    both = [reading(0.0, HAPPY, 1), reading(0.0, SAD, 0)]
    assert [segment[0] for segment in told(*both)] == [0, 1]
    assert [segment[0] for segment in told(*both, nobody(0.5), nobody(2.0))] == [0, 1]


def test_readings_that_are_seconds_apart_are_one_segment():
    assert told(*[reading(3.0 * i, HAPPY) for i in range(5)]) == [(0, "happy", 0.0, 12.0)]


def test_closing_begins_anew():
    segmenter = Segmenter()
    assert list(segmenter.add(reading(0.0, HAPPY))) == []
    assert len(list(segmenter.close())) == 1
    assert list(segmenter.close()) == []


def peaks(*shown: tuple[float, float, float]) -> list[tuple[str, float, float]]:
    """Expression, peak and its time of segments of (time, happy, sad)."""
    segmenter = Segmenter()
    readings = [reading(t, (happy, sad, 1 - happy - sad)) for t, happy, sad in shown]
    found = [s for one in readings for s in segmenter.add(one)]
    return [(s.expression, s.peak, s.peak_s) for s in (*found, *segmenter.close())]


def test_the_peak_is_where_the_probability_was_highest():
    assert peaks((0.0, 0.5, 0.25), (0.1, 0.75, 0.25), (0.2, 0.625, 0.25)) == [("happy", 0.75, 0.1)]
    assert peaks((0.0, 0.75, 0.25), (0.1, 0.5, 0.25), (0.2, 0.75, 0.25)) == [("happy", 0.75, 0.0)]


def test_a_flicker_s_probability_is_no_peak_of_what_it_interrupts():
    assert peaks((0.0, 0.75, 0.0), (0.1, 0.0, 1.0), (0.2, 0.5, 0.0)) == [("happy", 0.75, 0.0)]


def test_the_peak_may_lie_before_an_expression_counts():
    begun = [(9.0, 0.75, 0.0), (9.5, 0.0, 0.75), (9.6, 0.0, 1.0), (9.7, 0.0, 0.5)]
    assert peaks(*begun, (9.8, 0.0, 0.875)) == [("happy", 0.75, 9.0), ("sad", 1.0, 9.6)]
    fading = [(9.0, 0.75, 0.0), (9.5, 0.0, 0.75), (9.6, 0.0, 0.5), (9.7, 0.0, 0.5)]
    assert peaks(*fading) == [("happy", 0.75, 9.0), ("sad", 0.75, 9.5)]


def test_a_segment_stays_as_it_is():
    segment = Segment(0, "happy", 0.0, 1.0, 0.9, 0.5)
    with pytest.raises(dataclasses.FrozenInstanceError):
        segment.to_s = 2.0
    assert segment == Segment(0, "happy", 0.0, 1.0, 0.9, 0.5)


def test_the_smoothed_probabilities_decide():
    raw = Reading(
        Face(Box(0, 0, 9, 9)),
        Scores(LABELS, SAD),
        time_s=1.0,
        face_id=0,
        smoothed=Scores(LABELS, HAPPY),
    )
    assert told(raw) == [(0, "happy", 1.0, 1.0)]


@pytest.mark.parametrize("missing", ["face_id", "smoothed", "time_s"])
def test_readings_of_photos_have_no_segments(missing: str):
    assert told(dataclasses.replace(reading(0.0, HAPPY), **{missing: None})) == []
