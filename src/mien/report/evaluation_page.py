"""What `mien evaluate` leaves beside its numbers: a page, Markdown, figures and their numbers."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from mien.evaluate import Evaluation, Metrics
from mien.evaluate.adversarial import adversarial_of
from mien.evaluate.calibration import coverage, reliability
from mien.evaluate.robustness import OCCLUDED, ROBUSTNESS, robustness_of
from mien.files import replacing, write_csv, write_text
from mien.report.curves import (
    confusion_matrix,
    coverage_curves,
    learning_curves,
    reliability_diagrams,
)
from mien.report.facts import as_markdown, as_text, facts
from mien.report.figures import drawing, png
from mien.report.page import render
from mien.report.robustness import attack_curves, attacks_shown, sections, shares
from mien.report.spoilt import spoilt_faces
from mien.report.tables import Column, Table, confusion_shares, count, percent
from mien.runs import RunFolder


def write_evaluation(
    evaluation: Evaluation, metrics: Metrics, folder: Path, run: RunFolder | None
) -> None:
    """Write index.html, evaluation.md and its figures: confusion matrices, reliability, coverage,
    and the learning curves of `run` if it is one; robustness, if that is in `folder` already."""
    name = evaluation.name
    probabilities, truth = evaluation.probabilities, evaluation.truth
    reliable = reliability(probabilities, truth)
    before = reliability(evaluation.untempered, truth)
    kept = coverage(probabilities, truth)
    unsure = {name: evaluation.unsure_below}
    figures: dict[str, Callable[[], Any]] = {
        "reliability": partial(reliability_diagrams, {name: before}, {name: reliable}),
        "coverage": partial(coverage_curves, {name: kept}, unsure),
    }
    if run is not None and run.has_history:
        figures["learning_curves"] = partial(learning_curves, run.history, name)
    matrix = partial(confusion_matrix, metrics.confusion, evaluation.labels, name)
    matrices = {"confusion": matrix, "confusion_counts": partial(matrix, normalised=False)}
    pictures = [f"{stem}.png" for stem in (*matrices, *figures)]
    for stem, draw in (matrices | figures).items():
        with replacing(folder / f"{stem}.png") as file:
            file.write(png(draw()))
    for stem, numbers in (("reliability", reliable), ("coverage", kept)):
        write_csv(folder / f"{stem}.csv", numbers.to_columns())
    counts = dict(zip(evaluation.labels, metrics.confusion.T, strict=True))
    write_csv(folder / "confusion.csv", {"label": evaluation.labels, **counts})
    lines = [_markdown(evaluation, metrics, pictures), *sections(evaluation, folder)]
    write_text(folder / "evaluation.md", "\n".join(lines))
    write_text(folder / "index.html", _page(evaluation, metrics, folder, figures))


def _page(
    evaluation: Evaluation, metrics: Metrics, folder: Path, figures: dict[str, Callable[[], Any]]
) -> str:
    stems = (ROBUSTNESS, OCCLUDED)
    spoilt = {stem: robustness_of(evaluation, folder, stem) for stem in stems}
    attacked = adversarial_of(evaluation, folder)
    if attacked is not None:
        figures = figures | {"attacks": partial(attack_curves, attacked)}
    return render(
        "evaluate.html.j2",
        evaluation=evaluation,
        facts=facts(evaluation, metrics),
        classes=_classes(evaluation, metrics),
        confusion=confusion_shares(metrics.confusion, evaluation.labels),
        drawn={name: drawing(draw) for name, draw in figures.items()},
        spoilt={stem: found and (found, shares(found)) for stem, found in spoilt.items()},
        attacks=attacked and attacks_shown(attacked),
        faces=spoilt_faces() if any(spoilt.values()) else {},
    )


def _classes(evaluation: Evaluation, metrics: Metrics) -> Table:
    shares = ("recall", "precision", "f1")
    columns = (Column(key, f"{key}, % [95 %]", percent(1)) for key in shares)
    rows = [
        {"label": label, "images": found.images, **{key: getattr(found, key) for key in shares}}
        for label, found in zip(evaluation.labels, metrics.classes, strict=True)
    ]
    return Table((Column("label", "class"), Column("images", "images", count), *columns), rows)


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
