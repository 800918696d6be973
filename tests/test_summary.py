"""Summaries, against what one would compute by hand from the table."""

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.faces.tracking import Tracker
from mien.segments import Segmenter
from mien.summary import Summarizer
from mien.types import Box, Face, Reading, Readings, Scores

LABELS = ("angry", "happy", "sad")


def photo(
    path: str | None, *happy: float, status: str = "ok", index: int | None = None
) -> Readings:
    faces = (Scores(LABELS, (0.0, value, 1 - value)) for value in happy)
    found = [Reading(Face(Box(0, 0, 9, 9)), one, status, path, index=index) for one in faces]
    return Readings(found or [Reading(None, None, "no_face", path, index=index)])


def film(path: str, moments: list[tuple[float, list[float]]], index: int | None = None) -> Readings:
    """Faces side by side with these probabilities of happy, as a recogniser tells of them."""
    tracker, found = Tracker(), Readings(labels=LABELS)
    for number, (time_s, values) in enumerate(moments):
        place = {"path": path, "time_s": time_s, "frame": number, "index": index}
        faces = [Face(Box(100 * i, 0, 50, 50)) for i in range(len(values))]
        scores = [Scores(LABELS, (0.0, value, 1 - value)) for value in values]
        seen = zip(faces, scores, tracker.update(time_s, faces, scores), strict=True)
        readings = [
            Reading(
                face,
                score,
                "unsure" if max(score.values) < 0.7 else "ok",
                face_id=face_id,
                smoothed=smoothed,
                **place,
            )
            for face, score, (face_id, smoothed) in seen
        ]
        found += readings or [Reading(None, None, "no_face", **place)]
    return found


def test_a_face_of_a_film_is_seen_for_so_long_and_shows_its_expressions():
    """Half a second of happy, and after a moment of smoothing 0.5 s of sad; then nobody."""
    moments = [(i / 10, [1.0] if i < 5 else [0.0]) for i in range(13)]
    moments += [(1.3 + i / 10, []) for i in range(7)]
    whole, face = film("a.mp4", moments, 3).summary()
    assert (whole.kind, whole.path, whole.index, whole.face_id) == ("film", "a.mp4", 3, None)
    assert (whole.pictures, whole.faces, whole.no_face, whole.unreadable) == (20, 13, 7, 0)
    assert whole.seconds == pytest.approx(2.0)
    assert (face.kind, face.path, face.index, face.face_id) == ("face", "a.mp4", 3, 1)
    assert (face.pictures, face.faces, face.no_face) == (13, 13, 0)
    assert face.seconds == pytest.approx(1.3), "the last one up to the frame without it"
    assert (face.from_s, face.to_s, face.unsure) == (0.0, 1.2, 0.0)
    angry, happy, sad = face.expressions.values()
    assert (angry.count, angry.share, angry.mean, angry.segments, angry.segment_s) == (
        0,
        0,
        0,
        0,
        None,
    )
    assert (happy.count, sad.count) == (7, 6), "smoothed: 0.2 s behind"
    assert (happy.share, sad.share) == (pytest.approx(7 / 13), pytest.approx(6 / 13))
    assert (happy.mean, sad.mean) == (pytest.approx(5 / 13), pytest.approx(8 / 13))
    assert (happy.segments, sad.segments) == (1, 1)
    assert happy.segment_s == pytest.approx(0.7)
    assert sad.segment_s == pytest.approx(0.5)
    assert (happy.last, sad.last) == (0.0, 1.0)
    same = {label: replace(shown, last=None) for label, shown in face.expressions.items()}
    assert whole.expressions == same, "there is no other face"


def test_shares_are_of_time_and_not_of_frames():
    """A slide for three seconds, then ten frames within one."""
    moments = [(0.0, [1.0]), *((3 + i / 10, [0.0]) for i in range(10))]
    _, face = film("slides.mp4", moments).summary()
    assert face.seconds == pytest.approx(4.0)
    assert face.expressions["happy"].share == pytest.approx(0.75)
    assert face.expressions["happy"].count == 1


def test_two_faces_and_two_films_are_rows_of_their_own():
    first = film("a.mp4", [(i / 10, [0.9, 0.2]) for i in range(10)], 0)
    second = film("b.mp4", [(i / 10, [0.6]) for i in range(5)], 1)
    table = Readings([*first, *second]).summary()
    kinds = [(row.kind, row.path, row.face_id) for row in table]
    assert kinds == [
        ("film", "a.mp4", None),
        ("face", "a.mp4", 1),
        ("face", "a.mp4", 2),
        ("film", "b.mp4", None),
        ("face", "b.mp4", 1),
    ]
    assert [row.faces for row in table] == [20, 10, 10, 5, 5]
    assert table[0].seconds == pytest.approx(1.0)
    assert table[0].expressions["happy"].share == pytest.approx(0.5)
    assert table[4].unsure == 1.0


def test_a_film_that_breaks_off_is_a_row_and_so_is_one_that_cannot_be_opened():
    readings = film("a.mp4", [(i / 10, [0.9]) for i in range(10)])
    readings.append(Reading(None, None, "unreadable", "a.mp4", error="a.mp4 breaks off here"))
    readings.append(Reading(None, None, "unreadable", "films/b.mp4", error="cannot be opened"))
    whole, face, folder = readings.summary()
    assert (whole.pictures, whole.unreadable, face.pictures, face.unreadable) == (11, 1, 10, 0)
    assert whole.seconds == face.seconds == pytest.approx(0.9)
    assert (folder.kind, folder.path, folder.unreadable) == ("folder", "films", 1)


def test_the_photos_of_a_folder_are_a_row():
    torn = Readings([Reading(None, None, "unreadable", "b/torn.jpg", error="torn")])
    readings = [
        photo("a/1.jpg", 0.9, 0.2, index=0),
        photo("b/1.jpg", index=1),
        photo("a/2.jpg", 0.8, status="unsure", index=2),
        torn,
        photo("https://x.y/z/1.jpg", 0.9),
        photo("one.jpg", 0.9),
    ]
    table = Readings(itertools.chain(*readings)).summary()
    assert [(r.kind, r.path) for r in table] == [
        ("folder", "a"),
        ("folder", "b"),
        ("folder", "https://x.y/z"),
        ("folder", "."),
    ]
    first, second, *_ = table
    assert (first.pictures, first.faces, first.no_face, first.unreadable) == (2, 3, 0, 0)
    assert (second.pictures, second.faces, second.no_face, second.unreadable) == (2, 0, 1, 1)
    happy = first.expressions["happy"]
    assert (happy.count, happy.share, happy.mean) == (
        2,
        pytest.approx(2 / 3),
        pytest.approx(1.9 / 3),
    )
    assert (happy.segments, happy.segment_s, first.seconds, first.from_s) == (None,) * 4
    assert first.unsure == pytest.approx(1 / 3)
    assert (second.unsure, second.expressions["happy"].share) == (None, None)


def test_a_summary_is_a_table_of_one_form(tmp_path: Path):
    both = Readings([*film("a.mp4", [(0.0, [0.9]), (0.1, [0.9])]), *photo("b.jpg", 0.8)])
    frame = both.summary().to_pandas()
    assert list(frame.kind) == ["film", "face", "folder"]
    kinds = {"kind": "string", "seconds": "float64", "face_id": "Int64", "count_sad": "Int64"}
    assert {name: str(frame.dtypes[name]) for name in kinds} == kinds
    assert dict(Readings(labels=LABELS).summary().to_pandas().dtypes) == dict(frame.dtypes)
    both.summary().save(tmp_path / "s.csv")
    read = pd.read_csv(tmp_path / "s.csv")
    assert list(read.columns) == list(frame.columns)
    assert list(read.share_happy) == [1, 1, 1]
    assert json.loads(json.dumps(both.summary().to_dict()))[1]["expressions"]["happy"]["count"] == 2
    both.summary().save(tmp_path / "s.csv", bom=True)
    assert (tmp_path / "s.csv").read_bytes().startswith(b"\xef\xbb\xbfkind,path,")


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(st.integers(1, 1500), st.lists(st.integers(0, 100), max_size=3)), min_size=2)
)
def test_numbers_are_those_of_pandas(moments):
    """The means, counts and shares that people compute by hand, and the lengths of segments."""
    times = itertools.accumulate(step / 1000 for step, _ in moments)
    seen = [
        (round(t, 6), [v / 100 for v in values])
        for t, (_, values) in zip(times, moments, strict=True)
    ]
    readings = film("a.mp4", seen)
    table = readings.to_pandas()
    starts = np.unique(table.time_s)
    lasts = dict(zip(starts, np.diff(starts, append=2 * starts[-1] - starts[-2]), strict=True))
    table["lasts"] = table.time_s.map(lasts)
    smoothed = table[[f"smoothed_{label}" for label in LABELS]].fillna(0).to_numpy()
    table["top"] = np.array(LABELS)[smoothed.argmax(1)]
    segmenter = Segmenter()
    segments = [s for r in readings for s in segmenter.add(r)] + list(segmenter.close())
    for row in readings.summary():
        if row.kind == "film":
            assert row.seconds == pytest.approx(sum(lasts.values()))
            continue
        mine = table[table.face_id == row.face_id]
        assert row.seconds == pytest.approx(mine.lasts.sum())
        assert row.unsure == pytest.approx((mine.status == "unsure").mean())
        for label, told in row.expressions.items():
            assert told.mean == pytest.approx(mine[label].mean(), abs=1e-6)
            assert told.count == (mine.top == label).sum()
            assert told.share == pytest.approx(
                mine.lasts[mine.top == label].sum() / mine.lasts.sum()
            )
            lengths = [
                s.to_s - s.from_s
                for s in segments
                if (s.face_id, s.expression) == (row.face_id, label)
            ]
            assert told.segments == len(lengths)
            assert told.segment_s == (pytest.approx(np.mean(lengths)) if lengths else None)


def test_memory_does_not_grow_with_frames_or_photos():
    summarizer = Summarizer(LABELS)
    for number in range(300):
        summarizer.add(photo(f"a/{number}.jpg", 0.9))
    assert len(summarizer._rows) == 1
