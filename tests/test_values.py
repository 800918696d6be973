import math
from dataclasses import dataclass
from typing import Literal

import pytest

from mien.values import as_json, from_json


@dataclass(frozen=True)
class Square:
    side: float
    kind: Literal["square"] = "square"


@dataclass(frozen=True)
class Disk:
    radius: float
    kind: Literal["disk"] = "disk"


@dataclass(frozen=True)
class Box:
    names: tuple[str, ...]
    shapes: dict[str, tuple[Square | Disk, ...]]
    best: "Square | Disk | None" = None


BOX = Box(("a", "b"), {"all": (Square(1.5), Disk(2.0))}, Disk(3.0))


def test_what_was_written_is_read_back():
    raw = as_json(BOX)
    assert raw == {
        "names": ["a", "b"],
        "shapes": {"all": [{"side": 1.5, "kind": "square"}, {"radius": 2.0, "kind": "disk"}]},
        "best": {"radius": 3.0, "kind": "disk"},
    }
    assert from_json(Box, raw) == BOX
    assert from_json(Box, raw | {"best": None}).best is None
    assert from_json(Box, {"names": [], "shapes": {}}) == Box((), {})


def test_what_is_no_number_is_null():
    assert as_json(Square(math.nan)) == {"side": None, "kind": "square"}
    assert math.isnan(from_json(Square, {"side": None}).side)


@pytest.mark.parametrize(
    "raw",
    [
        {"names": ["a"]},
        {"names": ["a"], "shapes": {}, "colour": 1},
        {"names": ["a"], "shapes": {"all": [{"side": 1, "kind": "line"}]}},
        {"names": ["a"], "shapes": {"all": [{"side": 1}]}},
        {"names": 3, "shapes": {}},
    ],
    ids=["too little", "too much", "another kind", "no kind", "no list"],
)
def test_what_does_not_fit_is_an_error(raw: dict):
    with pytest.raises((KeyError, TypeError, ValueError)):
        from_json(Box, raw)
