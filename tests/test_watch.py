"""A camera in the terminal: what its table shows, what it keeps, when it ends."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

import mien
from mien import watch as module
from mien.errors import PictureError
from mien.sources import Frame
from mien.sources.live import Live
from mien.types import Box, Face, Reading, Readings, Scores
from mien.watch import Watched, watch
from tests.clips import film
from tests.fakes import FakeSource, brightness_bundle

LABELS = ("dark", "grey", "light")


def bright(*shades: int) -> list[Frame]:
    """Frames of one shade each, a quarter of a second apart."""
    pixels = [np.full((40, 40, 3), shade, np.uint8) for shade in shades]
    return [Frame("camera", p, i, i / 4) for i, p in enumerate(pixels)]


def camera(frames: list[Frame], failure: BaseException | None = None) -> FakeSource:
    """A camera that has these frames, and has dropped three."""

    def come() -> Iterator[Frame]:
        yield from frames
        if failure:
            raise failure

    return FakeSource(come(), live=True, dropped=3)


class Clock:
    """Time of which a second passes whenever it is looked at."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        self.now_s += 1
        return self.now_s


def screen() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=100)


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory: pytest.TempPathFactory) -> mien.Recognizer:
    """Takes each frame for a face, and its brightness for its expression."""
    bundle = brightness_bundle(tmp_path_factory.mktemp("bright") / "b", LABELS)
    return mien.Recognizer(bundle.folder, detector="none")


@pytest.fixture
def look(recognizer, monkeypatch):
    """`look(source, csv, seconds)`: what was watched, and what was shown."""

    def looked(source: FakeSource, csv: Path | None = None, seconds: float | None = None):
        monkeypatch.setattr(module, "time", Clock())
        console = screen()
        watched = watch(recognizer, source, csv, seconds, console)
        return watched, console.file.getvalue()

    return looked


def test_every_frame_is_counted_shown_and_kept(look, tmp_path: Path):
    watched, shown = look(camera(bright(0, 0, 255)), tmp_path / "t.csv")
    # The clock is looked at when it begins, and once for each frame: three in three seconds.
    assert watched == Watched(frames=3, dropped=3, rate=1.0)
    assert "1.0 frames/s, 3 dropped;" in shown
    assert "face 1" in shown
    table = pd.read_csv(tmp_path / "t.csv")
    assert list(table.label) == ["dark", "dark", "light"]
    assert list(table.time_s) == [0, 0.25, 0.5]
    assert list(table.face_id) == [1, 1, 1]


def test_rows_are_added_to_a_table_that_is_there(look, tmp_path: Path):
    for shade in (0, 255, 0):  # each begins at 0 s
        look(camera(bright(shade, shade)), tmp_path / "t.csv")
    labels = ["dark", "dark", "light", "light", "dark", "dark"]
    assert list(pd.read_csv(tmp_path / "t.csv").label) == labels


def test_rows_are_added_to_those_of_a_camera_that_stopped(look, tmp_path: Path):
    with pytest.raises(PictureError):
        look(camera(bright(0, 0), PictureError("gone")), tmp_path / "t.csv")
    look(camera(bright(255)), tmp_path / "t.csv")
    assert list(pd.read_csv(tmp_path / "t.csv").label) == ["dark", "dark", "light"]


@pytest.mark.parametrize(
    ("seconds", "frames"), [(None, 9), (2, 1), (2.1, 2), (4, 2), (4.1, 3), (99, 9)]
)
def test_it_ends_when_the_seconds_are_over(look, seconds: float | None, frames: int):
    # Two looks at the clock a frame: for the rate, and for the end.
    watched, _ = look(camera(bright(*[0] * 9)), None, seconds)
    assert watched.frames == frames


def test_ctrl_c_ends_it_and_keeps_what_was_seen(look, tmp_path: Path):
    watched, _ = look(camera(bright(0, 255), KeyboardInterrupt()), tmp_path / "t.csv")
    assert watched.frames == 2
    assert len(pd.read_csv(tmp_path / "t.csv")) == 2


def test_a_source_that_stops_is_told_and_keeps_what_was_seen(look, tmp_path: Path):
    with pytest.raises(PictureError, match="has stopped"):
        look(camera(bright(0), PictureError("camera has stopped")), tmp_path / "t.csv")
    assert len(pd.read_csv(tmp_path / "t.csv")) == 1


def test_a_source_without_frames_has_shown_nothing(look):
    watched, _ = look(camera([]))
    assert watched == Watched(frames=0, dropped=0, rate=0.0)


def reading(face_id: int, now: tuple[float, ...], smoothed: tuple[float, ...] | None) -> Reading:
    return Reading(
        Face(Box(0, 0, 9, 9)),
        Scores(LABELS, now),
        face_id=face_id,
        smoothed=smoothed and Scores(LABELS, smoothed),
    )


def drawn(*readings: Reading, watched: Watched | None = None) -> str:
    """The table, its lines without the spaces at their ends."""
    console = Console(file=io.StringIO(), width=100)
    console.print(module._table(Readings(readings), LABELS, watched or Watched()))
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


def test_the_table_has_a_bar_for_each_expression_of_each_face():
    two = drawn(
        reading(0, (1.0, 0.0, 0.0), (0.5, 0.25, 0.25)),
        reading(4, (0.0, 1.0, 0.0), None),
        watched=Watched(frames=9, dropped=2, rate=12.34),
    )
    assert two.splitlines() == [
        "12.3 frames/s, 2 dropped; Ctrl-C ends",
        "expression  face 0              face 4",
        "dark        ██████        50 %                 0 %",
        "grey        ███           25 %  ████████████ 100 %",
        "light       ███           25 %                 0 %",
    ]


def test_a_table_without_faces_says_so():
    nobody = Reading(None, None, "no_face")
    assert drawn(nobody).splitlines()[-4:] == ["expression  no face", "dark", "grey", "light"]


def test_the_expression_on_top_stands_out():
    scores = Scores(LABELS, (0.25, 0.5, 0.25))
    assert [module._bar(scores, label).partition("]")[0] for label in LABELS] == [
        *("[dim", "[bold cyan", "[dim"),
    ]


def test_labels_are_no_markup():
    odd = ("[red]dark", "grey", "light")
    console = Console(file=io.StringIO(), width=100)
    console.print(module._table(Readings(), odd, Watched()))
    assert "[red]dark" in console.file.getvalue()


def test_a_real_film_is_watched_to_its_end(recognizer, tmp_path: Path):
    clip = film(tmp_path / "c.mp4", [i / 25 for i in range(6)], (64, 48), empty=True)
    console = screen()
    watched = watch(recognizer, Live(str(clip)), tmp_path / "t.csv", None, console)
    assert 1 <= watched.frames <= 6
    assert watched.frames + watched.dropped <= 6
    assert set(pd.read_csv(tmp_path / "t.csv").label) == {"grey"}
    assert "█" in console.file.getvalue()
