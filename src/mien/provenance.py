"""How the weights of a bundle came about: trained, combined of others, or quantised."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from mien.values import from_json


@dataclass(frozen=True, slots=True)
class Images:
    """Images that a run used: how many of which split, and the SHA-256 of pixels and labels."""

    split: str
    images: int
    digest: str


@dataclass(frozen=True, slots=True)
class Source:
    """A network that another was made with: its name and the SHA-256 of its file."""

    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class Trained:
    """Weights of one run of `mien train`."""

    recipe: str
    seed: int
    epochs: int
    data: str
    train: Images
    validation: Images
    """The images that the epoch was chosen on."""
    start: str = "none"
    """The weights it started from; `none` for random ones."""
    votes: float = 0
    """Share of FER+'s votes in the targets, 0-1."""
    teachers: tuple[Source, ...] = ()
    distil: float = 0
    """Share of the teachers' answers in the targets, 0-1."""
    kind: Literal["trained"] = "trained"

    @property
    def chosen_on(self) -> frozenset[str]:
        """Digests of the images that epochs were chosen on."""
        return frozenset({self.validation.digest})


@dataclass(frozen=True, slots=True)
class Member:
    """One network of an ensemble."""

    name: str
    digest: str
    weight: float
    provenance: "Provenance | None"


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Several networks in one file, combined `by` mean, weighted mean or vote."""

    by: str
    members: tuple[Member, ...]
    kind: Literal["ensemble"] = "ensemble"

    @property
    def chosen_on(self) -> frozenset[str]:
        """Digests of the images that epochs were chosen on."""
        return frozenset().union(*(m.provenance.chosen_on for m in self.members if m.provenance))


@dataclass(frozen=True, slots=True)
class Quantised:
    """The network whose file has the SHA-256 `source`, in 8 bits."""

    source: str
    provenance: "Provenance | None"
    kind: Literal["quantised"] = "quantised"

    @property
    def chosen_on(self) -> frozenset[str]:
        """Digests of the images that epochs were chosen on."""
        return self.provenance.chosen_on if self.provenance else frozenset()


Provenance: TypeAlias = Trained | Ensemble | Quantised


def from_format_1(raw: dict[str, Any]) -> Provenance | None:
    """What a card of mien 0.1 tells under `training`; None if that is too little."""
    raw = {key: value for key, value in raw.items() if key != "fold"}
    if (source := raw.pop("quantized_from", None)) is not None:
        return Quantised(source, from_format_1(raw))
    if "members" in raw:
        members = [{"provenance": from_format_1(m.pop("training")), **m} for m in raw["members"]]
        return Ensemble(raw["by"], tuple(Member(**member) for member in members))
    needed = {f.name for f in dataclasses.fields(Trained) if f.default is dataclasses.MISSING}
    return from_json(Trained, raw) if needed <= raw.keys() else None
