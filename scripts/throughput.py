"""mien beside a plain loop of detector and classifier: folders, films, single faces.

    python scripts/throughput.py [--pictures 200] [--frames 300] [--rounds 3] [--bundles ...]

The plain loop reads a picture, detects, crops and classifies, one after the other, with the same
parts. Both sides take turns; printed are the medians and the ratio within each turn. The readings
of both must be the same.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np

from mien.bundle import Classifier, bundle_names, open_bundle
from mien.demo import PORTRAIT
from mien.faces import crop
from mien.recognizer import Recognizer
from mien.sources import read_picture

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.clips import film

Rows = list[tuple[str | None, float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bundles", nargs="*", default=[], help="beside the package's, for a face")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = photos(Path(place) / "photos", given.pictures)
        clip = film(Path(place) / "clip.mp4", [i / 30 for i in range(given.frames)], (1280, 720))
        recognizer = Recognizer(every_frame=True)
        against("640x480 photos", loop_over_photos, folder, recognizer, given)
        against("720p frames", loop_over_film, clip, recognizer, given)
    one_face(["mien-s", *(n for n in bundle_names() if n != "mien-s"), *given.bundles])


def photos(folder: Path, count: int) -> Path:
    """One-face pictures of 640x480, each framed a little differently."""
    folder.mkdir()
    portrait = read_picture(PORTRAIT)
    for number in range(count):
        shift = number % 40
        part = portrait[: 360 + shift, shift : 480 + shift * 4 // 5]
        picture = cv2.resize(part, (640, 480), interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(folder / f"{number:05d}.jpg"), picture[:, :, ::-1])
    return folder


def loop_over_photos(folder: Path, recognizer: Recognizer) -> Rows:
    rows: Rows = []
    for path in sorted(folder.iterdir()):
        rows += plain(read_picture(path), recognizer)
    return rows


def loop_over_film(path: Path, recognizer: Recognizer) -> Rows:
    rows: Rows = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            rows += plain(frame.to_ndarray(format="rgb24"), recognizer)
    return rows


def plain(picture: np.ndarray, recognizer: Recognizer) -> Rows:
    faces = recognizer.detector.detect(picture)
    crops = [crop(picture, face, recognizer.detector) for face in faces]
    scores = [recognizer.classify([one])[0] for one in crops]
    return [(score.label, score.confidence) for score in scores]


def against(
    what: str,
    loop: Callable[[Path, Recognizer], Rows],
    source: Path,
    recognizer: Recognizer,
    given: argparse.Namespace,
) -> None:
    loops, ours = [], []
    for _ in range(given.rounds):
        started = time.perf_counter()
        expected = loop(source, recognizer)
        between = time.perf_counter()
        found = [r for seen in recognizer.stream(source) for r in seen.readings if r.face]
        loops.append(len(expected) / (between - started))
        ours.append(len(found) / (time.perf_counter() - between))
        assert [r.label for r in found] == [label for label, _ in expected]
        assert np.allclose([r.confidence for r in found], [c for _, c in expected], atol=1e-6)
    ratios = sorted(a / b for a, b in zip(ours, loops, strict=True))
    print(
        f"{what}: plain loop {statistics.median(loops):.1f}/s, mien {statistics.median(ours):.1f}/s"
        f", ratio {statistics.median(ratios):.2f} [{ratios[0]:.2f}, {ratios[-1]:.2f}], "
        f"{len(found)} readings, the same on both sides"
    )


def one_face(names: list[str]) -> None:
    """Milliseconds of each bundle, in turns, and the ratio of the least to that of the first."""
    networks = [Classifier(open_bundle(name), threads=1, device="cpu") for name in names]
    face = np.random.default_rng(0).integers(0, 256, (1, 48, 48)).astype(np.uint8)
    inputs = [network.card.preprocess(face) for network in networks]
    times = np.zeros((300, len(networks)))
    for turn in times:
        for number, network in enumerate(networks):
            started = time.perf_counter()
            network.logits(inputs[number])
            turn[number] = 1000 * (time.perf_counter() - started)
    least = times.min(0)
    for name, taken, best in zip(names, times[20:].T, least, strict=True):
        low, middle, high = np.quantile(taken, [0.25, 0.5, 0.75])
        print(
            f"{name}: {middle:.2f} ms a face, one thread [quartiles {low:.2f}, {high:.2f}], "
            f"least {best:.2f}, {best / least[0]:.2f} times {names[0]}"
        )


if __name__ == "__main__":
    main()
