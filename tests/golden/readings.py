"""Golden readings: what each shipped bundle says of `pictures`, kept in `saved/`, and what of it
has changed.

A bundle has its readings as JSON, a line each, and a table as `mien recognize --csv` writes it.
`scripts/golden` makes them anew, `tests/test_golden.py` compares with the same code.
"""

import contextlib
import csv
import functools
import hashlib
import importlib.metadata
import json
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.bundle import DEFAULT, bundle_names, open_bundle
from mien.card import Card
from mien.faces import Detector
from mien.faces.yunet import YuNet
from mien.files import write_json, write_text
from mien.output.tables import open_table
from mien.recognizer import Recognizer
from mien.sources import read_picture
from mien.types import TEXTS, Face, Readings
from tests.golden.pictures import FILMS, PICTURES, make_films, make_pictures

ROOT = Path(__file__).parents[2]
SAVED = Path(__file__).parent / "saved"
MADE_WITH = "made-with.json"
_DIGITS = 5

BUNDLES: dict[str, str | Path] = {
    **{name: name for name in bundle_names()},
    **{path.parent.name: path.parent for path in sorted(ROOT.glob("bundles/*/card.json"))},
}
"""Name → what opens it: those in the package, and those that lie beside it."""

SETS = tuple(BUNDLES)
"""Names of the sets of golden readings."""


@dataclass(frozen=True)
class Tolerance:
    """By how much numbers may differ, of the same code on another machine."""

    probability: float
    box_px: float = 0
    landmark_px: float = 0
    score: float = 0
    moved: float = 0.25
    """Instead of `probability`, for a face whose box is not the same pixel for pixel."""


IN_32_BITS, IN_8_BITS = 1e-3, 0.02
"""In 32 bits the order of sums differs between processors: with SSE alone instead of AVX2 by 2e-7,
and so between ONNX Runtime 1.20 and 1.32. In 8 bits sums are whole numbers, the same with VNNI and
without, as weights have 7 bits (`mien.quantize`), and nothing differed; but a value in the middle
of two steps may go to either, and a step of one pixel in a hundred is worth up to 0.05."""


def tolerance_of(bundle: str) -> Tolerance:
    """That of a bundle's readings: boxes are rounded from floats, and crops are turned by them."""
    probability = IN_8_BITS if bundle.endswith("-int8") else IN_32_BITS
    return Tolerance(10 * IN_32_BITS + probability, 1, 0.2, 0.005)


class Remembered:
    """A detector that looks at each picture once, however many bundles read it."""

    def __init__(self, detector: Detector) -> None:
        self.name, self.margin, self._detector = detector.name, detector.margin, detector
        self._found: dict[bytes, list[Face]] = {}

    def detect(self, picture: NDArray[np.uint8]) -> list[Face]:
        """What the detector finds."""
        key = digest(picture)
        if key not in self._found:
            self._found[key] = self._detector.detect(picture)
        return self._found[key]


def digest(picture: NDArray[np.uint8]) -> bytes:
    """Of pixels and shape."""
    return hashlib.sha256(np.ascontiguousarray(picture)).digest() + bytes(
        str(picture.shape), "ascii"
    )


class Golden:
    """The readings of all pictures and films, of the code as it is now."""

    def __init__(self, folder: Path) -> None:
        """Make the pictures in `folder`."""
        self.folder = folder
        make_pictures(folder)
        make_films(folder)
        self._yunet = Remembered(YuNet())
        self._given = {
            digest(read_picture(folder / name)): picture.faces
            for name, picture in PICTURES.items()
            if picture.faces
        }

    def read(self, bundle: str) -> Readings:
        """Those of a bundle; paths are relative to the folder."""
        whole = [n for n, p in PICTURES.items() if p.whole]
        given = [n for n, p in PICTURES.items() if p.faces]
        found = [n for n, p in PICTURES.items() if not p.whole and not p.faces]
        return Readings(
            self._recognize(bundle, self._yunet, found, [*FILMS])
            + self._recognize(bundle, lambda p: self._given[digest(p)] or (), given)
            + self._recognize(bundle, "none", whole)
        )

    def _recognize(
        self, bundle: str, detector: Any, pictures: list[str], films: list[str] | None = None
    ) -> Readings:
        recognizer = Recognizer(BUNDLES[bundle], detector=detector, threads=1)
        with contextlib.chdir(self.folder):
            readings = recognizer.recognize(pictures)
            for film in films or ():
                readings += recognizer.recognize(film)
        return readings

    def texts(self, name: str) -> dict[str, str]:
        """File name → text: the table of a set, and JSON lines of the default's, as faces and form
        are the same in all."""
        readings = self.read(name)
        with tempfile.TemporaryDirectory() as scratch:
            table = open_table(Path(scratch) / "t.csv", open_card(name).labels)
            table.write(readings)
            table.close()
            table_of = {f"{name}.csv": (Path(scratch) / "t.csv").read_text("utf-8")}
        if name != DEFAULT:
            return table_of
        told = json.loads(readings.to_json(), parse_float=lambda t: round(float(t), _DIGITS))
        lines = "".join(f"{json.dumps(reading)}\n" for reading in told)
        return table_of | {f"{name}.jsonl": lines}


@functools.cache
def open_card(name: str) -> Card:
    """The card of a set's bundle."""
    return open_bundle(BUNDLES[name]).card


@dataclass(frozen=True)
class Change:
    """What is not as it was saved."""

    picture: str
    bundle: str
    field: str
    before: Any
    after: Any

    def __str__(self) -> str:
        before, after = ("-" if v is None else v for v in (self.before, self.after))
        return f"{self.picture:28} {self.bundle:20} {self.field:22} {before} -> {after}"


def changes(name: str, now: Mapping[str, str], saved: Path = SAVED) -> list[Change]:
    """What differs between the saved files of a set and their texts now, by more than tolerated."""
    found = []
    for file, text in now.items():
        path = saved / file
        if not path.exists():
            found.append(Change("all", name, file, None, "new"))
            continue
        before, after = (_by_picture(t, file) for t in (path.read_text("utf-8"), text))
        for picture in dict.fromkeys([*before, *after]):
            found += _of_picture(name, picture, before[picture], after[picture])
        if file.endswith(".csv") and _head(path.read_text("utf-8")) != _head(text):
            found.append(Change("all", name, file, _head(path.read_text("utf-8")), _head(text)))
    once = {(change.picture, change.field): change for change in reversed(found)}
    return list(reversed(once.values()))  # JSON and table tell the same


def _head(text: str) -> str:
    return text.partition("\n")[0]


Fields = dict[str, Any]


def _by_picture(text: str, file: str) -> defaultdict[str, list[Fields]]:
    """Picture, or frame of a film, → the fields of its readings."""
    rows = _table(text) if file.endswith(".csv") else [dict(_flat(r)) for r in _json_lines(text)]
    found: defaultdict[str, list[Fields]] = defaultdict(list)
    for row in rows:
        frame = f" @{row['frame']:.0f}" if "frame" in row else ""
        found[f"{row['path']}{frame}"].append(row)
    return found


def _json_lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def _flat(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """{"box": {"x": 3}} is box.x: 3."""
    if not isinstance(value, (dict, list)):
        yield place, value
        return
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield from _flat(inner, f"{place}.{key}" if place else str(key))


def _table(text: str) -> list[Fields]:
    """The same fields, of a table."""
    rows = []
    for row in csv.DictReader(text.splitlines()):
        named = {}
        for column, cell in row.items():
            place = "box." if column in ("x", "y", "width", "height") else ""
            if column in list(row)[list(row).index("status") + 1 : -1]:
                place = "expressions."
            if column.startswith("smoothed_"):
                place, column = "smoothed.", column.removeprefix("smoothed_")
            if cell != "":
                named[place + column] = cell if column in TEXTS else float(cell)
        rows.append(named)
    return rows


def _of_picture(
    name: str, picture: str, before: list[Fields], after: list[Fields]
) -> Iterator[Change]:
    if len(before) != len(after):
        yield Change(picture, name, "readings", len(before), len(after))
        return
    for number, (old, new) in enumerate(zip(before, after, strict=True)):
        place = picture if len(before) == 1 else f"{picture} #{number}"
        for field in dict.fromkeys([*old, *new]):
            if not _same(name, field, old, new):
                yield Change(place, name, field, old.get(field), new.get(field))


def _same(name: str, field: str, old: Fields, new: Fields) -> bool:
    before, after = old.get(field), new.get(field)
    if before is None or after is None:
        return before is after
    most = _most(name, field, old, new)
    if field == "label":
        first, second = sorted((v for k, v in old.items() if k.startswith("expressions.")))[:-3:-1]
        return before == after or first - second <= 2 * most
    if field == "status":
        near = abs(old.get("confidence", 9) - open_card(name).unsure_below) <= most
        return before == after or (near and {before, after} <= {"ok", "unsure"})
    if isinstance(before, str) or isinstance(after, str):
        return before == after
    return abs(before - after) <= most + 0.6 * 10**-_DIGITS


def _most(name: str, field: str, old: Fields, new: Fields) -> float:
    """By how much a field may differ."""
    allowed = tolerance_of(name)
    kind = field.partition(".")[0]
    if kind in ("confidence", "expressions", "smoothed", "label", "status"):
        box = [f"box.{side}" for side in ("x", "y", "width", "height")]
        still = all(old.get(side) == new.get(side) for side in box)
        return allowed.probability if still else allowed.moved
    return {
        "box": allowed.box_px,
        "landmarks": allowed.landmark_px,
        "score": allowed.score,
    }.get(kind, 0)


def made_with() -> dict[str, str]:
    """Versions of what pictures and networks are read with."""
    packages = ("av", "numpy", "onnxruntime", "opencv-python-headless", "pillow")
    return {package: importlib.metadata.version(package) for package in packages}


def save(name: str, now: Mapping[str, str], saved: Path = SAVED) -> None:
    """Keep a set as it is now."""
    for file, text in now.items():
        write_text(saved / file, text)
    write_json(saved / MADE_WITH, made_with())
