"""Films made of a real portrait, so that tests know what is where."""

import contextlib
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from mien.demo import PORTRAIT
from mien.sources import read_picture

FACE = (224, 117)  # middle of the portrait's face, in pixels


def scene(time_s: float, size: tuple[int, int] = (640, 360), faces: int = 1) -> NDArray[np.uint8]:
    """(H, W, 3) RGB: the portrait, drifting; with `faces` = 2 its mirror image drifts beside it."""
    width, height = size
    canvas = np.full((height, width, 3), (90, 110, 100), np.uint8)
    scale = height / 360
    portrait = cv2.resize(read_picture(PORTRAIT)[:300, 120:340], None, fx=scale, fy=scale)
    drift = int(height * 0.1 * np.sin(time_s))
    for number in range(faces):
        picture = portrait if number == 0 else portrait[:, ::-1]
        x = width // 10 + drift + number * width // 2
        part = picture[:, : width - x]
        canvas[: part.shape[0], x : x + part.shape[1]] = part
    return canvas


def film(
    path: Path,
    times: list[float],
    size: tuple[int, int] = (640, 360),
    *,
    faces: int = 1,
    sound: bool = False,
    empty: bool = False,
) -> Path:
    """An H.264 film with a frame at each of `times` (seconds), and a tone if `sound`."""
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=Fraction(25))
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        video.codec_context.time_base = Fraction(1, 90_000)
        video.options = {"preset": "ultrafast", "crf": "18", "g": "25"}
        audio = out.add_stream("aac", rate=8000, layout="mono") if sound else None
        for time_s in times:
            pixels = (
                np.full((size[1], size[0], 3), 90, np.uint8)
                if empty
                else scene(time_s, size, faces)
            )
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = round(time_s * 90_000), Fraction(1, 90_000)
            out.mux(video.encode(frame))
        out.mux(video.encode())
        if audio is not None:
            tone = np.sin(np.arange(int(8000 * (times[-1] + 0.04))) * 2 * np.pi * 440 / 8000)
            samples = (tone * 9000).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate = 8000
            resampler = av.AudioResampler("fltp", "mono", 8000)
            for part in resampler.resample(frame):
                out.mux(audio.encode(part))
            out.mux(audio.encode())
    return path


def spoil(path: Path, numbers: set[int]) -> None:
    """Write noise over the packets of these numbers, as they lie in the file."""
    with av.open(str(path)) as opened:
        places = [(p.pos, p.size) for p in opened.demux(video=0) if p.size]
    data, noise = bytearray(path.read_bytes()), np.random.default_rng(1)
    for number in numbers:
        begin, size = places[number]
        data[begin : begin + size] = noise.integers(0, 255, size, np.uint8).tobytes()
    path.write_bytes(data)


def packet_by_packet(path: Path) -> list[float | None]:
    """Times of the frames that PyAV gives where each packet is decoded for itself."""
    times = []
    with av.open(str(path)) as opened:
        stream = opened.streams.video[0]
        stream.codec_context.thread_count = 1
        for packet in opened.demux(stream):
            with contextlib.suppress(FFmpegError, ValueError):
                times += [frame.time for frame in packet.decode()]
    return times
