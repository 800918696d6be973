import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.faces.tracking import MEMORY_S, Tracker
from mien.types import Box, Face, Scores

LABELS = ("angry", "happy")


def face(x: int, side: int = 50) -> Face:
    return Face(Box(x, 40, side, side))


def scores(happy: float) -> Scores:
    return Scores(LABELS, (1 - happy, happy))


def ids(tracker: Tracker, time_s: float, *places: int) -> list[int]:
    faces = [face(x) for x in places]
    return [i for i, _ in tracker.update(time_s, faces, [scores(0.5)] * len(faces))]


def test_ids_stay_with_faces_that_move_and_change_their_order():
    tracker = Tracker()
    assert ids(tracker, 0.0, 0, 200) == [1, 2]
    assert ids(tracker, 0.1, 210, 10) == [2, 1]
    assert ids(tracker, 0.2, 20, 400, 220) == [1, 3, 2]


def test_the_nearest_pair_is_matched_first():
    tracker = Tracker()
    ids(tracker, 0.0, 0, 30)
    assert ids(tracker, 0.1, 28) == [2]
    assert ids(tracker, 0.2, 10, 29) == [1, 2]


def test_a_place_that_is_taken_leaves_the_next_nearest_and_then_a_new_number():
    tracker = Tracker()
    ids(tracker, 0.0, 0, 20)
    assert ids(tracker, 0.1, 19, 21, 18) == [2, 3, 1]  # 19 and 21 are as near to 20


@pytest.mark.parametrize("left_s", [0.0, 1.2, 3.3, 59.9])
@pytest.mark.parametrize(("away_s", "same"), [(0.9, True), (1.0, True), (1.01, False)])
def test_a_face_that_was_away_for_more_than_a_second_is_another(
    left_s: float, away_s: float, same: bool
):
    tracker = Tracker()
    ids(tracker, left_s, 100)
    ids(tracker, left_s + 0.1)
    assert ids(tracker, round(left_s + away_s, 6), 100) == ([1] if same else [2])


def test_a_face_is_looked_for_where_it_was_last():
    tracker = Tracker()
    assert [ids(tracker, i / 10, 20 * i) for i in range(10)] == [[1]] * 10
    assert ids(tracker, 1.0, 0) == [2]


SAME = Box(100, 100, 50, 50)


@pytest.mark.parametrize(
    ("box", "same"),
    [
        # At most six tenths of the side apart,
        *((Box(129, 100, 50, 50), True), (Box(130, 100, 50, 50), False)),
        *((Box(71, 100, 50, 50), True), (Box(70, 100, 50, 50), False)),
        *((Box(100, 129, 50, 50), True), (Box(100, 130, 50, 50), False)),
        *((Box(117, 124, 50, 50), True), (Box(118, 124, 50, 50), False)),
        # of a longer side less than twice or more than half as long,
        *((Box(76, 76, 98, 98), True), (Box(75, 75, 100, 100), False)),
        *((Box(112, 112, 26, 26), True), (Box(113, 113, 25, 25), False)),
        *((Box(76, 120, 98, 10), True), (Box(120, 76, 10, 98), True)),
        # or some of both: sides of 50 and 70 (0.485 off), the middles 18 or 19 px apart of 36.
        *((Box(108, 90, 70, 70), True), (Box(109, 90, 70, 70), False)),
    ],
)
def test_a_face_is_the_same_where_it_is_near_and_of_a_like_size(box: Box, same: bool):
    for one, other in ((SAME, box), (box, SAME)):
        tracker = Tracker()
        tracker.update(0.0, [Face(one)], [scores(0.5)])
        ((face_id, _),) = tracker.update(0.1, [Face(other)], [scores(0.5)])
        assert (face_id == 1) is same


def test_frames_that_are_seconds_apart_keep_their_ids_and_empty_ones_end_them():
    tracker = Tracker()
    assert [ids(tracker, 5.0 * i, 100) for i in range(4)] == [[1]] * 4
    ids(tracker, 20.0)
    assert ids(tracker, 25.0, 100) == [2]


def test_a_frame_told_twice_ends_nothing():
    tracker = Tracker()
    ids(tracker, 0.0, 100)
    ids(tracker, 5.0, 100)
    assert ids(tracker, 5.0, 100) == [1]
    assert ids(tracker, 4.0, 100) == [1]


def test_scores_follow_an_exponential_average_over_time():
    tracker = Tracker()
    (first,) = tracker.update(0.0, [face(0)], [scores(0.0)])
    assert first[1].values == (1, 0)
    (later,) = tracker.update(MEMORY_S, [face(0)], [scores(1.0)])
    assert later[1].values[1] == pytest.approx(1 - np.exp(-1), abs=1e-6)


def test_an_average_depends_on_time_and_not_on_the_number_of_frames():
    few, many = Tracker(), Tracker()
    for tracker, steps in ((few, 2), (many, 20)):
        tracker.update(0.0, [face(0)], [scores(0.0)])
        for step in range(1, steps + 1):
            (told,) = tracker.update(0.5 * step / steps, [face(0)], [scores(1.0)])
        assert told[1].values[1] == pytest.approx(1 - np.exp(-0.5 / MEMORY_S), abs=2e-6)


def test_a_tracker_that_recalls_goes_on_as_if_it_had_never_stopped():
    unbroken, continued = Tracker(), Tracker()
    rng = np.random.default_rng(0)
    frames = [(0.1 * i, [face(10 * i), face(300)], rng.random(2)) for i in range(12)]
    for number, (time_s, faces, values) in enumerate(frames):
        told = unbroken.update(time_s, faces, [scores(v) for v in values])
        if number < 6:
            for (face_id, smoothed), one in zip(told, faces, strict=True):
                continued.recall(face_id, round(time_s, 6), one, smoothed)
        else:
            assert continued.update(time_s, faces, [scores(v) for v in values]) == told
    assert ids(continued, 1.2, 600) == [3]


def test_a_recalled_face_keeps_its_number_and_new_ones_come_after():
    tracker = Tracker()
    tracker.recall(5, 0.0, face(0), scores(0.25))
    tracker.recall(2, 0.0, face(300), scores(0.5))
    (later,) = tracker.update(MEMORY_S, [face(10)], [scores(1.0)])
    assert later[0] == 5
    assert later[1].values[1] == pytest.approx(1 - 0.75 * np.exp(-1), abs=1e-6)
    assert ids(tracker, 0.5, 300, 600, 10) == [2, 6, 5]


def test_averages_are_what_a_table_holds_of_them():
    tracker = Tracker()
    for step in range(20):
        ((_, smoothed),) = tracker.update(step / 30, [face(0)], [scores(1 / (step + 1))])
        assert smoothed.values == tuple(round(value, 6) for value in smoothed.values)


def test_a_face_recalled_from_long_ago_is_not_taken_up_again():
    tracker = Tracker()
    tracker.recall(0, 0.0, face(0), scores(0.5))
    tracker.recall(1, 5.0, face(300), scores(0.5))
    assert ids(tracker, 5.1, 0, 300) == [2, 1]


faces_of_a_frame = st.lists(st.integers(0, 40).map(lambda x: 10 * x), max_size=5)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(st.sampled_from([0.04, 0.5, 1.5]), faces_of_a_frame), max_size=8),
    st.integers(0, 2**32 - 1),
)
def test_ids_differ_within_a_frame_and_averages_stay_among_what_was_seen(frames, seed):
    tracker, rng, now_s, most = Tracker(), np.random.default_rng(seed), 0.0, 0
    low: dict[int, float] = {}
    high: dict[int, float] = {}
    for step_s, places in frames:
        now_s += step_s
        values = rng.random(len(places))
        answers = tracker.update(now_s, [face(x) for x in places], [scores(v) for v in values])
        found = [face_id for face_id, _ in answers]
        assert len(set(found)) == len(places)
        new = [face_id for face_id in found if face_id > most]
        assert new == list(range(most + 1, most + 1 + len(new)))
        most += len(new)
        for (face_id, smoothed), value in zip(answers, values, strict=True):
            low[face_id] = min(value, low.get(face_id, value))
            high[face_id] = max(value, high.get(face_id, value))
            assert low[face_id] - 1e-6 <= smoothed.values[1] <= high[face_id] + 1e-6
            assert smoothed.labels == LABELS


def test_a_cut_ends_every_track():
    tracker = Tracker()
    face, score = Face(Box(10, 10, 40, 40)), Scores(("happy", "sad"), (0.9, 0.1))
    for time_s in (0.0, 0.04):
        ((face_id, _),) = tracker.update(time_s, [face], [score])
        assert face_id == 1
    tracker.cut(0.08)
    other = Scores(("happy", "sad"), (0.2, 0.8))
    assert tracker.update(0.08, [face], [other]) == [(2, other)]
    tracker.cut(0.08)  # told again: what came at that time stays
    assert tracker.update(0.12, [face], [other]) == [(2, other)]
