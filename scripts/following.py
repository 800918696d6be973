"""What following faces costs and whether it reads what searching every frame reads.

    python scripts/following.py [--seconds 10] [--rounds 5] [--faces FOLDER] [--films 6]

Films are made of the package's portrait, or of the photos in FOLDER, whose largest faces are cut
out: faces that move, grow, turn, cross, come and go before pictures that move. Printed are

1. processor time a frame, of the whole process, in passes of YuNet over 640x640 px, which are
   measured in turns with it: medians, and the ratio to decoding alone; beside MediaPipe's face mesh
   where that is installed;
2. how often the readings agree with those of `--every-frame`, and how often these agree with
   themselves on frames of another grain, which nobody sees;
3. which cuts are found, and which are told where there are none.
"""

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from mien import Recognizer
from mien.analyse import Outputs, analyse
from mien.demo import PORTRAIT
from mien.faces.shots import Shots
from mien.faces.yunet import YuNet
from mien.sources import read_picture
from mien.sources.video import Video
from mien.types import Box, Reading, Scores

Pixels = NDArray[np.uint8]
FPS = 30
SIZES = ((596, 336), (1280, 720))
PASS_PX = 640


@dataclass(frozen=True)
class Sprite:
    """A cut-out face: (S, S, 3) RGB and (S, S, 1) of how much of it is seen, 0-1."""

    pixels: Pixels
    seen: NDArray[np.float32]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--films", type=int, default=6, help="of each size, for the agreement")
    parser.add_argument("--shots", type=int, default=100, help="for the cuts")
    parser.add_argument("--faces", type=Path, help="folder of photos with faces")
    given = parser.parse_args()
    photos = [read_picture(PORTRAIT)]
    if given.faces is not None:
        photos = [
            picture
            for file in sorted(given.faces.iterdir())
            if (picture := _read(file)) is not None
        ]
    photos = [np.asarray(p) for p in photos]
    sprites = [sprite for photo in photos if (sprite := cut_out(photo)) is not None]
    with tempfile.TemporaryDirectory() as place:
        costs(Path(place), sprites, given.seconds, given.rounds)
        agreement(Path(place), sprites, given.seconds, given.films)
    cuts(photos, given.shots)


def _read(file: Path) -> Any:
    try:
        return read_picture(file)
    except Exception:  # noqa: BLE001  (another file)
        return None


def cut_out(photo: Pixels) -> Sprite | None:
    """The largest face of a photo with its hair and shoulders; None without a face."""
    faces = YuNet().detect(photo)
    if not faces or faces[0].box.width < 40:
        return None
    box = faces[0].box.square(1.9)
    rows = np.arange(box.y, box.y + box.height).clip(0, photo.shape[0] - 1)
    columns = np.arange(box.x, box.x + box.width).clip(0, photo.shape[1] - 1)
    side = 400
    pixels = cv2.resize(photo[np.ix_(rows, columns)], (side, side), interpolation=cv2.INTER_AREA)
    y, x = np.mgrid[:side, :side] / (side / 2) - 1
    seen = np.clip(6 * (1 - (x / 0.85) ** 2 - (y / 0.95) ** 2), 0, 1)[..., None]
    return Sprite(np.asarray(pixels, np.uint8), seen.astype(np.float32))


def backdrop(rng: np.random.Generator, size: tuple[int, int]) -> Pixels:
    """A picture without faces, larger than a frame of `size`."""
    width, height = size[0] * 5 // 4, size[1] * 5 // 4
    layers = [
        cv2.resize(rng.integers(40, 215, (n, 2 * n, 3), np.uint8), (width, height), interpolation=3)
        for n in (4, 12, 40)
    ]
    return np.mean(layers, 0).astype(np.uint8)


def moving(
    rng: np.random.Generator, sprites: Sequence[Sprite], size: tuple[int, int], frames: int
) -> Iterator[Pixels]:
    """Frames in which faces move, grow, turn, cross, come and go."""
    behind = backdrop(rng, size)
    width, height = size
    ways = [_way(rng, number) for number in range(len(sprites))]
    for number in range(frames):
        t = number / FPS
        x, y = (
            (np.array(behind.shape[1::-1]) - size) * (0.5 + 0.4 * np.sin([t / 3, t / 4]))
        ).astype(int)
        frame = behind[y : y + height, x : x + width].astype(np.float32)
        for sprite, way in zip(sprites, ways, strict=True):
            _lay(frame, sprite, *way(t, width, height))
        noisy = frame + rng.normal(0, 2, (height, width, 1))
        yield np.clip(noisy, 0, 255).astype(np.uint8)


def _way(rng: np.random.Generator, number: int) -> Callable[..., tuple[float, float, float, float]]:
    a, b, c, d = rng.uniform(0, 2 * np.pi, 4)
    speed = rng.uniform(0.5, 1.5)
    reach = 0.3 if number == 0 else 0.75  # others leave the picture

    def at(t: float, width: int, height: int) -> tuple[float, float, float, float]:
        x = width * (0.5 + reach * np.sin(a + speed * t))
        y = height * (0.5 + 0.15 * np.sin(b + 1.3 * speed * t))
        side = height * (0.55 + 0.25 * np.sin(c + 0.7 * speed * t))
        return x, y, side, 20 * np.sin(d + speed * t)

    return at


def _lay(
    frame: NDArray[np.float32], sprite: Sprite, x: float, y: float, side: float, deg: float
) -> None:
    turn = cv2.getRotationMatrix2D((200, 200), deg, side / 400)
    turn[:, 2] += (x - 200, y - 200)
    size = frame.shape[1::-1]
    seen = cv2.warpAffine(sprite.seen, turn, size)[..., None]
    frame *= 1 - seen
    frame += seen * cv2.warpAffine(sprite.pixels, turn, size, flags=cv2.INTER_AREA)


def film(path: Path, frames: Iterator[Pixels], size: tuple[int, int]) -> Path:
    """An H.264 film of them."""
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=FPS)
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        video.options = {"preset": "veryfast", "crf": "23"}
        for frame in frames:
            out.mux(video.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        out.mux(video.encode())
    return path


class Unread(Recognizer):
    """A recognizer without its classifier."""

    def _scores(self, images: NDArray[np.uint8]) -> list[Scores]:
        even = Scores(self.labels, (1 / len(self.labels),) * len(self.labels))
        return [even] * len(images)


def costs(place: Path, sprites: Sequence[Sprite], seconds: float, rounds: int) -> None:
    """Print what each frame costs."""
    rng = np.random.default_rng(0)
    readers: dict[str, Any] = {"decode": None}
    readers |= {
        "without the classifier": Unread(threads=1),
        "default bundle": Recognizer(threads=1),
    }
    readers |= {"mien-s": Recognizer("mien-s", threads=1)}
    readers |= {"default bundle, every frame": Recognizer(threads=1, every_frame=True)}
    mesh = _mesh()
    print(f"\nprocessor time a frame, in passes over {PASS_PX}x{PASS_PX} px ({rounds} rounds)\n")
    print("| film | what | passes | ms | times decoding |\n|---|---|---|---|---|")
    for size in SIZES:
        count = round(seconds * FPS)
        path = film(place / f"one{size[1]}.mp4", moving(rng, sprites[:1], size, count), size)
        works = {name: _reading(path, reader) for name, reader in readers.items()}
        works |= {"MediaPipe's face mesh": lambda path=path: mesh(path)} if mesh else {}
        spent: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
        for _ in range(rounds):
            for name, work in works.items():
                one = a_pass()
                spent[name].append((_processor_s(work) / count, one))
        decode = statistics.median(s for s, _ in spent["decode"])
        for name, pairs in spent.items():
            ms = 1000 * statistics.median(s for s, _ in pairs)
            ratio = statistics.median(s / one for s, one in pairs)
            figures = f"{ratio:.3f} | {ms:.2f} | {ms / 1000 / decode:.1f}"
            print(f"| {size[0]}x{size[1]} | {name} | {figures} |", flush=True)


def a_pass() -> float:
    """Seconds of processor time of one pass of YuNet."""
    detector = _detector()
    picture = np.zeros((PASS_PX, PASS_PX, 3), np.uint8)
    picture[64:576, 64:576] = read_picture(PORTRAIT)
    return statistics.median(
        _processor_s(lambda: detector._answers([picture], 0.6)) for _ in range(15)
    )


_detectors: list[YuNet] = []


def _detector() -> YuNet:
    if not _detectors:
        _detectors.append(YuNet())
    return _detectors[0]


def _processor_s(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _reading(path: Path, reader: Recognizer | None) -> Callable[[], None]:
    def decode() -> None:
        with av.open(str(path)) as container:
            container.streams.video[0].thread_type = "AUTO"
            for _ in container.decode(video=0):
                pass

    def read() -> None:
        assert reader is not None
        analyse(reader, path, Outputs((path.with_suffix(".csv"),)))

    return decode if reader is None else read


def _mesh() -> Callable[[Path], None] | None:
    try:
        import mediapipe
    except ImportError:
        return None

    def mesh(path: Path) -> None:
        with mediapipe.solutions.face_mesh.FaceMesh(max_num_faces=1) as network:
            for frame in Video(str(path)):
                network.process(frame.pixels)

    return mesh


def agreement(place: Path, sprites: Sequence[Sprite], seconds: float, films: int) -> None:
    """Print how following compares with searching every frame."""
    rng = np.random.default_rng(1)
    each, follow = Recognizer(threads=1, every_frame=True), Recognizer(threads=1)
    print("\nbeside searching every frame\n")
    columns = "film", "faces", "found", "box IoU >= 0.8", "another grain", "same label"
    print(f"| {' | '.join(columns)} | of ok ones | longest missed, s | more |")
    print("|---|---|---|---|---|---|---|---|---|")
    for size in SIZES:
        total, grained = np.zeros(7, int), np.zeros(2, int)
        longest = 0.0
        for number in range(films):
            cast = [sprites[i] for i in rng.permutation(len(sprites))[: 1 + number % 4]]
            if len(sprites) == 1:
                cast = sprites[:1] * (1 + number % 3)
            path = place / f"many{size[1]}.mp4"
            film(path, moving(rng, cast, size, round(seconds * FPS)), size)
            counts, missed_s = compared(each, follow, path)
            total += counts
            grained += with_grain(path)
            longest = max(longest, missed_s)
        faces, found, near, same, others, ok, same_ok = total
        print(
            f"| {size[0]}x{size[1]} | {faces:,} | {found / faces:.2%} | {near / found:.2%} | "
            f"{grained[0] / grained[1]:.2%} | "
            f"{same / found:.2%} | {same_ok / ok:.2%} | {longest:.2f} | {others / faces:.2%} |"
        )


def compared(each: Recognizer, follow: Recognizer, path: Path) -> tuple[list[int], float]:
    """Faces, found, box alike, label alike, found beside them, ok in both, of these label alike;
    the longest time that one was missed."""
    counts, longest = [0] * 7, 0.0
    missed: dict[int | None, float] = {}
    for one, other in zip(each.stream(path), follow.stream(path), strict=True):
        left = [r for r in other.readings if r.face]
        for face in (r for r in one.readings if r.face):
            best = max(left, key=lambda r: _overlap(r, face), default=None)
            counts[0] += 1
            if best is None or _overlap(best, face) < 0.3:
                missed.setdefault(face.face_id, one.time_s or 0.0)
                longest = max(longest, (one.time_s or 0.0) - missed[face.face_id] + 1 / FPS)
                continue
            missed.pop(face.face_id, None)
            left.remove(best)
            counts[1] += 1
            counts[2] += _overlap(best, face) >= 0.8
            counts[3] += best.label == face.label
            if best.status == face.status == "ok":
                counts[5] += 1
                counts[6] += best.label == face.label
        counts[4] += len(left)
    return counts, longest


def with_grain(path: Path) -> tuple[int, int]:
    """Faces of a film's frames that lie in the same box (IoU >= 0.8) where the frame has noise of
    two grey levels more; faces that are found in both."""
    detector, rng = YuNet(), np.random.default_rng(3)
    near, found = 0, 0
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            pixels = frame.to_ndarray(format="rgb24")
            grain = pixels + rng.normal(0, 2, (*pixels.shape[:2], 1))
            others = detector.detect(np.clip(grain, 0, 255).astype(np.uint8))
            for face in detector.detect(pixels):
                best = max((face.box.overlap(one.box) for one in others), default=0.0)
                near, found = near + (best >= 0.8), found + (best >= 0.3)
    return near, found


def _overlap(one: Reading, other: Reading) -> float:
    return _box(one).overlap(_box(other))


def _box(reading: Reading) -> Box:
    assert reading.face is not None
    return reading.face.box


def cuts(photos: Sequence[Pixels], count: int) -> None:
    """Print which cuts are found between shots, and which are told within them."""
    rng = np.random.default_rng(2)
    few = list(photos)
    while len(few) < 12:
        few.append(backdrop(rng, (640, 360)))
    found = told = frames = 0
    kinds = itertools.cycle(("still", "camera", "flash", "fade"))
    shots, time_s, last = Shots(), 0.0, -1
    for kind in itertools.islice(kinds, count):
        place = int(rng.choice([i for i in range(len(few)) if i != last]))
        for number, picture in enumerate(_shot(rng, few[place], kind)):
            new, _ = shots.compare(picture, time_s)
            time_s += 1 / FPS
            if number == 0:
                found += new
            else:
                told += new
                frames += 1
        last = place
    print(f"\ncuts found: {found} of {count - 1}; told in {frames:,} frames without: {told}")


def _shot(rng: np.random.Generator, photo: Pixels, kind: str) -> Iterator[Pixels]:
    """45 frames: a camera that is held, or moves fast; a flash; a fade out and in again."""
    width, height = SIZES[0]
    speed = {"still": 0.2, "camera": 2.0}.get(kind, 1.0)
    rows, columns = photo.shape[:2]
    x, y = rng.uniform(0.4, 0.6, 2)
    dx, dy = rng.normal(0, 0.003 * speed, 2)
    zoom, turn = np.exp(rng.normal(0, 0.006 * speed)), rng.normal(0, 0.4 * speed)
    scale = rng.uniform(1.1, 1.8) * max(width / columns, height / rows)
    for number in range(45):
        centre = ((x + dx * number) * columns, (y + dy * number) * rows)
        move = cv2.getRotationMatrix2D(centre, turn * number, scale * zoom**number)
        move[:, 2] += (width / 2 - centre[0], height / 2 - centre[1])
        frame = cv2.warpAffine(photo, move, (width, height), borderMode=cv2.BORDER_REFLECT)
        light = 1.0
        if kind == "flash" and number in (20, 21, 30):
            light = rng.uniform(1.5, 4)
        if kind == "fade":
            light = min(1.0, abs(number - 22) / 12)
        lit = frame * light + 20 * max(0, light - 1) + rng.normal(0, 3, (height, width, 1))
        yield np.clip(lit, 0, 255).astype(np.uint8)


if __name__ == "__main__":
    main()
