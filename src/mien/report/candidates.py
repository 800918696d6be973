"""What is compared: runs and saved evaluations, read from their folders."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.bundle import is_shipped
from mien.errors import InputError, NotComparable
from mien.evaluate import Evaluation, Metrics, load, place_of
from mien.evaluate.robustness import Robustness, robustness_of
from mien.labels import FER2013
from mien.runs import History, RunFolder
from mien.views import passes

PUBLISHED_ACCURACY = {"resnet50": 0.2481, "attention": 0.2641, "mobilenetv2": 0.5054}
"""Test accuracy in the technical report (Table 1), on the merged test of 7,178 images."""
_FER2013_TESTS = (3589, 7178)


@dataclass(frozen=True)
class Candidate:
    """One run or bundle under comparison, by its views where they are not plain."""

    name: str
    evaluation: Evaluation
    metrics: Metrics
    run: str | None
    """The run's folder; None for a bundle."""
    history: History | None
    validation: str | None
    """Split that chose the epoch; None for a bundle."""
    robustness: Robustness | None = None
    """On corrupted faces, if that was scored."""

    @property
    def published(self) -> float | None:
        """The report's test accuracy for this architecture; None on data that is not FER-2013."""
        evaluation = self.evaluation
        if evaluation.labels != FER2013 or len(evaluation.truth) not in _FER2013_TESTS:
            return None
        return PUBLISHED_ACCURACY.get(evaluation.model)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of a face, all its views together."""
        return self.evaluation.macs * passes(self.evaluation.views)

    @property
    def right(self) -> NDArray[np.bool_]:
        """(N,) which images it got right."""
        return np.asarray(self.evaluation.probabilities.argmax(1) == self.evaluation.truth)


@dataclass(frozen=True)
class Pooled:
    """Runs of one recipe that differ in their seed: mean and standard deviation over runs."""

    recipe: str
    runs: int
    accuracy: tuple[float, float]
    macro_recall: tuple[float, float]
    loss: tuple[float, float]
    ece: tuple[float, float]


def open_candidates(paths: list[Path], split: str) -> list[Candidate]:
    """Runs or evaluations ready to compare, best first.

    Raises NotComparable unless all were scored on the same images with the same labels.
    """
    candidates = [open_candidate(path, split) for path in paths]
    _refuse_unlike(candidates)
    return sorted(candidates, key=lambda c: -c.metrics.accuracy.value)


def open_candidate(path: Path, split: str) -> Candidate:
    """A run folder, a folder that holds an evaluation, or a shipped bundle, ready to compare."""
    folder = evaluation_folder(path, split)
    evaluation = load(folder)
    run = RunFolder(folder.resolve().parents[1])
    return Candidate(
        name=_named(run.name if run.is_run else evaluation.name, evaluation.views),
        evaluation=evaluation,
        metrics=evaluation.metrics(),
        run=run.name if run.is_run else None,
        history=run.history if run.is_run else None,
        validation=run.data.validation.split if run.has_data else None,
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


def histories(candidates: list[Candidate]) -> dict[str, History]:
    """The history of each run, once however often it was scored."""
    return {c.run: c.history for c in candidates if c.run and c.history}


def pool(candidates: list[Candidate]) -> list[Pooled]:
    """The recipes of which there are several runs, each with the views it was scored with."""
    recipes: dict[str, list[Candidate]] = {}
    for c in candidates:
        recipes.setdefault(_named(c.evaluation.name, c.evaluation.views), []).append(c)
    found = []
    for recipe, group in sorted(recipes.items()):
        runs = [c.metrics for c in group]
        if len({c.evaluation.network for c in group}) > 1:
            found.append(
                Pooled(
                    recipe,
                    len(runs),
                    _spread([m.accuracy.value for m in runs]),
                    _spread([m.macro_recall.value for m in runs]),
                    _spread([m.loss.value for m in runs]),
                    _spread([m.calibration.ece.value for m in runs]),
                )
            )
    return found


def _named(name: str, views: str) -> str:
    return name if views == "plain" else f"{name}-{views}"


def _spread(values: list[float]) -> tuple[float, float]:
    return float(np.mean(values)), float(np.std(values, ddof=1))


def _refuse_unlike(candidates: list[Candidate]) -> None:
    names = [c.name for c in candidates]
    if len(set(names)) < len(names):
        raise NotComparable(f"two runs have the same name: {', '.join(names)}; rename a folder")
    first = candidates[0].evaluation
    for other in candidates[1:]:
        if other.evaluation.labels != first.labels:
            raise NotComparable(f"{names[0]} and {other.name} have different labels")
        if other.evaluation.digest != first.digest:
            raise NotComparable(
                f"{names[0]} and {other.name} were scored on different images "
                f"({len(first.truth)} of {first.data} {first.split}, {len(other.evaluation.truth)} "
                f"of {other.evaluation.data} {other.evaluation.split}); evaluate both on one split"
            )
