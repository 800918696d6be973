"""mien beside other packages that read faces: speed on a film, accuracy on the same crops.

    python scripts/peers.py --install FOLDER      # an environment for each, once; some 4 GB
    python scripts/peers.py FOLDER [--film FILE] [--seconds 5] [--rounds 3]
    python scripts/peers.py FOLDER --seconds 0 --data fer2013.zip [--images 3589]

FOLDER lies outside the repository. Each package runs in a process and an environment of its own;
one that is not there is named and passed over. In a round each reads the film once, so that a slow
minute of the machine is everyone's; mien stands in every round. Processor time is that of the whole
process without its start. Without --film the portrait in the package moves, grows and turns, at
1280x720 (`scripts/following.py`). mien and MediaPipe's mesh follow faces, the others search each
frame. Packages from npm get frames that are decoded, and fewer of them.

Crops are PublicTest's as they are, and in one framing of a detector each (`mien.framing`). Each
network gets them without its detector. The others' answers are kept in FOLDER, so a stopped run
goes on.
"""

import argparse
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from following import FPS, cut_out, film, moving
from numpy.typing import NDArray
from packaging.requirements import Requirement
from scipy.stats import binomtest

import mien
from mien.demo import PORTRAIT
from mien.framing import once, reframe
from mien.sources import read_picture
from mien.sources.video import Video

HERE = Path(__file__).parent
SIZE = (1280, 720)
NODE_FRAMES = 40
AGAINST = "mien-m-int8"
Crops = NDArray[np.uint8]


@dataclass(frozen=True)
class Environment:
    """What is installed; `bare` packages without what they ask for."""

    packages: tuple[str, ...]
    bare: tuple[str, ...] = ()
    node: bool = False


@dataclass(frozen=True)
class Peer:
    """A package, its environment ("" is mien's own) and whether it tells expressions."""

    name: str
    environment: str
    reads_crops: bool = True


ENVIRONMENTS = {
    # 1.0 has no solutions with their networks in the wheel.
    "mediapipe": Environment(("mediapipe==0.10.21",)),
    # Not installed: facenet-pytorch and its PyTorch, for another detector, and moviepy. OpenCV 5
    # has no cascades, which fer looks for.
    "tensorflow": Environment(
        (
            *("tensorflow-cpu==2.20.0", "opencv-contrib-python-headless<5", "setuptools<81"),
            *("pandas", "pillow", "requests", "scikit-image", "tqdm"),
        ),
        ("fer==25.10.3", "facex==1.1.0"),
    ),
    "node": Environment(
        (
            *("@vladmandic/human@3.3.6", "@vladmandic/face-api@1.7.15"),
            *("@tensorflow/tfjs@4.22.0", "@tensorflow/tfjs-backend-wasm@4.22.0"),
        ),
        node=True,
    ),
}
PEERS = (
    Peer("mien-m-int8", ""),
    Peer("mien-s", ""),
    Peer("mediapipe-mesh", "mediapipe", reads_crops=False),
    Peer("mediapipe-detection", "mediapipe", reads_crops=False),
    Peer("fer", "tensorflow"),
    Peer("facex", "tensorflow"),
    Peer("human", "node"),
    Peer("face-api", "node"),
)
DOWNLOADERS = {
    "deepface 0.0.103": "facial_expression_model_weights.onnx, from GitHub or Hugging Face",
    "EmotiEffLib 1.1.1": "its network, from GitHub, without a checksum",
    "py-feat 2.1.5": "all its networks, from Hugging Face",
    "rmn 3.3.0": "its network, from GitHub, when it is imported",
}
"""No package carries their weights, so they are not run: what each fetches first."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="where the environments are")
    parser.add_argument("--install", type=Path, metavar="FOLDER", help="make them there and end")
    parser.add_argument("--film", type=Path, help="with a face, in place of one that is made")
    parser.add_argument("--seconds", type=float, default=5, help="of the film; 0: no film")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data", type=Path, help="FER-2013, for the accuracy")
    parser.add_argument("--images", type=int, default=3589, help="of PublicTest, evenly chosen")
    given = parser.parse_args()
    if given.install is not None:
        for name, environment in ENVIRONMENTS.items():
            install(given.install.resolve() / name, environment)
        return
    folder = given.folder.resolve()
    peers = [peer for peer in PEERS if is_there(peer, folder)]
    for name, what in DOWNLOADERS.items():
        print(f"not run: {name} would fetch {what}")
    if given.seconds:
        path = pictures(folder, given.film, round(given.seconds * FPS))
        speed(peers, folder, path, given.rounds)
    if given.data is not None:
        accuracy([p for p in peers if p.reads_crops], folder, given.data, given.images)


def install(place: Path, environment: Environment) -> None:
    """Make an environment; what cannot be installed is told, and the next is made."""
    commands: list[list[str]] = []
    if environment.node:
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(place)]
        commands = [["npm", "install", *options, *environment.packages]]
    else:
        pip = [str(place / "bin" / "pip"), "install", "-q"]
        commands = [[sys.executable, "-m", "venv", str(place)], [*pip, *environment.packages]]
        commands += [[*pip, "--no-deps", *environment.bare]] if environment.bare else []
    place.mkdir(parents=True, exist_ok=True)
    try:
        for command in commands:
            subprocess.run(command, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"{place.name} cannot be installed: {error}", file=sys.stderr)
        shutil.rmtree(place)


def is_there(peer: Peer, folder: Path) -> bool:
    if not peer.environment or (folder / peer.environment).is_dir():
        return True
    print(f"not run: {peer.name}, as {folder / peer.environment} is not there; see --install")
    return False


def run(peer: Peer, folder: Path, task: str, given: Path, output: Path) -> dict[str, Any] | None:
    """What the package's process tells; None where it fails."""
    place = folder / peer.environment
    if peer.environment and ENVIRONMENTS[peer.environment].node:
        raw = given.with_suffix(".raw")
        command = ["node", "peers_node.cjs", peer.name, task, str(place), str(raw), str(output)]
    else:
        python = str(place / "bin" / "python") if peer.environment else sys.executable
        command = [python, "peers_python.py", peer.name, task, str(given), str(output)]
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"), "1")
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONPATH" or not peer.environment}
    done = subprocess.run(
        command, cwd=HERE, env=kept | one_thread, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        print(f"{peer.name} failed and said: {said[:200]}", file=sys.stderr)
        return None
    told: dict[str, Any] = json.loads(output.read_text())
    return told


def pictures(folder: Path, given: Path | None, number: int) -> Path:
    """A film of so many frames, and beside it the first of them for node."""
    if given is None:
        sprite = cut_out(np.asarray(read_picture(PORTRAIT)))
        assert sprite is not None
        frames = list(moving(np.random.default_rng(0), [sprite], SIZE, number))
    else:
        video = itertools.islice(Video(str(given)), number)
        frames = [np.asarray(one.pixels) for one in video if one.pixels is not None]
    height, width = frames[0].shape[:2]
    save_raw(folder / "film.raw", np.stack(frames[:NODE_FRAMES]))
    print(f"\n{len(frames)} frames of {width}x{height}")
    return film(folder / "film.mp4", iter(frames), (width, height))


def speed(peers: Sequence[Peer], folder: Path, path: Path, rounds: int) -> None:
    """A row for each: medians over the rounds, and the range of its ratio to mien."""
    told: dict[str, list[tuple[float, float, float]]] = {}
    for _ in range(rounds):
        for peer in peers:
            found = run(peer, folder, "film", path, folder / "told.json")
            if found is not None:
                number = len(found["answers"])
                ms = (1000 * found["processor_s"] / number, number / found["wall_s"])
                seen = sum(count > 0 for count in found["answers"]) / number
                told.setdefault(peer.name, []).append((*ms, seen))
    print(f"{rounds} rounds\n")
    print("| | processor time a frame, ms | / mien [range] | frames/s | with a face, % |")
    print("|---|---|---|---|---|")
    for name, rows in told.items():
        ratios = [one[0] / other[0] for one, other in zip(rows, told[AGAINST], strict=False)]
        ms, rate, seen = (statistics.median(column) for column in zip(*rows, strict=True))
        ratio = f"{statistics.median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]"
        print(f"| {name} | {ms:.1f} | {ratio} | {rate:.0f} | {100 * seen:.0f} |")


def accuracy(peers: Sequence[Peer], folder: Path, data: Path, images: int) -> None:
    """A row for each: the same crops as they are, and framed by stored seeds."""
    crops, truth = public_test(data, images)
    for kind, values in (("plain", crops), ("framed", reframe(crops, once(len(crops))))):
        np.save(folder / f"{kind}-{images}.npy", values)
        save_raw(folder / f"{kind}-{images}.raw", values)
    print(f"\nPublicTest, n = {len(truth)}\n")
    print("| | as they are, % [95 %] | framed by a detector, % [95 %] | ms a crop | MB installed |")
    print("|---|---|---|---|---|", flush=True)
    for peer in peers:
        cells, ms = [], 0.0
        for kind in ("plain", "framed"):
            output = folder / f"{peer.name}-{kind}-{images}.json"
            given = folder / f"{kind}-{images}.npy"
            kept = json.loads(output.read_text()) if peer.environment and output.is_file() else None
            found = kept or run(peer, folder, "crops", given, output)
            if found is None:
                break
            right = sum(a == b for a, b in zip(found["answers"], truth, strict=True))
            low, high = binomtest(right, len(truth)).proportion_ci(method="wilson")
            cells.append(f"{100 * right / len(truth):.1f} [{100 * low:.1f}, {100 * high:.1f}]")
            ms = 1000 * found["processor_s"] / len(truth)
        else:
            size = megabytes(folder / peer.environment) if peer.environment else own_megabytes()
            print(f"| {peer.name} | {' | '.join(cells)} | {ms:.1f} | {size} |", flush=True)


def public_test(data: Path, images: int) -> tuple[Crops, list[str]]:
    """(N, 48, 48) uint8, and the expression of each."""
    with zipfile.ZipFile(data) as archive:
        names = sorted(n for n in archive.namelist() if "PublicTest" in n and n.endswith(".png"))
        names = [
            names[i] for i in np.linspace(0, len(names) - 1, min(images, len(names)), dtype=int)
        ]
        files = [np.frombuffer(archive.read(name), np.uint8) for name in names]
    crops = [cv2.imdecode(file, cv2.IMREAD_GRAYSCALE) for file in files]
    return np.stack(crops).astype(np.uint8), [Path(name).parent.name for name in names]


def save_raw(path: Path, values: NDArray[np.uint8]) -> None:
    """For node: three sizes, then the pixels."""
    path.write_bytes(np.array(values.shape[:3], "<u4").tobytes() + values.tobytes())


def megabytes(place: Path) -> int:
    return sum(f.stat().st_size for f in place.rglob("*") if f.is_file()) // 1_000_000


def own_megabytes() -> int:
    """mien and what it asks for, without extras; mien's own files where it is run from a clone."""
    found: dict[str, int] = {}
    wanted = ["mien"]
    while wanted:
        name = wanted.pop()
        if name in found:
            continue
        package = distribution(name)
        paths = [Path(str(file.locate())) for file in package.files or ()]
        found[name] = sum(path.stat().st_size for path in paths if path.is_file())
        asked = map(Requirement, package.requires or ())
        wanted += [r.name for r in asked if r.marker is None or r.marker.evaluate({"extra": ""})]
    own = sum(f.stat().st_size for f in Path(mien.__file__).parent.rglob("*") if f.is_file())
    return (sum(found.values()) + own) // 1_000_000


if __name__ == "__main__":
    main()
