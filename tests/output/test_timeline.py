"""A timeline: whose band, of when, and what stands in it."""

from dataclasses import replace
from pathlib import Path

import matplotlib.figure
import numpy as np
import pytest

from mien.output.timeline import Timeline
from mien.types import Box, Face, Reading, Scores

LABELS = ("angry", "happy", "sad")


def reading(time_s: float, face_id: int = 0, happy: float = 0.5) -> Reading:
    smoothed = Scores(LABELS, (0.25, happy, 0.75 - happy))
    told = {"time_s": time_s, "face_id": face_id, "smoothed": smoothed}
    return Reading(Face(Box(0, 0, 9, 9)), Scores(LABELS, (1.0, 0.0, 0.0)), **told)


@pytest.fixture
def drawn(tmp_path: Path, monkeypatch):
    """`drawn(readings)`: the figure that is saved."""
    figures: list[matplotlib.figure.Figure] = []
    monkeypatch.setattr(
        matplotlib.figure.Figure, "savefig", lambda figure, *_a, **_k: figures.append(figure)
    )

    def make(readings):
        timeline = Timeline()
        for one in readings:
            timeline.add(one)
        timeline.save(tmp_path / "t.svg")
        return figures.pop()

    return make


def names(figure) -> list[str]:
    return [band.get_ylabel() for band in figure.axes]


def stacked(band) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each label of a band: times, and how high its part is."""
    found = []
    for part in band.collections:
        points = part.get_paths()[0].vertices
        times = np.unique(points[:, 0])
        heights = [np.ptp(points[points[:, 0] == t, 1]) for t in times]
        found.append((times, np.array(heights)))
    return found


def test_a_band_shows_the_smoothed_probabilities_of_its_face_over_time(drawn):
    figure = drawn([reading(t / 2, 0, 0.1 * t) for t in range(6)])
    (band,) = figure.axes
    angry, happy, sad = stacked(band)
    times = [0, 0.5, 1, 1.5, 2, 2.5]
    assert np.allclose(angry[0], times)
    assert np.allclose(angry[1], 0.25)
    assert np.allclose(happy[1], [0, 0.1, 0.2, 0.3, 0.4, 0.5])
    assert np.allclose(sad[1], [0.75, 0.65, 0.55, 0.45, 0.35, 0.25])
    assert (band.get_ylim(), band.get_xlim()) == ((0, 1), (0, 2.5))
    assert band.get_xlabel() == "time, s; probabilities smoothed over 0.4 s"
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == list(LABELS)
    colours = [tuple(part.get_facecolor()[0]) for part in band.collections]
    assert len(set(colours)) == 3


def test_faces_have_bands_in_the_order_of_their_ids_over_one_clock(drawn):
    figure = drawn([reading(1.0, 2), reading(1.0, 0), reading(3.0, 2), reading(2.0, 0)])
    assert names(figure) == ["face 0", "face 2"]
    assert [band.get_xlim() for band in figure.axes] == [(1.0, 3.0)] * 2
    assert [band.get_xlabel() for band in figure.axes] == [
        "",
        "time, s; probabilities smoothed over 0.4 s",
    ]
    assert figure.get_size_inches()[1] == pytest.approx(1.2 + 2 * 1.7)


def test_of_many_faces_the_eight_that_were_seen_longest_are_shown(drawn):
    seen = {0: 1, 1: 3, 2: 3, 3: 3, 4: 2, 5: 3, 6: 3, 7: 3, 8: 3, 9: 2, 10: 2}
    readings = [reading(i / 10, face) for face, count in seen.items() for i in range(count)]
    assert names(drawn(readings)) == [f"face {i}" for i in (1, 2, 3, 4, 5, 6, 7, 8)]


def test_a_film_without_a_face_says_so(drawn):
    figure = drawn([Reading(None, None, "no_face", time_s=0.0)])
    (band,) = figure.axes
    assert [text.get_text() for text in band.texts] == ["no face"]
    assert figure.legends == []
    assert figure.get_size_inches()[1] == pytest.approx(1.2 + 1.7)


@pytest.mark.parametrize("missing", ["face_id", "smoothed", "time_s"])
def test_readings_of_photos_are_passed_over(drawn, missing):
    figure = drawn([replace(reading(0.0, 1), **{missing: None}), reading(1.0, 2), reading(2.0, 2)])
    assert names(figure) == ["face 2"]


def test_a_long_film_is_shown_whole_by_some_of_its_moments(drawn, monkeypatch):
    """Of 100 moments at most 8 are kept: each 16th, evenly, from the first to one of the last."""
    monkeypatch.setattr("mien.output.timeline._MOST_POINTS", 8)
    (band,) = drawn([reading(float(t)) for t in range(100)]).axes
    assert list(stacked(band)[0][0]) == [0, 16, 32, 48, 64, 80, 96]


@pytest.mark.parametrize(("moments", "kept"), [(7, 7), (8, 4), (9, 5), (14, 7), (15, 4)])
def test_moments_are_halved_when_they_become_too_many(drawn, monkeypatch, moments, kept):
    monkeypatch.setattr("mien.output.timeline._MOST_POINTS", 8)
    (band,) = drawn([reading(float(t)) for t in range(moments)]).axes
    assert len(stacked(band)[0][0]) == kept


def test_some_thousand_moments_are_shown(drawn):
    for moments, kept in ((3999, 3999), (4000, 2000)):
        (band,) = drawn([reading(float(t)) for t in range(moments)]).axes
        assert len(band.collections[0].get_paths()[0].vertices) // 2 == pytest.approx(kept, abs=3)


@pytest.mark.parametrize(
    ("name", "head"),
    [("t.png", b"\x89PNG"), ("t.svg", b"<?xml"), ("t.pdf", b"%PDF"), ("t", b"\x89PNG")],
)
def test_it_is_drawn_in_the_format_of_its_suffix(tmp_path: Path, name, head):
    timeline = Timeline()
    timeline.add(reading(0.0))
    timeline.add(reading(1.0))
    timeline.save(tmp_path / "new" / name)
    assert (tmp_path / "new" / name).read_bytes().startswith(head)
