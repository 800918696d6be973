"""mien knows its own drawings, in every format that it writes."""

from pathlib import Path

import numpy as np
import pytest

from mien import output
from mien.demo import PORTRAIT
from mien.marks import is_drawn
from mien.output.clip import Clip
from mien.output.timeline import Timeline
from mien.sources import read_picture
from mien.types import Box, Face, Reading, Scores
from tests.clips import film

NOISE = np.random.default_rng(0).integers(0, 256, (600, 800, 3), np.uint8)


@pytest.mark.parametrize("suffix", [".jpg", ".JPG", ".jpeg", ".png", ".webp", ".tiff"])
def test_a_drawing_is_known(tmp_path: Path, suffix: str):
    """Of noise: its compressed bytes are many, and lie between the mark and one end of the file."""
    path = tmp_path / f"p{suffix}"
    output.save_picture(path, NOISE)
    assert path.stat().st_size > 100_000
    assert is_drawn(path)
    assert np.abs(read_picture(path).astype(int) - NOISE).mean() < 60


@pytest.mark.parametrize("suffix", [".mp4", ".MP4", ".mkv", ".mov"])
def test_a_video_is_known(tmp_path: Path, suffix: str):
    path = tmp_path / f"v{suffix}"
    sound = film(tmp_path / "sound.mp4", [i / 10 for i in range(20)], (64, 48), sound=True)
    with Clip(path, 10, str(sound)) as clip:
        for number in range(20):
            clip.write(np.roll(NOISE, number, 0), number / 10)
    assert is_drawn(path)
    assert not is_drawn(sound)


def test_a_timeline_is_known(tmp_path: Path):
    timeline = Timeline()
    for number in range(3):
        scores = Scores(("a", "b"), (0.5, 0.5))
        timeline.add(
            Reading(Face(Box(0, 0, 9, 9)), scores, time_s=number, face_id=0, smoothed=scores)
        )
    timeline.save(tmp_path / "p.png")
    assert is_drawn(tmp_path / "p.png")


def test_what_others_made_is_not(tmp_path: Path):
    assert not is_drawn(PORTRAIT)
    (tmp_path / "empty.jpg").touch()
    for path in (tmp_path / "empty.jpg", tmp_path / "gone.jpg", tmp_path):
        assert not is_drawn(path)
