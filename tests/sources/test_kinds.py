"""What a file is, whatever it is called."""

from pathlib import Path

import av
import numpy as np
import pytest

from mien.sources.frames import is_video
from mien.sources.kinds import content_of, content_of_bytes
from tests.sources.test_pictures import encoded, two_halves

CODECS = {
    **dict.fromkeys(("mp4", "mov", "matroska", "avi", "mpegts", "flv", "3gp"), "libx264"),
    **{"webm": "libvpx-vp9", "asf": "wmv2", "mpeg": "mpeg2video", "mxf": "mpeg2video"},
    **{"gif": "gif", "dv": "dvvideo", "ivf": "libvpx-vp9", "h264": "libx264", "hevc": "libx265"},
    **{"mpeg2video": "mpeg2video", "yuv4mpegpipe": "wrapped_avframe"},
}


def small_film(path: Path, format: str) -> Path:
    """Three frames of one grey in a container of FFmpeg's name."""
    size = (720, 576) if format == "dv" else (128, 96)
    with av.open(str(path), "w", format=format) as out:
        video = out.add_stream(CODECS[format], rate=25)
        video.width, video.height = size
        video.pix_fmt = {"gif": "rgb8"}.get(format, "yuv420p")
        for number in range(3):
            grey = np.full((size[1], size[0], 3), 90, np.uint8)
            frame = av.VideoFrame.from_ndarray(grey, "rgb24").reformat(format=video.pix_fmt)
            frame.pts = number
            out.mux(video.encode(frame))
        out.mux(video.encode())
    return path


@pytest.mark.parametrize("format", CODECS)
def test_a_film_is_known_by_its_content(tmp_path, format):
    path = small_film(tmp_path / "named.jpg", format)
    assert content_of(path) == "film"
    assert is_video(path) and is_video(str(path))


@pytest.mark.parametrize("format", ["PNG", "JPEG", "BMP", "WEBP", "TIFF", "PPM", "JPEG2000"])
def test_a_photo_is_known_by_its_content(tmp_path, format):
    path = tmp_path / "named.mp4"
    path.write_bytes(encoded(two_halves(), format))
    assert content_of(path) == "picture"
    assert not is_video(path)


def test_a_phone_s_photo_is_no_film(shared):
    assert content_of(shared / "cases" / "photo.heic") == "picture"
    assert content_of(shared / "cases" / "face_in_frame_2.webp") == "picture"


NEITHER = (
    *(b"", b"G", b"BMW drivers\nare", b"P. is a place", b"#EXTM3U", b"<html>", bytes(4096)),
    *(b"RIFF\0\0\0\0WAVEfmt ", b"ID3\4", b"\0\0\0\x1cftypM4A \0\0"),
    b"OggS\0\2" + bytes(22) + b"\1vorbis",
)


@pytest.mark.parametrize("head", NEITHER)
def test_text_sound_and_zeros_are_neither(head):
    assert content_of_bytes(head) is None


def test_where_no_file_is_its_suffix_tells(tmp_path):
    assert is_video("https://films.test/a.MP4?key=1")
    assert is_video(tmp_path / "missing.mkv")
    assert not is_video(tmp_path / "missing.jpg")
    assert not is_video(tmp_path)
    (tmp_path / "empty.mp4").write_bytes(b"")
    assert is_video(tmp_path / "empty.mp4"), "so that what is wrong is told of a film"
    assert not is_video("A" * 5000)
    assert not is_video(0)
