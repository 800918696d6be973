"""Several evaluations side by side; refuses those that were not scored on the same images."""

import csv
import io
import itertools
from dataclasses import dataclass
from pathlib import Path

from mien.errors import InputError, NotComparable
from mien.evaluate import Evaluation, Metrics, load
from mien.evaluate.intervals import Figure, mean_interval
from mien.files import read_json, replacing, write_text
from mien.labels import FER2013
from mien.report import words
from mien.report.curves import all_curves, confusion_matrix, learning_curves, recalls
from mien.report.history import History, read_history
from mien.report.page import data_uri, render

PUBLISHED_ACCURACY = {"resnet50": 0.2481, "attention": 0.2641, "mobilenetv2": 0.5054}
"""Test accuracy in the technical report (Table 1), on the merged test of 7,178 images."""
_FER2013_TESTS = (3589, 7178)
_SUBSETS = {
    "deduplicated": "accuracy without training copies, %",
    "ferplus": "agreement with FER+, %",
    "ferplus_agreed": "accuracy where FER+ agrees, %",
}


@dataclass(frozen=True)
class Candidate:
    """One run or bundle under comparison."""

    name: str
    evaluation: Evaluation
    metrics: Metrics
    history: History | None
    validation: str | None
    """Split that chose the epoch; None for a bundle."""

    @property
    def published(self) -> float | None:
        """The report's test accuracy for this architecture; None on data that is not FER-2013."""
        evaluation = self.evaluation
        if evaluation.labels != FER2013 or len(evaluation.truth) not in _FER2013_TESTS:
            return None
        return PUBLISHED_ACCURACY.get(evaluation.model)


@dataclass(frozen=True)
class Difference:
    """How much more accurate `better` is than `worse`, as a paired bootstrap interval."""

    better: str
    worse: str
    accuracy: Figure

    @property
    def real(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.accuracy.low > 0


def open_candidate(path: Path, split: str) -> Candidate:
    """A run folder, or a folder that holds an evaluation, ready to compare."""
    if not path.is_dir():
        raise InputError(f"{path} is no run folder; make one with mien train")
    folder = path if (path / "metrics.json").is_file() else path / "evaluation" / split
    evaluation = load(folder)
    run = folder.resolve().parents[1]
    is_run = (run / "recipe.yaml").is_file()
    return Candidate(
        name=run.name if is_run else evaluation.name,
        evaluation=evaluation,
        metrics=evaluation.metrics(),
        history=read_history(run) if is_run else None,
        validation=_validation_split(run) if is_run else None,
    )


def compare(paths: list[Path], out: Path, split: str) -> Path:
    """Write index.html, comparison.md, comparison.csv and figures to `out`; the page's path.

    Raises NotComparable unless all were scored on the same images with the same labels.
    """
    candidates = [open_candidate(path, split) for path in paths]
    _refuse_unlike(candidates)
    candidates.sort(key=lambda c: -c.metrics.accuracy.value)
    pictures = _pictures(candidates)
    for name, data in pictures.items():
        with replacing(out / name) as file:
            file.write(data)
    rows = _filled([_row(c) for c in candidates])
    sentences = words.verdict(candidates, differences(candidates))
    write_text(out / "comparison.csv", _csv(rows))
    write_text(out / "comparison.md", _markdown(candidates, rows, sentences, list(pictures)))
    page = render(
        "compare.html.j2",
        candidates=candidates,
        first=candidates[0].evaluation,
        header=list(rows[0]),
        rows=[list(r.values()) for r in rows],
        sentences=sentences,
        caveats=words.caveats(candidates),
        pictures={name: data_uri(data) for name, data in pictures.items()},
    )
    write_text(out / "index.html", page)
    return out / "index.html"


def differences(candidates: list[Candidate]) -> list[Difference]:
    """Accuracy of each candidate over the next one; candidates come best first."""
    found = []
    for better, worse in itertools.pairwise(candidates):
        right = [
            (c.evaluation.probabilities.argmax(1) == c.evaluation.truth).astype(float)
            for c in (better, worse)
        ]
        found.append(Difference(better.name, worse.name, mean_interval(right[0] - right[1])))
    return found


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


def _validation_split(run: Path) -> str | None:
    path = run / "data.json"
    return str(read_json(path)["validation"]["split"]) if path.is_file() else None


def _row(candidate: Candidate) -> dict[str, str]:
    """The report's Table 1, and what a user weighs besides."""
    evaluation, metrics, history = candidate.evaluation, candidate.metrics, candidate.history
    published = candidate.published
    best = history.best if history else 0
    return {
        "model": candidate.name,
        f"{evaluation.split} accuracy, % [95 %]": metrics.accuracy.percent(),
        f"{evaluation.split} loss": f"{metrics.loss.value:.4f}",
        "validation accuracy, %": f"{100 * history['val_accuracy'][best]:.2f}" if history else "-",
        "validation loss": f"{history['val_loss'][best]:.4f}" if history else "-",
        **{
            _SUBSETS[name]: subset.accuracy.percent()
            for name, subset in evaluation.subsets().items()
        },
        "macro-recall, %": f"{100 * metrics.macro_recall.value:.2f}",
        "macro-F1, %": f"{100 * metrics.macro_f1.value:.2f}",
        "calibration error, %": f"{100 * metrics.calibration.ece.value:.2f}",
        "accuracy of the surest 80 %": f"{100 * evaluation.sure().accuracy.value:.2f}",
        "views": evaluation.views,
        "report's accuracy, %": f"{100 * published:.2f}" if published else "-",
        "complexity": words.complexity(evaluation.macs),
        "parameters, M": f"{evaluation.parameters / 1e6:.2f}",
        "MACs, M": f"{evaluation.macs / 1e6:.0f}",
        "size, MB": f"{evaluation.size_mb:.1f}",
        "CPU, ms/face": f"{evaluation.latency_ms:.1f}",
        "training, s/epoch": f"{history.seconds_per_epoch:.0f}" if history else "-",
        "epochs": str(len(history.epochs)) if history else "-",
    }


def _filled(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """The same columns in every row: not every evaluation has every score."""
    longest = max(rows, key=len)
    return [{heading: row.get(heading, "-") for heading in longest} for row in rows]


def _pictures(candidates: list[Candidate]) -> dict[str, bytes]:
    trained = {c.name: c.history for c in candidates if c.history}
    labels = candidates[0].evaluation.labels
    pictures = {f"curves_{name}.png": learning_curves(h, name) for name, h in trained.items()}
    if trained:
        pictures["curves_all.png"] = all_curves(trained)
    for c in candidates:
        pictures[f"confusion_{c.name}.png"] = confusion_matrix(c.metrics.confusion, labels, c.name)
    pictures["recall.png"] = recalls({c.name: c.metrics.recall for c in candidates}, labels)
    return pictures


def _csv(rows: list[dict[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _markdown(
    candidates: list[Candidate],
    rows: list[dict[str, str]],
    sentences: list[str],
    pictures: list[str],
) -> str:
    first = candidates[0].evaluation
    lines = [
        f"# {len(candidates)} models on {first.split} of {first.data}",
        "",
        f"{len(first.truth):,} images. {' '.join(words.caveats(candidates))}",
        "",
        "| | " + " | ".join(c.name for c in candidates) + " |",
        "|---" * (len(candidates) + 1) + "|",
    ]
    for heading in list(rows[0])[1:]:
        lines.append(f"| {heading} | " + " | ".join(row[heading] for row in rows) + " |")
    lines += ["", *(f"- {sentence}" for sentence in sentences), ""]
    for name in pictures:
        lines += [f"![{Path(name).stem.replace('_', ' ')}]({name})", ""]
    return "\n".join(lines)
