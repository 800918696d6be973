"""The facts that travel with weights, as `card.json` beside `model.onnx`."""

import dataclasses
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mien.errors import BundleError, ShapeError
from mien.files import write_json
from mien.preprocess import Preprocess
from mien.provenance import Provenance, from_format_1
from mien.values import as_json, from_json
from mien.views import VIEWS

FORMAT = 2
CALIBRATED = ("temperature", "views", "unsure_below", "measured")
"""The facts of a card that `mien calibrate` finds."""


@dataclass(frozen=True, slots=True)
class Measured:
    """An accuracy (0-1) with its 95 % interval, on `images` images of `split` of `data`."""

    data: str
    split: str
    images: int
    digest: str
    accuracy: float
    low: float
    high: float
    field_accuracy: float | None = None
    """The same on faces framed as a detector frames them; None if that was not measured."""
    field_low: float | None = None
    field_high: float | None = None


@dataclass(frozen=True, slots=True)
class State:
    """What a network for clips keeps of a face from frame to frame, and how it was trained.

    Its file takes `face` and, for each name, `state_NAME` (faces, *shape) float32, of zeros before
    the first frame; it gives `logits` and `next_NAME`.
    """

    shapes: dict[str, tuple[int, ...]]
    """Of one face, by name."""
    frames: int
    """Frames that it saw of a clip at the most."""
    rate: float
    """How many of them there were in a second, in the median: the state goes on that often."""

    def __post_init__(self) -> None:
        if not self.shapes or self.frames < 1 or self.rate <= 0:
            raise BundleError(
                f"expected state shapes, frames and a rate above 0, got {self.shapes}, "
                f"{self.frames} and {self.rate}"
            )

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the file's inputs after `face`."""
        return tuple(f"state_{name}" for name in self.shapes)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the file's outputs after `logits`."""
        return tuple(f"next_{name}" for name in self.shapes)


@dataclass(frozen=True, slots=True)
class Card:
    """What must be known to use a network, and what should be known before trusting it."""

    name: str
    model: str
    paper: str
    licence: str
    labels: tuple[str, ...]
    preprocess: Preprocess
    digest: str
    """SHA-256 of model.onnx."""
    parameters: int
    macs: int
    """Multiply-accumulates for one face."""
    provenance: Provenance | None = None
    """How the weights came about; None where that is not known."""
    temperature: float = 1.0
    """Log-probabilities are divided by it and normalised again (Guo et al. 2017)."""
    views: str = "plain"
    """Which views of a face are averaged: one of `mien.views.VIEWS`."""
    unsure_below: float = 0.0
    """A reading of less confidence is `unsure`: set so that four of five images stay above it."""
    measured: tuple[Measured, ...] = ()
    state: State | None = None
    """Of a network for clips; None: each picture is read for itself."""
    created_by: str = ""
    format: int = field(default=FORMAT)

    def __post_init__(self) -> None:
        for place, value in _numbers(dataclasses.asdict(self), "card"):
            if not math.isfinite(value):
                raise BundleError(f"expected finite numbers, got {value} in {place}")
        if self.format != FORMAT:
            raise BundleError(f"card format {self.format} is not {FORMAT}; update mien")
        if len(self.labels) < 2 or len(set(self.labels)) != len(self.labels):
            raise BundleError(f"expected at least two distinct labels, got {self.labels}")
        if self.views not in VIEWS:
            raise BundleError(f"expected views among {', '.join(VIEWS)}, got {self.views!r}")
        if self.temperature <= 0:
            raise BundleError(f"expected a temperature above 0, got {self.temperature}")
        if not 0 <= self.unsure_below <= 1:
            raise BundleError(f"expected unsure_below from 0 to 1, got {self.unsure_below}")

    def save(self, path: Path) -> None:
        """Write as JSON."""
        write_json(path, dataclasses.asdict(self))


def _numbers(value: Any, place: str) -> Iterator[tuple[str, float]]:
    """Every number of a JSON value, and where it stands."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _numbers(inner, f"{place}.{key}")
    elif isinstance(value, (list, tuple)):
        for number, inner in enumerate(value):
            yield from _numbers(inner, f"{place}[{number}]")
    elif isinstance(value, float):
        yield place, value


def load_card(path: Path) -> Card:
    """The card at `path`; BundleError names the file and what is wrong with it."""
    try:
        raw = json.loads(path.read_text())
        if "training" in raw and raw.get("format", 1) == 1:  # of mien 0.1
            raw |= {"provenance": as_json(from_format_1(raw.pop("training"))), "format": FORMAT}
        return from_json(Card, raw)  # type: ignore[no-any-return]
    except FileNotFoundError:
        raise BundleError(f"{path.parent} is no bundle: card.json is missing") from None
    except (ValueError, KeyError, TypeError, AttributeError, ShapeError) as error:
        raise BundleError(f"{path} is not a valid card: {error}; export it again") from error
    except BundleError as error:
        raise BundleError(f"{path}: {error}") from error
