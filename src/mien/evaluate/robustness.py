"""Accuracy on corrupted faces, alone and against a named baseline."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.bundle import Bundle, Classifier
from mien.errors import InputError, NotComparable
from mien.evaluate.corruptions import CORRUPTIONS, SEVERITIES, Corruption
from mien.evaluate.evaluation import Evaluation, note
from mien.evaluate.intervals import Estimate, mean_interval
from mien.files import write_json
from mien.values import as_json, from_json

ROBUSTNESS, OCCLUDED = "robustness", "occlusions"
"""What is saved of `CORRUPTIONS` and of `OCCLUSIONS`: names of files without their ends."""
_WHO = ("name", "data", "split", "digest", "network", "views")
_BATCH = 128


@dataclass(frozen=True, slots=True)
class Score:
    """How many images were answered rightly, and their share with its interval."""

    right: int
    value: float
    low: float
    high: float

    @property
    def accuracy(self) -> Estimate:
        """Their share."""
        return Estimate(self.value, self.low, self.high)


@dataclass(frozen=True)
class Relative:
    """Errors against those of a baseline on the same pictures: 1 is equal, less is better.

    `errors` is the corruption error of each corruption, summed over severities and divided by the
    baseline's; `mce` their mean; `relative_mce` the same of the errors that are not made on clean
    images (Hendrycks & Dietterich 2019). Intervals take the baseline as it is; NaN where a
    corruption does the baseline no harm.
    """

    baseline: str
    network: str
    errors: dict[str, float]
    mce: Estimate
    relative_mce: Estimate

    @property
    def reason(self) -> str:
        """Why a mean is NaN; empty where both are numbers."""
        if np.isnan(self.mce.value):
            return f"under a corruption, {self.baseline} makes no error to divide by"
        harmless = np.isnan(self.relative_mce.value)
        return f"a corruption does {self.baseline} no harm" if harmless else ""


@dataclass(frozen=True)
class Robustness:
    """One network on `images` images of a split, clean and corrupted."""

    name: str
    data: str
    split: str
    digest: str
    """SHA-256 of the whole split's pixels and labels."""
    network: str
    views: str
    images: int
    strengths: dict[str, tuple[float, ...]]
    """Of each corruption, by severity."""
    clean: Score
    scores: dict[str, tuple[Score, ...]]
    """Of each corruption, by severity."""
    means: dict[str, Estimate]
    """Accuracy of each corruption over its severities."""
    mean: Estimate
    """Accuracy over all corruptions and severities."""
    relative: Relative | None = None

    @property
    def errors(self) -> NDArray[np.float64]:
        """(corruptions, severities) share of wrong answers."""
        right = [[score.right for score in scores] for scores in self.scores.values()]
        return 1 - np.array(right) / self.images

    @property
    def clean_error(self) -> float:
        """Share of wrong answers on clean images."""
        return 1 - self.clean.right / self.images


def score_corruptions(
    evaluation: Evaluation,
    bundle: Bundle,
    images: NDArray[np.uint8],
    *,
    kinds: tuple[Corruption, ...] = CORRUPTIONS,
    limit: int | None = None,
    baseline: Robustness | None = None,
    progress: Callable[[int], None] | None = None,
) -> Robustness:
    """Run the evaluated `bundle` over `images` (N, S, S), those evaluated, spoilt in all `kinds`.

    `limit` takes so many of them, as `stratified` does; `progress` is told the images done. Raises
    NotComparable, before anything is run, for a baseline on other pictures.
    """
    rows = stratified(evaluation.truth, limit)
    if baseline is not None:
        _refuse_unlike(baseline, evaluation, len(rows))
    right = _answers(kinds, evaluation, bundle, (images, rows), progress)
    clean = (evaluation.probabilities.argmax(1) == evaluation.truth)[rows]
    return Robustness(
        **{name: getattr(evaluation, name) for name in _WHO},
        images=len(rows),
        strengths=_strengths(kinds),
        clean=tally(clean),
        scores={c.name: tuple(map(tally, r)) for c, r in zip(kinds, right, strict=True)},
        means={c.name: mean_interval(r.mean(0)) for c, r in zip(kinds, right, strict=True)},
        mean=mean_interval(right.mean((0, 1))),
        relative=None if baseline is None else _relative(~right, ~clean, baseline),
    )


def stratified(labels: NDArray[np.int64], limit: int | None, seed: int = 0) -> NDArray[np.int64]:
    """Rows of `limit` of the (N,) images, each class in its share, the same for equal labels; all
    without a limit."""
    if limit is None or limit >= len(labels):
        return np.arange(len(labels))
    rng = np.random.default_rng(seed)
    turn = np.empty(len(labels))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        turn[members] = (rng.permutation(len(members)) + 0.5) / len(members)
    return np.sort(np.argsort(turn, kind="stable")[:limit])


def tally(right: NDArray[np.bool_]) -> Score:
    """The score of (N,) answers."""
    share = mean_interval(right.astype(np.float64))
    return Score(int(right.sum()), share.value, share.low, share.high)


def corruption_errors(wrong: NDArray[Any], baseline: NDArray[np.float64]) -> NDArray[np.float64]:
    """(C, N) from (C, S, N) wrong answers and the baseline's (C, S) errors, both summed over the
    severities and divided: the mean over N images is the corruption error."""
    return _over(wrong.sum(1), baseline.sum(1))


def relative_errors(
    wrong: NDArray[Any],
    clean: NDArray[Any],
    baseline: NDArray[np.float64],
    baseline_clean: float,
) -> NDArray[np.float64]:
    """The same of what is wrong beyond the (N,) wrong answers on clean images."""
    return _over((wrong * 1.0 - clean).sum(1), (baseline - baseline_clean).sum(1))


def mce(found: Robustness, baseline: Robustness) -> float:
    """The mean corruption error of a saved result against another."""
    return float(corruption_errors(found.errors[..., None], baseline.errors).mean())


def same_pictures(one: Robustness, other: Robustness) -> bool:
    """Whether both were taken on the same images, corrupted in the same ways."""
    return (one.digest, one.images, one.strengths) == (other.digest, other.images, other.strengths)


def save_robustness(found: Robustness, folder: Path, stem: str = ROBUSTNESS) -> None:
    """Write `stem`.json, and its figures into metrics.json."""
    kinds = {
        name: {
            "strengths": found.strengths[name],
            "mean": found.means[name],
            "severities": found.scores[name],
        }
        for name in found.scores
    }
    missing = {"baseline": None, "reason": "no baseline was named: --baseline FOLDER"}
    scores = as_json({"clean": found.clean, "mean": found.mean, "corruptions": kinds})
    scores["relative"] = as_json(found.relative) or missing
    if found.relative and found.relative.reason:
        scores["relative"]["reason"] = found.relative.reason
    write_json(
        folder / f"{stem}.json",
        {name: getattr(found, name) for name in (*_WHO, "images")} | scores,
    )
    note(folder, stem, {"images": found.images} | scores)


def load_robustness(folder: Path, stem: str = ROBUSTNESS) -> Robustness:
    """The result saved in `folder`; InputError if there is none or it is not whole."""
    path = folder / f"{stem}.json"
    if not path.is_file():
        raise InputError(
            f"{folder} holds no {path.name}; make one with: "
            "mien evaluate RUN --data D --corruptions"
        )
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        kinds, relative = raw["corruptions"], raw["relative"]
        relative.pop("reason", None)
        return Robustness(
            **{name: raw[name] for name in (*_WHO, "images")},
            strengths={name: tuple(kind["strengths"]) for name, kind in kinds.items()},
            clean=from_json(Score, raw["clean"]),
            scores={n: from_json(tuple[Score, ...], k["severities"]) for n, k in kinds.items()},
            means={name: from_json(Estimate, kind["mean"]) for name, kind in kinds.items()},
            mean=from_json(Estimate, raw["mean"]),
            relative=from_json(Relative, relative) if relative["baseline"] else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is not whole ({error!r}); evaluate again") from error


def robustness_of(
    evaluation: Evaluation, folder: Path, stem: str = ROBUSTNESS
) -> Robustness | None:
    """What is saved in `folder`, if it is of this very network, its views and these images."""
    if not (folder / f"{stem}.json").is_file():
        return None
    found = load_robustness(folder, stem)
    fits = all(getattr(found, k) == getattr(evaluation, k) for k in ("network", "views", "digest"))
    return found if fits else None


def _answers(
    kinds: tuple[Corruption, ...],
    evaluation: Evaluation,
    bundle: Bundle,
    chosen: tuple[NDArray[np.uint8], NDArray[np.int64]],
    progress: Callable[[int], None] | None,
) -> NDArray[np.bool_]:
    """(kinds, severities, rows) which answers are right; `chosen` are all images, and those rows of
    them that are asked."""
    classifier, (images, rows) = Classifier(bundle, views=evaluation.views), chosen
    right = np.empty((len(kinds), SEVERITIES, len(rows)), bool)
    for kind, step in np.ndindex(right.shape[:2]):
        for start in range(0, len(rows), _BATCH):
            batch = rows[start : start + _BATCH]
            faces = kinds[kind](np.asarray(images[batch]), step + 1, batch)
            answers = classifier.probabilities(faces).argmax(1)
            right[kind, step, start : start + _BATCH] = answers == evaluation.truth[batch]
            if progress:
                progress(len(batch))
    return right


def _strengths(kinds: tuple[Corruption, ...]) -> dict[str, tuple[float, ...]]:
    return {corruption.name: corruption.strengths for corruption in kinds}


def _refuse_unlike(baseline: Robustness, evaluation: Evaluation, images: int) -> None:
    if (baseline.digest, baseline.images) != (evaluation.digest, images):
        raise NotComparable(
            f"the baseline {baseline.name} was scored on {baseline.images} images of "
            f"{baseline.data} {baseline.split}, these are {images} of {evaluation.data} "
            f"{evaluation.split}; score both on the same split with the same --limit"
        )
    if unlike := sorted(
        name for name, _ in set(baseline.strengths.items()) ^ set(_strengths(CORRUPTIONS).items())
    ):
        raise NotComparable(
            f"the baseline {baseline.name} was scored on other corruptions or strengths "
            f"({', '.join(dict.fromkeys(unlike))}); score it again with this version of mien"
        )


def _relative(wrong: NDArray[np.bool_], clean: NDArray[np.bool_], baseline: Robustness) -> Relative:
    errors = corruption_errors(wrong, baseline.errors)
    extra = relative_errors(wrong, clean, baseline.errors, baseline.clean_error)
    return Relative(
        baseline=baseline.name,
        network=baseline.network,
        errors={c.name: float(e.mean()) for c, e in zip(CORRUPTIONS, errors, strict=True)},
        mce=mean_interval(errors.mean(0)),
        relative_mce=mean_interval(extra.mean(0)),
    )


def _over(wrong: NDArray[Any], baseline: NDArray[np.float64]) -> NDArray[np.float64]:
    """(C, N) over (C,); NaN where the baseline has nothing to be divided by."""
    return np.asarray(wrong / np.where(baseline > 0, baseline, np.nan)[:, None])
