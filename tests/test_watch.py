import io
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

import mien
from mien.errors import PictureError
from mien.watch import watch
from tests.clips import film


@pytest.fixture(scope="module")
def recognizer(yunet_home: Path) -> mien.Recognizer:
    return mien.Recognizer(detector="yunet")


def screen() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=100)


def test_a_film_played_at_its_own_pace_is_watched_to_its_end(recognizer, tmp_path: Path):
    clip = film(tmp_path / "c.mp4", [i / 25 for i in range(25)])
    console = screen()
    watched = watch(recognizer, str(clip), tmp_path / "t.csv", None, console)
    assert 1 <= watched.frames <= 25
    assert watched.frames + watched.dropped <= 25
    table = pd.read_csv(tmp_path / "t.csv")
    assert set(table.label) == {"happy"}
    assert table.time_s.is_monotonic_increasing
    shown = console.file.getvalue()
    assert "face 0" in shown
    assert "█" in shown


def test_it_stops_when_asked_to(recognizer, tmp_path: Path):
    clip = film(tmp_path / "c.mp4", [i / 25 for i in range(250)], size=(320, 180))
    watched = watch(recognizer, str(clip), None, 0.5, screen())
    assert watched.frames < 100


def test_a_camera_that_is_not_there_is_told(recognizer):
    with pytest.raises(PictureError, match="camera 99 cannot be opened"):
        watch(recognizer, 99, None, None, screen())
