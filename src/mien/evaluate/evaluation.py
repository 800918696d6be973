"""An evaluation: saved per-image probabilities, from which every figure can be made again."""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.bundle import Bundle, Classifier, temper
from mien.data import Dataset, Split
from mien.data.ferplus import join_votes, majority
from mien.errors import DataError, InputError, NotComparable, RunError
from mien.evaluate.answers import answers
from mien.evaluate.calibration import Calibration, calibration, kept_accuracy
from mien.evaluate.field import count_right
from mien.evaluate.intervals import Estimate, mean_interval
from mien.evaluate.metrics import Metrics, measure, to_json
from mien.extras import need
from mien.files import read_json, replacing, write_json, write_text
from mien.framing import DRAWS
from mien.values import as_json

PREDICTIONS = "predictions.parquet"
METRICS = "metrics.json"
_WHO = ("name", "model", "data", "split", "digest", "network", "views", "temperature")
_COSTS = ("parameters", "macs", "size_mb", "latency_ms")
_COPY, _FERPLUS, _FIELD = "copy_of_training", "ferplus", "right_of_field"

UNSURE = 0.2
"""Share of the images whose readings are `unsure`: those of least confidence."""
_SLACK = 0.01
"""What rounding the threshold may add to that share."""
TESTS = ("test", "private")
"""Splits on which nothing is fitted."""


@dataclass(frozen=True)
class Subset:
    """Accuracy on some of the images, or against other labels than the data's own."""

    images: int
    accuracy: Estimate


@dataclass(frozen=True)
class Evaluation:
    """One network on one split: who, on what, and (N, C) probabilities beside (N,) labels."""

    name: str
    model: str
    data: str
    split: str
    digest: str
    """SHA-256 of the split's pixels and labels."""
    network: str
    """SHA-256 of the network's file, from its card."""
    views: str
    """The views of each face that were averaged."""
    temperature: float
    """Already applied to `probabilities`."""
    labels: tuple[str, ...]
    names: NDArray[np.str_]
    truth: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    parameters: int
    macs: int
    size_mb: float
    latency_ms: float
    """Median time of one face on one CPU thread in ONNX Runtime, preprocessing included."""
    copies: NDArray[np.bool_] | None = None
    """(N,) whether an image has the very pixels of a training image; None without those."""
    ferplus: NDArray[np.int64] | None = None
    """(N,) FER+'s majority label, -1 where there is none; None without votes."""
    field: NDArray[np.int64] | None = None
    """(N,) in how many of the `DRAWS` framings it was answered rightly; None if not asked."""
    shape: tuple[int, ...] = ()
    """Of each image as it was read: (S, S), or (S, S, 3) in colour. Empty: not noted (mien 0.1)."""

    def is_of(
        self,
        digest: str,
        shape: tuple[int, ...],
        names: NDArray[np.str_],
        truth: NDArray[np.int64],
    ) -> bool:
        """Whether it was made of the images of that `digest`.

        Networks that want other sizes or colours read the same files to other pixels: then names
        and labels tell.
        """
        if digest == self.digest or not self.shape or not shape or shape == self.shape:
            return digest == self.digest
        return np.array_equal(names, self.names) and np.array_equal(truth, self.truth)

    def metrics(self) -> Metrics:
        """All figures, computed afresh from the probabilities."""
        return measure(self.probabilities, self.truth, self.labels)

    @property
    def untempered(self) -> NDArray[np.float64]:
        """The probabilities before the temperature was applied."""
        return temper(self.probabilities, 1 / self.temperature)

    @property
    def field_accuracy(self) -> Estimate | None:
        """Accuracy on faces framed as a detector frames them; None if that was not asked."""
        return None if self.field is None else mean_interval(self.field / DRAWS)

    def uncalibrated(self) -> Calibration:
        """The calibration before the temperature was applied."""
        return calibration(self.untempered, self.truth)

    @property
    def unsure_below(self) -> float:
        """The confidence that `UNSURE` of the images stay below, to four digits; rounded down if
        those that are just as sure would be below it, too."""
        confidence = self.probabilities.max(1)
        exact = float(np.quantile(confidence, UNSURE))
        rounded = round(exact, 4)
        too_many = (confidence < rounded).mean() > UNSURE + _SLACK
        return math.floor(1e4 * exact) / 1e4 if too_many else rounded

    def sure(self) -> Subset:
        """The images that are not unsure."""
        kept = self.probabilities.max(1) >= self.unsure_below
        accuracy = kept_accuracy(self.probabilities, self.truth, self.unsure_below)
        return Subset(int(kept.sum()), accuracy)

    def subsets(self) -> dict[str, Subset]:
        """Accuracy on `deduplicated` images (no copies of training images), against FER+'s majority
        (`ferplus`), and where that is the label (`ferplus_agreed`); what is known of these."""
        answers = self.probabilities.argmax(1)
        found = {}
        if self.copies is not None:
            found["deduplicated"] = _subset(answers, self.truth, ~self.copies)
        if self.ferplus is not None:
            found["ferplus"] = _subset(answers, self.ferplus, self.ferplus >= 0)
            found["ferplus_agreed"] = _subset(answers, self.truth, self.ferplus == self.truth)
        return {name: subset for name, subset in found.items() if subset.images}


def _subset(
    answers: NDArray[np.int64], truth: NDArray[np.int64], rows: NDArray[np.bool_]
) -> Subset:
    right = (answers == truth)[rows].astype(np.float64)
    nothing = Estimate(np.nan, np.nan, np.nan)
    return Subset(len(right), mean_interval(right) if len(right) else nothing)


def evaluate(
    bundle: Bundle,
    data: Dataset,
    split: str,
    progress: Callable[[int], None] | None = None,
    *,
    views: str | None = None,
    votes: Path | None = None,
    jitter: bool = False,
) -> Evaluation:
    """Run `bundle` over `split` of `data`; `progress` is told the images done of each batch.

    `views` replaces those of the card; `votes` is FER+'s table, for a second score; `jitter` asks
    for the field accuracy, `DRAWS` more passes over the images. Raises NotComparable if the data's
    labels are not the network's.
    """
    chosen = data.split(split)
    card = bundle.card
    truth = _truth(chosen, data.labels, card.labels)
    ferplus = None if votes is None else majority(join_votes(chosen, votes), card.labels)
    classifier = Classifier(bundle, views=views)
    probabilities = answers(classifier, chosen, progress)
    return Evaluation(
        name=card.name,
        model=card.model,
        data=data.name,
        split=split,
        digest=chosen.digest,
        network=card.digest,
        views=classifier.views,
        temperature=card.temperature,
        labels=card.labels,
        names=chosen.names,
        truth=truth,
        probabilities=probabilities,
        parameters=card.parameters,
        macs=card.macs,
        size_mb=bundle.model_file.stat().st_size / 1e6,
        latency_ms=_latency_ms(bundle, chosen, classifier.views),
        copies=_copies(chosen, data),
        ferplus=ferplus,
        field=count_right(classifier, chosen, truth, progress) if jitter else None,
        shape=chosen.images.shape[1:],
    )


def place_of(bundle: str) -> Path:
    """Where `mien evaluate` puts what it finds of a bundle of that name unless told otherwise."""
    return Path(f"{bundle}-bundle")


def _copies(split: Split, data: Dataset) -> NDArray[np.bool_] | None:
    if "train" not in data.splits or split.name == "train":
        return None
    known = set(_digests(data.split("train")))
    return np.array([digest in known for digest in _digests(split)])


def _digests(split: Split) -> Iterator[bytes]:
    """Of the pixels of each image or clip."""
    pixels = (split.pixels(row) for row in range(len(split)))
    return (hashlib.blake2b(each.tobytes(), digest_size=16).digest() for each in pixels)


def _truth(split: Split, labels: tuple[str, ...], wanted: tuple[str, ...]) -> NDArray[np.int64]:
    """The split's labels as numbers of the network's own order."""
    present = [labels[number] for number in np.unique(split.labels)]
    if unknown := set(present) - set(wanted):
        raise NotComparable(
            f"the data has labels the network does not know: {', '.join(sorted(unknown))}; "
            f"it knows: {', '.join(wanted)}"
        )
    order = np.array([wanted.index(x) if x in wanted else -1 for x in labels], np.int64)
    return order[split.labels]


def _latency_ms(bundle: Bundle, split: Split, views: str, repeats: int = 30) -> float:
    classifier = Classifier(bundle, threads=1, device="cpu", views=views)
    face = np.asarray(split.images[:1])
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        classifier.probabilities(face)
        times.append(time.perf_counter() - started)
    return 1000 * float(np.median(times))


def check_place(folder: Path, name: str, split: Split) -> None:
    """InputError if an evaluation of other images, or of a network not called `name`, is there."""
    found = _facts(folder)
    if found and (found["name"], found["digest"]) != (name, split.digest):
        raise InputError(
            f"{folder} holds the evaluation of {found['name']} on {found['split']} of "
            f"{found['data']}, of other images or another model; choose another --out"
        )


def save(evaluation: Evaluation, folder: Path) -> Metrics:
    """Write predictions.parquet, metrics.json and classification_report.txt; the figures."""
    metrics = evaluation.metrics()
    _write_predictions(evaluation, folder / PREDICTIONS)
    write_text(folder / "classification_report.txt", metrics.report)
    facts = {name: getattr(evaluation, name) for name in (*_WHO, "labels", *_COSTS)}
    field = evaluation.field_accuracy
    write_json(
        folder / METRICS,
        {
            **_noted(evaluation, folder),
            **facts,
            "images": len(evaluation.truth),
            "shape": list(evaluation.shape),
            "metrics": to_json(metrics, evaluation.labels),
            "uncalibrated": as_json(evaluation.uncalibrated()),
            "sure": {"from": evaluation.unsure_below, **as_json(evaluation.sure())},
            "subsets": as_json(evaluation.subsets()),
            "field": field and {"draws": DRAWS, "accuracy": as_json(field)},
        },
    )
    return metrics


def note(folder: Path, name: str, figures: dict[str, Any]) -> None:
    """Take figures up into the metrics.json of the evaluation in `folder`, if there is one."""
    if (folder / METRICS).is_file():
        write_json(folder / METRICS, read_json(folder / METRICS) | {name: figures})


def _noted(evaluation: Evaluation, folder: Path) -> dict[str, Any]:
    """What stands in `folder` already, if it is of the same network, images and views."""
    found = _facts(folder)
    same = ("network", "digest", "views")
    return found if all(found.get(n) == getattr(evaluation, n) for n in same) else {}


def _facts(folder: Path) -> dict[str, Any]:
    """The metrics.json in `folder`; empty without one that is whole."""
    try:
        return dict(read_json(folder / METRICS))
    except RunError:
        return {}


def load(folder: Path) -> Evaluation:
    """The evaluation saved in `folder`; InputError if there is none or it is not whole."""
    pandas = need("pandas", extra="report")
    need("pyarrow", extra="report")
    if not (folder / METRICS).is_file() or not (folder / PREDICTIONS).is_file():
        raise InputError(f"{folder} holds no evaluation; make one with: mien evaluate RUN --data D")
    try:
        facts = json.loads((folder / METRICS).read_text())
        table = pandas.read_parquet(folder / PREDICTIONS)
        labels = tuple(facts["labels"])
        evaluation = Evaluation(
            **{name: facts[name] for name in (*_WHO, *_COSTS)},
            labels=labels,
            names=table["name"].to_numpy(str),
            truth=np.array([labels.index(label) for label in table["label"]], np.int64),
            probabilities=table[list(labels)].to_numpy(np.float64),
            copies=table[_COPY].to_numpy(bool) if _COPY in table else None,
            ferplus=_numbers(table[_FERPLUS], labels) if _FERPLUS in table else None,
            field=table[_FIELD].to_numpy(np.int64) if _FIELD in table else None,
            shape=tuple(facts.get("shape", ())),
        )
    except (ValueError, KeyError, OSError) as error:
        raise InputError(f"{folder} is not a whole evaluation ({error}); evaluate again") from error
    if len(table) != facts["images"]:
        raise DataError(
            f"{folder}: {PREDICTIONS} has {len(table)} images, {METRICS} says {facts['images']}; "
            "evaluate again"
        )
    return evaluation


def _numbers(names: Any, labels: tuple[str, ...]) -> NDArray[np.int64]:
    """Label names as numbers, an empty one as -1."""
    return np.array([labels.index(name) if name else -1 for name in names], np.int64)


def _write_predictions(evaluation: Evaluation, path: Path) -> None:
    """A row per image; probabilities as float32, byte by byte, which packs to less than half."""
    pandas = need("pandas", extra="report")
    need("pyarrow", extra="report")
    labels = np.array(evaluation.labels)
    table = pandas.DataFrame(
        {
            "name": evaluation.names.astype(object),
            "label": labels[evaluation.truth],
            "predicted": labels[evaluation.probabilities.argmax(1)],
            **dict(
                zip(evaluation.labels, evaluation.probabilities.T.astype(np.float32), strict=True)
            ),
        }
    )
    if evaluation.copies is not None:
        table[_COPY] = evaluation.copies
    if evaluation.ferplus is not None:
        table[_FERPLUS] = np.append(labels.astype(object), "")[evaluation.ferplus]
    if evaluation.field is not None:
        table[_FIELD] = evaluation.field.astype(np.int8)
    with replacing(path) as file:
        table.to_parquet(
            file,
            index=False,
            compression="zstd",
            compression_level=15,
            use_byte_stream_split=list(evaluation.labels),
            use_dictionary=["label", "predicted"],
        )
