"""A timeline: whose lane, of when, what stands in it, and what is said beside it."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import matplotlib.figure
import numpy as np
import pytest

from mien.labels import EIGHT
from mien.output.timeline import Timeline
from mien.style import COLOURS, rgb
from mien.types import Box, Face, Reading, Scores

LABELS = ("angry", "happy", "sad")
NO_FACE = Reading(None, None, "no_face")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


def reading(time_s: float, face_id: int = 0, happy: float = 0.5, **more) -> Reading:
    smoothed = Scores(LABELS, (0.25, happy, 0.75 - happy))
    told = {"time_s": time_s, "face_id": face_id, "smoothed": smoothed, **more}
    return Reading(Face(Box(0, 0, 9, 9)), Scores(LABELS, (1.0, 0.0, 0.0)), **told)


def collected(readings, cuts=()) -> Timeline:
    timeline = Timeline()
    for one in readings:
        timeline.add(one)
    for time_s in cuts:
        timeline.cut(time_s)
    return timeline


@pytest.fixture
def drawn(tmp_path: Path, monkeypatch):
    """`drawn(readings)`: the figure that is saved."""
    figures: list[matplotlib.figure.Figure] = []
    monkeypatch.setattr(
        matplotlib.figure.Figure, "savefig", lambda figure, *_a, **_k: figures.append(figure)
    )

    def make(readings, cuts=()):
        collected(readings, cuts).save(tmp_path / "t.svg")
        return figures.pop()

    return make


def names(figure) -> list[str]:
    return [band.get_ylabel() for band in figure.axes]


def legend(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def areas(band) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each label of each run: times, and how high its part is."""
    found = []
    for part in band.collections:
        if not part.get_paths() or part.get_paths()[0].vertices[:, 1].min() < 0:
            continue  # what is to be checked
        points = part.get_paths()[0].vertices
        times = np.unique(points[:, 0])
        heights = [np.ptp(points[points[:, 0] == t, 1]) for t in times]
        found.append((times, np.array(heights)))
    return found


def test_a_lane_shows_the_smoothed_probabilities_of_its_face_over_time(drawn):
    figure = drawn([reading(t / 2, 0, 0.1 * t) for t in range(6)])
    (band,) = figure.axes
    angry, happy, sad = areas(band)
    assert np.allclose(angry[0], [0, 0.5, 1, 1.5, 2, 2.5])
    assert np.allclose(angry[1], 0.25)
    assert np.allclose(happy[1], [0, 0.1, 0.2, 0.3, 0.4, 0.5])
    assert np.allclose(sad[1], [0.75, 0.65, 0.55, 0.45, 0.35, 0.25])
    assert band.get_xlim() == (0, 2.5)
    assert band.get_xlabel() == "time, s; probabilities smoothed over 0.4 s"
    assert legend(figure) == [*LABELS, "away"]
    colours = [tuple(part.get_facecolor()[0][:3]) for part in band.collections[:3]]
    assert np.allclose(colours, [np.array(rgb(COLOURS[label])) / 255 for label in LABELS])


def test_lanes_stand_in_the_order_of_ids_over_the_whole_film(drawn):
    """Frames without a face belong to it."""
    given = [reading(1.0, 2), reading(1.0, 0), reading(2.0, 0), reading(3.0, 2)]
    figure = drawn([replace(NO_FACE, time_s=0.0), *given, replace(NO_FACE, time_s=4.0)])
    assert names(figure) == ["face 0", "face 2"]
    assert [band.get_xlim() for band in figure.axes] == [(0.0, 4.0)] * 2
    assert [band.get_xlabel() != "" for band in figure.axes] == [False, True]


def test_where_a_face_is_away_its_lane_is_blank(drawn):
    frames = [i / 10 for i in range(40)]
    figure = drawn([reading(t) if not 1 < t < 2.5 else replace(NO_FACE, time_s=t) for t in frames])
    times = [part[0] for part in areas(figure.axes[0])]
    assert [(part[0], part[-1]) for part in times] == [(0, 1)] * 3 + [(2.5, 3.9)] * 3


@pytest.mark.parametrize(("step_s", "runs"), [(0.04, 2), (0.5, 1)])
def test_frames_that_are_far_apart_are_no_gap(step_s: float, runs: int):
    missed = {10, 11, 12, 13, 14, 15, 16} if step_s < 0.1 else set()
    timeline = Timeline()
    for i in range(30):
        timeline.add(replace(NO_FACE, time_s=i * step_s) if i in missed else reading(i * step_s))
    (lane,) = timeline.lanes()
    assert len(lane.runs(step_s)) == runs


def test_cuts_and_doubtful_readings_are_marked(drawn):
    statuses = ["ok", "unsure", "unsure", "ok", "ok"]
    figure = drawn([reading(float(t), status=s) for t, s in enumerate(statuses)], cuts=[0.0, 3.0])
    (band,) = figure.axes
    assert [line.get_xdata()[0] for line in band.lines] == [3.0], "the beginning is no cut"
    below = [p.vertices for part in band.collections for p in part.get_paths()]
    (check,) = [points for points in below if points[:, 1].min() < 0]
    assert (check[:, 0].min(), check[:, 0].max()) == (1, 3), "each until the next"
    assert legend(figure) == [*LABELS, "in doubt", "cut", "away"]


def test_what_lasts_is_named_in_words(drawn):
    """Not by its colour alone."""
    happy = [reading(i / 10, happy=0.7) for i in range(60)]
    sad = [reading(6 + i / 10, happy=0.1) for i in range(60)]
    (band,) = drawn([*happy, reading(5.95, happy=0.1), *sad]).axes
    assert [text.get_text() for text in band.texts] == ["happy", "sad"]


@pytest.mark.parametrize(
    ("faces", "path", "heading"),
    [
        (0, None, "no face"),
        (1, "a/b.mp4", "b.mp4: 1 face"),
        (2, None, "2 faces"),
        (15, "b.mp4", "b.mp4: 8 of 15 faces, those seen longest"),
    ],
)
def test_the_heading_tells_how_many_faces_are_shown(drawn, faces, path, heading):
    figure = drawn([reading(i / 10, i, path=path) for i in range(faces)])
    assert figure.axes[0].get_title(loc="left") == heading


@pytest.mark.parametrize(
    ("last_s", "some", "unit"),
    [
        (1.0, ["0", "0.1", "1"], "s"),
        (20.0, ["0", "2", "20"], "s"),
        (120.0, ["0", "10", "120"], "s"),
        (600.0, ["0:00", "1:00", "10:00"], "min:s"),
        (7200.0, ["0:00:00", "0:10:00", "2:00:00"], "h:min:s"),
    ],
)
def test_time_is_told_in_seconds_or_minutes(last_s: float, some: list[str], unit: str):
    timeline = collected([reading(0.0), reading(last_s)])
    ticks = [text for _, text in timeline.ticks()]
    assert [ticks[0], ticks[1], ticks[-1]] == some
    assert timeline.unit == unit


def test_of_many_faces_the_eight_that_were_seen_longest_are_shown(drawn):
    seen = {0: 1, 1: 3, 2: 3, 3: 3, 4: 2, 5: 3, 6: 3, 7: 3, 8: 3, 9: 2, 10: 2}
    readings = [reading(i / 10, face) for face, count in seen.items() for i in range(count)]
    assert names(drawn(readings)) == [f"face {i}" for i in (1, 2, 3, 4, 5, 6, 7, 8)]


def test_a_film_without_a_face_says_so(drawn):
    figure = drawn([replace(NO_FACE, time_s=0.0)])
    (band,) = figure.axes
    assert [text.get_text() for text in band.texts] == ["no face"]
    assert figure.legends == []


@pytest.mark.parametrize("missing", ["face_id", "smoothed", "time_s"])
def test_readings_of_photos_are_passed_over(drawn, missing):
    figure = drawn([replace(reading(0.0, 1), **{missing: None}), reading(1.0, 2), reading(2.0, 2)])
    assert names(figure) == ["face 2"]


def test_a_long_film_is_shown_whole_by_some_of_its_moments(drawn, monkeypatch):
    """Of 100 moments at most 8 are kept: each 16th, evenly, from the first to one of the last."""
    monkeypatch.setattr("mien.output.timeline._MOST_MOMENTS", 8)
    (band,) = drawn([reading(float(t)) for t in range(100)]).axes
    assert list(areas(band)[0][0]) == [0, 16, 32, 48, 64, 80, 96]


@pytest.mark.parametrize(("moments", "kept"), [(7, 7), (8, 4), (9, 5), (14, 7), (15, 4)])
def test_moments_are_halved_when_they_become_too_many(drawn, monkeypatch, moments, kept):
    monkeypatch.setattr("mien.output.timeline._MOST_MOMENTS", 8)
    (band,) = drawn([reading(float(t)) for t in range(moments)]).axes
    assert len(areas(band)[0][0]) == kept


@pytest.mark.parametrize(
    ("name", "head"),
    [
        *(("t.png", b"\x89PNG"), ("t.svg", b"<?xml"), ("t.pdf", b"%PDF"), ("t", b"\x89PNG")),
        ("t.HTML", b"<!doctype html>"),
    ],
)
def test_it_is_drawn_in_the_format_of_its_suffix(tmp_path: Path, name, head):
    collected([reading(0.0), reading(1.0)]).save(tmp_path / "new" / name)
    assert (tmp_path / "new" / name).read_bytes().startswith(head)


def told(page: str) -> dict:
    return json.loads(re.search(r'type="application/json">(.*?)</script>', page)[1])


def test_a_page_holds_what_a_picture_shows_and_fetches_nothing(tmp_path: Path):
    given = [reading(t / 10, path="<i>&.mp4", status="small" if t == 3 else "ok") for t in range(9)]
    collected(given, cuts=[0.55]).save(tmp_path / "t.html")
    page = (tmp_path / "t.html").read_text()
    assert "<title>&lt;i&gt;&amp;.mp4: 1 face</title>" in page
    assert not re.findall(r"(?:src|href)=|https?://(?!www\.w3\.org/2000/svg)", page)
    data = told(page)
    assert data["colours"] == {label: COLOURS[label] for label in LABELS}
    assert (data["span"], data["cuts"]) == ([0.0, 0.8], [0.55])
    (lane,) = data["lanes"]
    (run,) = lane["runs"]
    assert run["times"] == [t / 10 for t in range(9)]
    assert run["shares"][0] == [25, 50, 25]
    assert run["check"] == [0, 0, 0, 1, 0, 0, 0, 0, 0]


def test_the_page_of_a_long_film_with_many_faces_stays_small(tmp_path: Path):
    dice = np.random.default_rng(0)
    timeline = Timeline()
    for frame in range(1500):
        for face, values in enumerate(dice.dirichlet(np.ones(8), 10)):
            scores = Scores(EIGHT, tuple(map(float, values)))
            one = replace(reading(5.0 * frame, face), scores=scores, smoothed=scores)
            timeline.add(one)
    timeline.save(tmp_path / "t.html")
    assert (tmp_path / "t.html").stat().st_size < 300_000


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_a_page_tells_what_the_pointer_is_at(tmp_path: Path):
    playwright = pytest.importorskip("playwright.sync_api", reason="needs mien[dev]")
    given = [reading(t / 10, f) for t in range(41) for f in (0, 7) if f == 0 or t > 20]
    collected(given).save(tmp_path / "t.html")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text))
        page.goto((tmp_path / "t.html").as_uri())
        page.locator("#plot").press("ArrowRight")
        lines = page.locator("#told").inner_text().splitlines()
        assert lines == ["0.02 s", "Face 0: happy 50 %, angry 25 %, sad 25 %", "Face 7: away"]
        page.get_by_label("Face 0").uncheck()
        assert page.locator("#told").inner_text().splitlines() == ["0.02 s", "Face 7: away"]
        assert page.locator(".lane:visible").count() == 1
        browser.close()
    assert complaints == []
