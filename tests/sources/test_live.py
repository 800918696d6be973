import threading
import time

import av
import numpy as np
import pytest

from mien.errors import PictureError
from mien.sources import open_items
from mien.sources.live import Live
from tests.clips import film

SIZE = (160, 96)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Two seconds at 25 frames a second."""
    path = tmp_path_factory.mktemp("live") / "clip.mp4"
    return str(film(path, [i / 25 for i in range(50)], SIZE))


def readers(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == name]


def wait_until_gone(name: str, within_s: float) -> bool:
    until = time.monotonic() + within_s
    while readers(name) and time.monotonic() < until:
        time.sleep(0.01)
    return not readers(name)


def test_a_slow_consumer_gets_the_newest_frames_and_the_rest_are_dropped(clip):
    live = Live(clip)
    began = time.monotonic()
    indexes, late_s = [], []
    for frame in live:
        indexes.append(frame.index)
        late_s.append(time.monotonic() - began - frame.time_s)
        time.sleep(0.2)
    assert indexes == sorted(set(indexes))
    assert 2 <= len(indexes) < 25
    assert live.dropped > 10
    assert len(indexes) + live.dropped == 50
    assert indexes[-1] == 49, "the last frame is the newest"
    assert max(late_s) < 1.0, "lateness does not add up"


def test_a_quick_consumer_gets_the_frames_at_their_own_pace(clip):
    live = Live(clip)
    began = time.monotonic()
    frames = list(live)
    assert time.monotonic() - began > 1.9
    assert len(frames) + live.dropped == 50
    assert len(frames) > 25
    assert all(f.pixels.shape == (96, 160, 3) and f.path == clip for f in frames)


def test_the_end_of_the_film_ends_the_loop_and_the_reader(clip):
    assert list(Live(clip))
    assert wait_until_gone(clip, 1)


def test_leaving_early_stops_the_reader_within_a_second(clip):
    for _ in Live(clip):
        assert readers(clip)
        break
    assert wait_until_gone(clip, 1)


@pytest.mark.parametrize("open_camera", [Live, open_items])
def test_a_camera_that_is_not_there_is_told(open_camera):
    with pytest.raises(PictureError, match="camera 99 cannot be opened"):
        open_camera(99)


def test_a_film_that_is_no_film_is_told(tmp_path):
    path = tmp_path / "film.mp4"
    path.write_text("no film at all\n" * 99)
    with pytest.raises(PictureError, match="cannot be opened"):
        Live(str(path))


def test_a_source_that_breaks_off_is_an_error_after_what_came(tmp_path):
    path = tmp_path / "film.avi"
    with av.open(str(path), "w") as out:
        video = out.add_stream("png", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "rgb24"
        for shade in range(8):
            pixels = np.full((48, 64, 3), 20 * shade, np.uint8)
            out.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        out.mux(video.encode())
    pieces = path.read_bytes().split(b"\x89PNG")
    path.write_bytes(b"\x89PNG".join(pieces[:6]) + b"0000" + b"\x89PNG".join(pieces[6:]))
    came = []
    with pytest.raises(PictureError, match="breaks off"):
        for frame in Live(str(path)):
            came.append(frame.index)
    assert came and came == sorted(set(came)) and came[-1] <= 4
    assert wait_until_gone(str(path), 1)


def test_a_source_that_goes_silent_is_told(tmp_path, monkeypatch):
    """A film that stands still for longer than the patience."""
    monkeypatch.setattr("mien.sources.live._PATIENCE_S", 0.3)
    path = str(film(tmp_path / "gap.mp4", [0, 0.04, 3], SIZE))
    came = []
    with pytest.raises(PictureError, match="has sent nothing"):
        for frame in Live(path):
            came.append(frame.index)
    assert came and came[-1] == 1
