"""What `mien evaluate` leaves beside its numbers: Markdown, figures and the figures' numbers."""

from pathlib import Path

from mien.evaluate import Evaluation, Metrics
from mien.evaluate.calibration import coverage, reliability
from mien.files import replacing, write_csv, write_text
from mien.report.curves import (
    confusion_matrix,
    coverage_curves,
    learning_curves,
    reliability_diagrams,
)
from mien.report.facts import as_markdown, as_text, facts
from mien.report.robustness import sections
from mien.runs import RunFolder


def write_evaluation(
    evaluation: Evaluation, metrics: Metrics, folder: Path, run: RunFolder | None
) -> None:
    """Write evaluation.md and its figures: confusion matrices, reliability, coverage, and the
    learning curves of `run` if it is one; robustness, if that is in `folder` already."""
    name = evaluation.name
    probabilities, truth = evaluation.probabilities, evaluation.truth
    reliable = reliability(probabilities, truth)
    before = reliability(evaluation.untempered, truth)
    kept = coverage(probabilities, truth)
    pictures = {
        "confusion.png": confusion_matrix(metrics.confusion, evaluation.labels, name),
        "confusion_counts.png": confusion_matrix(
            metrics.confusion, evaluation.labels, name, normalised=False
        ),
        "reliability.png": reliability_diagrams({name: before}, {name: reliable}),
        "coverage.png": coverage_curves({name: kept}, {name: evaluation.unsure_below}),
    }
    if run is not None and run.has_history:
        pictures["learning_curves.png"] = learning_curves(run.history, name)
    for file_name, data in pictures.items():
        with replacing(folder / file_name) as file:
            file.write(data)
    for stem, numbers in (("reliability", reliable), ("coverage", kept)):
        write_csv(folder / f"{stem}.csv", numbers.to_columns())
    counts = dict(zip(evaluation.labels, metrics.confusion.T, strict=True))
    write_csv(folder / "confusion.csv", {"label": evaluation.labels, **counts})
    lines = [_markdown(evaluation, metrics, list(pictures)), *sections(evaluation, folder)]
    write_text(folder / "evaluation.md", "\n".join(lines))


def summary(evaluation: Evaluation, metrics: Metrics) -> str:
    """The figures for the terminal."""
    return f"{evaluation.split}, 95 % intervals\n{as_text(facts(evaluation, metrics))}"


def _markdown(evaluation: Evaluation, metrics: Metrics, pictures: list[str]) -> str:
    lines = [
        f"# {evaluation.name} on {evaluation.split} of {evaluation.data}",
        "",
        f"95 % bootstrap intervals over images in brackets; views averaged: {evaluation.views}; "
        f"temperature {evaluation.temperature:g}.",
        "",
        *as_markdown(facts(evaluation, metrics)),
        "",
        f"{evaluation.parameters / 1e6:.2f} M parameters, {evaluation.macs / 1e6:.0f} M "
        f"multiply-accumulates; {evaluation.latency_ms:.2f} ms for one face on one CPU thread.",
        "",
        "```",
        metrics.report.rstrip("\n"),
        "```",
        "",
        *(f"![{Path(name).stem.replace('_', ' ')}]({name})\n" for name in pictures),
    ]
    return "\n".join(lines)
