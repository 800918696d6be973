"""Which frames are asked for, and which sources have frames."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from mien.errors import InputError, ShapeError
from mien.sources.frames import Cut, Frame, is_live, is_video

PIXELS = np.zeros((2, 2, 3), np.uint8)


def test_a_cut_is_everything_by_default():
    assert Cut() == Cut(every=1, fps=None, start_s=0.0, end_s=None, after_s=-1.0)


@pytest.mark.parametrize(
    "right",
    [
        {"every": 1},
        {"every": 1, "fps": 2.0},
        {"fps": 1e-3},
        {"fps": 1000},
        {"start_s": 0.0, "end_s": 1e-3},
        {"start_s": 2.0, "end_s": 2.1},
        {"start_s": 1e9},
    ],
    ids=str,
)
def test_a_cut_within_its_limits(right):
    cut = Cut(**right)
    assert {name: getattr(cut, name) for name in right} == right


EVERY, FPS, BOTH = "expected every >= 1", "expected 0 < fps <= 1000", "give either every or fps"
START = "expected 0 <= start < end"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"every": 0}, f"{EVERY}, got 0"),
        ({"every": -1}, EVERY),
        ({"fps": 0.0}, f"{FPS}, got 0.0"),
        ({"fps": -1.0}, FPS),
        ({"fps": 1000.1}, FPS),
        ({"fps": float("nan")}, FPS),
        ({"every": 2, "fps": 1.0}, BOTH),
        ({"start_s": -0.1}, f"{START}, got start -0.1 and no end"),
        ({"start_s": float("nan")}, START),
        ({"start_s": 2.0, "end_s": 2.0}, START),
        ({"start_s": 2.0, "end_s": 1.0}, f"{START}, got start 2.0 and end 1.0"),
        ({"end_s": 0.0}, START),
        ({"end_s": float("nan")}, START),
    ],
    ids=str,
)
def test_a_cut_with_wrong_values_is_an_input_error(wrong, message):
    with pytest.raises(InputError) as caught:
        Cut(**wrong)
    assert message in str(caught.value)


def test_a_frame_has_pixels_or_the_reason_why_not():
    assert Frame("a", PIXELS).error is None
    assert Frame("a", None, error="gone").pixels is None
    for pixels, error in ((None, None), (PIXELS, "gone")):
        with pytest.raises(ShapeError, match="expected pixels, or the error in their place"):
            Frame("a", pixels, error=error)


def test_frames_and_cuts_stay_as_they_are():
    frame, cut = Frame("a", PIXELS), Cut()
    for value, name in ((frame, "path"), (cut, "every")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, name, None)
    assert frame != Frame("a", PIXELS)  # pixels would be compared one by one
    assert len({frame, Frame("a", PIXELS)}) == 2


VIDEOS = (
    *("mp4", "m4v", "mov", "mkv", "webm", "avi", "mpg", "mpeg", "ts", "mts", "m2ts", "wmv"),
    *("flv", "3gp", "ogv", "gif"),
)


@pytest.mark.parametrize(
    ("source", "film", "live"),
    [
        *[(f"a.{suffix}", True, False) for suffix in VIDEOS],
        (Path("folder/a.MKV"), True, False),
        ("https://example.org/a.webm", True, False),
        ("https://example.org/a.webm?x=1.png", True, False),
        ("https://example.org/a.webm?x=1.png?y", True, False),
        ("http://example.org/a.png?x=1.mp4", False, False),
        ("a?b.mp4", True, False),
        ("mp4", False, False),
        ("a.png", False, False),
        ("a.mp4/b.png", False, False),
        (b"a.mp4", False, False),
        (0, False, True),
        (7, False, True),
        (True, False, False),
        (False, False, False),
        (1.0, False, False),
        (None, False, False),
        *[(f"{kind}://camera/1", False, True) for kind in ("rtsp", "rtsps", "rtmp", "udp", "srt")],
        (Path("rtsp://camera"), False, False),
        ("camera rtsp://", False, False),
    ],
)
def test_films_and_cameras_are_told_from_pictures(source, film: bool, live: bool):
    assert (is_video(source), is_live(source)) == (film, live)
