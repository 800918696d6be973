"""An evaluation: saved per-image probabilities, from which every figure can be made again."""

import dataclasses
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.bundle import CARD_FILE, Bundle, Classifier
from mien.card import Measured
from mien.data import Dataset, Split
from mien.errors import DataError, InputError, NotComparable
from mien.evaluate.metrics import Metrics, measure, to_json
from mien.extras import need
from mien.files import replacing, write_json, write_text

PREDICTIONS = "predictions.parquet"
METRICS = "metrics.json"
_WHO = ("name", "model", "data", "split", "digest", "network")
_COSTS = ("parameters", "macs", "size_mb", "latency_ms")
_BATCH = 128


UNSURE = 0.2
"""Share of the recorded images whose readings are `unsure`."""


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
    labels: tuple[str, ...]
    names: NDArray[np.str_]
    truth: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    parameters: int
    macs: int
    size_mb: float
    latency_ms: float
    """Median time of one face on one CPU thread in ONNX Runtime, preprocessing included."""

    def metrics(self) -> Metrics:
        """All figures, computed afresh from the probabilities."""
        return measure(self.probabilities, self.truth, self.labels)


def evaluate(
    bundle: Bundle, data: Dataset, split: str, progress: Callable[[int], None] | None = None
) -> Evaluation:
    """Run `bundle` over `split` of `data`; `progress` is told the images done of each batch.

    Raises NotComparable if the data's labels are not the network's.
    """
    chosen = data.split(split)
    card = bundle.card
    truth = _truth(chosen, data.labels, card.labels)
    classifier = Classifier(bundle)
    batches = []
    for start in range(0, len(chosen), _BATCH):
        crops = np.asarray(chosen.images[start : start + _BATCH])
        batches.append(classifier.probabilities(crops))
        if progress:
            progress(len(crops))
    return Evaluation(
        name=card.name,
        model=card.model,
        data=data.name,
        split=split,
        digest=chosen.digest,
        network=card.digest,
        labels=card.labels,
        names=chosen.names,
        truth=truth,
        probabilities=np.concatenate(batches),
        parameters=card.parameters,
        macs=card.macs,
        size_mb=bundle.model_file.stat().st_size / 1e6,
        latency_ms=_latency_ms(bundle, chosen),
    )


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


def _latency_ms(bundle: Bundle, split: Split, repeats: int = 30) -> float:
    classifier = Classifier(bundle, threads=1, device="cpu")
    face = np.asarray(split.images[:1])
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        classifier.probabilities(face)
        times.append(time.perf_counter() - started)
    return 1000 * float(np.median(times))


def save(evaluation: Evaluation, folder: Path) -> Metrics:
    """Write predictions.parquet, metrics.json and classification_report.txt; the figures."""
    metrics = evaluation.metrics()
    _write_predictions(evaluation, folder / PREDICTIONS)
    write_text(folder / "classification_report.txt", metrics.report)
    facts = {name: getattr(evaluation, name) for name in (*_WHO, "labels", *_COSTS)}
    write_json(
        folder / METRICS,
        {
            **facts,
            "images": len(evaluation.truth),
            "metrics": to_json(metrics, evaluation.labels),
        },
    )
    return metrics


def record(evaluation: Evaluation, metrics: Metrics, bundle: Bundle) -> None:
    """Write the accuracy into the bundle's card, in place of an older one on the same images, and
    the confidence that `UNSURE` of them stay below."""
    accuracy = metrics.accuracy
    entry = Measured(
        data=evaluation.data,
        split=evaluation.split,
        images=len(evaluation.truth),
        digest=evaluation.digest,
        accuracy=accuracy.value,
        low=accuracy.low,
        high=accuracy.high,
    )
    others = tuple(m for m in bundle.card.measured if m.digest != entry.digest)
    unsure_below = round(float(np.quantile(evaluation.probabilities.max(1), UNSURE)), 4)
    card = dataclasses.replace(bundle.card, measured=(*others, entry), unsure_below=unsure_below)
    card.save(bundle.folder / CARD_FILE)


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
        )
    except (ValueError, KeyError, OSError) as error:
        raise InputError(f"{folder} is not a whole evaluation ({error}); evaluate again") from error
    if len(table) != facts["images"]:
        raise DataError(
            f"{folder}: {PREDICTIONS} has {len(table)} images, {METRICS} says {facts['images']}; "
            "evaluate again"
        )
    return evaluation


def _write_predictions(evaluation: Evaluation, path: Path) -> None:
    pandas = need("pandas", extra="report")
    need("pyarrow", extra="report")
    labels = np.array(evaluation.labels)
    table = pandas.DataFrame(
        {
            "name": evaluation.names.astype(object),
            "label": labels[evaluation.truth],
            "predicted": labels[evaluation.probabilities.argmax(1)],
            **dict(zip(evaluation.labels, evaluation.probabilities.T, strict=True)),
        }
    )
    with replacing(path) as file:
        table.to_parquet(file, index=False)
