"""Whatever is damaged: a picture or a PictureError, frames or a PictureError; never a crash.

Each kind is read in a process of its own, so that a segmentation fault or an endless loop is seen.
This file is that process, too: `python test_fuzz.py KIND COUNT FOLDER`.
"""

import faulthandler
import io
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

PICTURES = {"PNG": 340, "JPEG": 340, "WEBP": 300, "BMP": 240, "TIFF": 300, "GIF": 180}
FILMS = {"mp4": 160, "mkv": 140, "avi": 120, "ts": 100}
PATIENCE_S = 120


@pytest.mark.parametrize(("kind", "count"), [*PICTURES.items(), *FILMS.items()])
def test_damaged_files_are_read_or_told(kind, count, tmp_path):
    done = subprocess.run(
        [sys.executable, __file__, kind, str(count), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    read, told = map(int, done.stdout.split())
    assert read + told == count
    assert told > 0, "no damage was noticed: are the mutations any good?"


def test_there_are_enough_of_them():
    assert sum(PICTURES.values()) + sum(FILMS.values()) >= 2000


def flip(data: bytearray, rng: np.random.Generator) -> None:
    for place in rng.integers(0, len(data), rng.integers(1, 12)):
        data[place] = rng.integers(0, 256)


def flip_in_head(data: bytearray, rng: np.random.Generator) -> None:
    for place in rng.integers(0, min(len(data), 200), rng.integers(1, 6)):
        data[place] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.integers(0, 256)])


def truncate(data: bytearray, rng: np.random.Generator) -> None:
    del data[rng.integers(0, len(data)) :]


def insert(data: bytearray, rng: np.random.Generator) -> None:
    place = rng.integers(0, len(data))
    data[place:place] = rng.bytes(rng.integers(1, 64))


def duplicate(data: bytearray, rng: np.random.Generator) -> None:
    start, place = rng.integers(0, len(data), 2)
    data[place:place] = data[start : start + rng.integers(1, 512)]


def zero(data: bytearray, rng: np.random.Generator) -> None:
    start = rng.integers(0, len(data))
    length = min(int(rng.integers(1, 256)), len(data) - start)
    data[start : start + length] = bytes(length)


MUTATIONS = (flip, flip_in_head, truncate, insert, duplicate, zero)


def mutated(originals: list[bytes], seed: int) -> bytes:
    """One of `originals` with one to three kinds of damage."""
    rng = np.random.default_rng(seed)
    data = bytearray(originals[seed % len(originals)])
    for mutation in rng.choice(len(MUTATIONS), rng.integers(1, 4)):
        if data:
            MUTATIONS[mutation](data, rng)
    return bytes(data)


def pictures(kind: str) -> list[bytes]:
    """A coloured, a grey and a palette picture, as every format has its variants."""
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    options = {"JPEG": [{}, {"progressive": True}], "TIFF": [{}, {"compression": "tiff_lzw"}]}
    found = []
    for mode in ("RGB", "L", "RGB" if kind in ("JPEG", "WEBP") else "P"):
        for option in options.get(kind, [{}]):
            out = io.BytesIO()
            Image.fromarray(noise).convert(mode).save(out, kind, **option)
            found.append(out.getvalue())
    return found


def films(kind: str, folder: Path) -> list[bytes]:
    """The same six frames by two encoders."""
    import av

    found = []
    for codec in ("libx264", "mpeg4"):
        path = folder / f"{codec}.{kind}"
        with av.open(str(path), "w") as out:
            video = out.add_stream(codec, rate=25, options={"g": "3"})
            video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
            for shade in range(6):
                pixels = np.full((48, 64, 3), 40 * shade, np.uint8)
                pixels[::5, shade:] = 255
                out.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            out.mux(video.encode())
        found.append(path.read_bytes())
    return found


def read_pictures(kind: str, folder: Path) -> Callable[[int], None]:
    from mien.sources import decode

    originals = pictures(kind)

    def read(seed: int) -> None:
        picture = decode(mutated(originals, seed), name="damaged", grey=seed % 7 == 0)
        assert picture.dtype == np.uint8 and picture.ndim == (2 if seed % 7 == 0 else 3)

    return read


def read_films(kind: str, folder: Path) -> Callable[[int], None]:
    from mien.sources import Cut, Frame
    from mien.sources.video import Video

    originals = films(kind, folder)
    cuts = (Cut(), Cut(fps=10), Cut(start_s=0.1), Cut(start_s=3), Cut(end_s=0.1))

    def read(seed: int) -> None:
        path = folder / f"damaged.{kind}"
        path.write_bytes(mutated(originals, seed))
        last = -1.0
        for count, frame in enumerate(Video(str(path), cuts[seed % len(cuts)])):
            assert isinstance(frame, Frame) and count < 500
            if frame.error is None:
                assert frame.pixels.dtype == np.uint8 and frame.pixels.ndim == 3
                assert frame.time_s > last, "times rise"
                last = frame.time_s

    return read


def main(kind: str, count: int, folder: Path) -> None:
    """Prints how many could be read, and how many were told to be damaged."""
    from mien.errors import InputError

    faulthandler.enable()
    faulthandler.dump_traceback_later(PATIENCE_S - 10, exit=True)
    read = (read_films if kind in FILMS else read_pictures)(kind, folder)
    outcomes: Counter[bool] = Counter()
    for seed in range(count):
        try:
            read(seed)
            outcomes[True] += 1
        except InputError:  # no film any more, or none from 3 s on
            outcomes[False] += 1
        except BaseException:
            print(f"{kind}, seed {seed}:", file=sys.stderr)  # noqa: T201
            raise
    print(outcomes[True], outcomes[False])  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
