import numpy as np
import pytest

from mien.faces.tracking import GAP_S, MEMORY_S, Tracker
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
    assert ids(tracker, 0.0, 0, 200) == [0, 1]
    assert ids(tracker, 0.1, 210, 10) == [1, 0]
    assert ids(tracker, 0.2, 20, 400, 220) == [0, 2, 1]


def test_the_nearest_pair_is_matched_first():
    tracker = Tracker()
    ids(tracker, 0.0, 0, 30)
    assert ids(tracker, 0.1, 28) == [1]


@pytest.mark.parametrize(("away_s", "same"), [(GAP_S * 0.9, True), (GAP_S * 1.1, False)])
def test_a_face_that_was_away_for_long_is_another(away_s: float, same: bool):
    tracker = Tracker()
    ids(tracker, 0.0, 100)
    ids(tracker, 0.1)
    assert (ids(tracker, away_s, 100) == [0]) is same


@pytest.mark.parametrize("side", [12, 200])
def test_a_face_of_another_size_in_the_same_place_is_another(side: int):
    tracker = Tracker()
    ids(tracker, 0.0, 100)
    (found,) = tracker.update(0.1, [face(100, side)], [scores(0.5)])
    assert found[0] == 1


def test_frames_that_are_seconds_apart_keep_their_ids_and_empty_ones_end_them():
    tracker = Tracker()
    assert [ids(tracker, 5.0 * i, 100) for i in range(4)] == [[0]] * 4
    ids(tracker, 20.0)
    assert ids(tracker, 25.0, 100) == [1]


def test_scores_follow_an_exponential_average_over_time():
    tracker = Tracker()
    (first,) = tracker.update(0.0, [face(0)], [scores(0.0)])
    assert first[1].values == (1, 0)
    (later,) = tracker.update(MEMORY_S, [face(0)], [scores(1.0)])
    assert later[1].values[1] == pytest.approx(1 - np.exp(-1))


def test_an_average_depends_on_time_and_not_on_the_number_of_frames():
    few, many = Tracker(), Tracker()
    for tracker, steps in ((few, 2), (many, 20)):
        tracker.update(0.0, [face(0)], [scores(0.0)])
        for step in range(1, steps + 1):
            (told,) = tracker.update(0.5 * step / steps, [face(0)], [scores(1.0)])
        assert told[1].values[1] == pytest.approx(1 - np.exp(-0.5 / MEMORY_S))


def test_a_tracker_that_recalls_goes_on_as_if_it_had_never_stopped():
    unbroken, continued = Tracker(), Tracker()
    rng = np.random.default_rng(0)
    frames = [(0.1 * i, [face(10 * i), face(300)], rng.random(2)) for i in range(12)]
    for number, (time_s, faces, values) in enumerate(frames):
        told = unbroken.update(time_s, faces, [scores(v) for v in values])
        if number < 6:
            for (face_id, _), one, value in zip(told, faces, values, strict=True):
                continued.recall(face_id, time_s, one, scores(value))
        else:
            assert continued.update(time_s, faces, [scores(v) for v in values]) == told
    assert ids(continued, 1.2, 600) == [2]
