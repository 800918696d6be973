"""What is compared: runs and saved evaluations, read from their folders."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.bundle import is_shipped
from mien.errors import InputError, NotComparable
from mien.evaluate import Evaluation, Metrics, load, place_of
from mien.evaluate.robustness import Robustness, robustness_of
from mien.runs import History, RunFolder
from mien.views import passes


@dataclass(frozen=True)
class Entry:
    """One run or bundle under comparison, by its views where they are not plain."""

    name: str
    evaluation: Evaluation
    metrics: Metrics
    run: RunFolder | None = None
    """None for a bundle."""
    history: History | None = None
    robustness: Robustness | None = None
    """On corrupted faces, if that was scored."""

    @property
    def validation(self) -> str | None:
        """Split that the epoch was chosen on; None where that is not known."""
        return self.run.data.validation.split if self.run and self.run.has_data else None

    @property
    def macs(self) -> int:
        """Multiply-accumulates of a face, all its views together."""
        return self.evaluation.macs * passes(self.evaluation.views)

    @property
    def right(self) -> NDArray[np.bool_]:
        """(N,) which images it got right."""
        return np.asarray(self.evaluation.probabilities.argmax(1) == self.evaluation.truth)

    @property
    def recipe(self) -> tuple[str, str]:
        """Settings (of a bundle, its name) and views: equal for runs that differ in their seed."""
        settings = self.run.settings if self.run else self.evaluation.name
        return settings, self.evaluation.views


@dataclass(frozen=True)
class Pool:
    """Entries of one recipe that differ in their seed; one alone where there is no other."""

    name: str
    entries: tuple[Entry, ...]

    @property
    def seeds(self) -> int:
        """How many there are."""
        return len(self.entries)

    @property
    def accuracy(self) -> float:
        """Their mean accuracy."""
        return float(np.mean([entry.metrics.accuracy.value for entry in self.entries]))


def open_entries(paths: list[Path], split: str) -> list[Entry]:
    """Runs or evaluations ready to compare, best first.

    Raises NotComparable unless all were scored on the same images with the same labels.
    """
    entries = [open_entry(path, split) for path in paths]
    _refuse_unlike(entries)
    return sorted(entries, key=lambda entry: -entry.metrics.accuracy.value)


def open_entry(path: Path, split: str) -> Entry:
    """A run folder, a folder that holds an evaluation, or a shipped bundle, ready to compare."""
    folder = evaluation_folder(path, split)
    evaluation = load(folder)
    place = RunFolder(folder.resolve().parents[1])
    run = place if place.is_run else None
    return Entry(
        name=_named(run.name if run else evaluation.name, evaluation.views),
        evaluation=evaluation,
        metrics=evaluation.metrics(),
        run=run,
        history=run.history if run else None,
        robustness=robustness_of(evaluation, folder),
    )


def evaluation_folder(path: Path, split: str) -> Path:
    """The folder of the evaluation that is meant by `path`; InputError if there is nothing.

    A run's, `path` itself, or where `mien evaluate` left that of a bundle in the package.
    """
    if not path.is_dir() and is_shipped(str(path)):
        name, path = path, place_of(str(path))
        if not path.is_dir():
            raise InputError(
                f"the shipped bundle {name} has no evaluation here; make one with: "
                f"mien evaluate {name} --data DATA --split {split}"
            )
    if not path.is_dir():
        raise InputError(f"{path} is no run folder; make one with mien train")
    return path if (path / "metrics.json").is_file() else RunFolder(path).evaluation(split)


def histories(entries: Sequence[Entry]) -> dict[str, History]:
    """The history of each run, once however often it was scored."""
    return {entry.run.name: entry.history for entry in entries if entry.run and entry.history}


def pools(entries: Sequence[Entry]) -> list[Pool]:
    """The entries with those of one recipe together, best first.

    One network scored twice is not two seeds: then, and where there is one alone, each stands for
    itself.
    """
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.recipe, []).append(entry)
    found: list[Pool] = []
    for (_, views), group in groups.items():
        if len({entry.evaluation.network for entry in group}) > 1:
            title = _named(_common([entry.evaluation.name for entry in group]), views)
            taken = title in {pool.name for pool in found}
            names = ", ".join(entry.name for entry in group)
            found.append(Pool(f"{title} ({names})" if taken else title, tuple(group)))
        else:
            found += [Pool(entry.name, (entry,)) for entry in group]
    return sorted(found, key=lambda pool: -pool.accuracy)


def _common(names: list[str]) -> str:
    """What names of runs of one recipe begin with: `net` of `net-0` and `net-1`."""
    return os.path.commonprefix(names).rstrip("-_. ") or min(names)  # noqa: RUF071  (no paths)


def _named(name: str, views: str) -> str:
    return name if views == "plain" else f"{name}-{views}"


def _refuse_unlike(entries: list[Entry]) -> None:
    names = [entry.name for entry in entries]
    if len(set(names)) < len(names):
        raise NotComparable(f"two runs have the same name: {', '.join(names)}; rename a folder")
    first = entries[0].evaluation
    for other in entries[1:]:
        if other.evaluation.labels != first.labels:
            raise NotComparable(f"{names[0]} and {other.name} have different labels")
        one = other.evaluation
        if not first.is_of(one.digest, one.shape, one.names, one.truth):
            raise NotComparable(
                f"{names[0]} and {other.name} were scored on different images "
                f"({len(first.truth)} of {first.data} {first.split}, {len(other.evaluation.truth)} "
                f"of {other.evaluation.data} {other.evaluation.split}); evaluate both on one split"
            )
