"""The page of a comparison: models in a table, pairs in a matrix, the best in figures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from mien.evaluate.calibration import coverage, reliability
from mien.evaluate.paired import Difference
from mien.report.curves import (
    accuracy_by_cost,
    all_curves,
    coverage_curves,
    learning_curves,
    reliability_diagrams,
)
from mien.report.entries import Entry, histories
from mien.report.figures import drawing
from mien.report.page import data_uri, render
from mien.report.robustness import robust_entries
from mien.report.spoilt import spoilt_faces
from mien.report.tables import Table, confusion_shares

FIRST = (
    *("model", "accuracy", "field", "macro_recall", "loss", "ece", "parameters", "latency_ms"),
)
"""The columns that are shown at first."""
DRAWN = 10
"""The models of figures, the best; of the others the tables tell."""


@dataclass(frozen=True)
class Parts:
    """What a page is made of, best first."""

    entries: Sequence[Entry]
    differences: Sequence[Difference]
    gallery: bytes | None
    """PNG."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of the matrix of differences; `tone` says whether chance alone is unlikely."""

    text: str
    tone: str
    words: str


def compare_page(
    parts: Parts, models: Table, seeds: Table, sentences: Sequence[str], caveats: Sequence[str]
) -> str:
    """HTML."""
    best = parts.entries[:DRAWN]
    labels = best[0].evaluation.labels
    robust = robust_entries(parts.entries)
    return render(
        "compare.html.j2",
        entries=parts.entries,
        best=best,
        first=best[0].evaluation,
        models=models.only(*dict.fromkeys((*FIRST, *(c.key for c in models.columns)))),
        shown=FIRST,
        seeds=seeds,
        sentences=sentences,
        caveats=caveats,
        pairs=len(parts.differences),
        matrix=matrix(parts.entries, parts.differences),
        drawn={name: drawing(draw) for name, draw in figures(parts.entries).items()},
        runs=list(histories(best)),
        recalls={
            e.name: {n: c.recall.value for n, c in zip(labels, e.metrics.classes, strict=True)}
            for e in best
        },
        confusions={e.name: confusion_shares(e.metrics.confusion, labels) for e in best},
        robust=_robust({e.name: robust[e.name] for e in best if robust}),
        faces=spoilt_faces() if robust else {},
        gallery=parts.gallery and data_uri(parts.gallery),
    )


def figures(entries: Sequence[Entry]) -> dict[str, Callable[[], Any]]:
    """What draws each figure of the best, by name."""
    best = entries[:DRAWN]
    runs, truth = histories(best), best[0].evaluation.truth
    cost = {e.name: (e.macs, e.metrics.accuracy) for e in entries if e.macs}
    before = {e.name: reliability(e.evaluation.untempered, truth) for e in best}
    after = {e.name: reliability(e.evaluation.probabilities, truth) for e in best}
    kept = {e.name: coverage(e.evaluation.probabilities, truth) for e in best}
    named = sum(e.macs > 0 for e in best)
    return {
        **({"cost": partial(accuracy_by_cost, cost, named)} if cost else {}),
        **({"curves_all": partial(all_curves, runs)} if runs else {}),
        **{f"curves_{name}": partial(learning_curves, h, name) for name, h in runs.items()},
        "reliability": partial(reliability_diagrams, before, after),
        "coverage": partial(coverage_curves, kept),
    }


def matrix(
    entries: Sequence[Entry], differences: Sequence[Difference]
) -> dict[tuple[str, str], Cell | None]:
    """Of each pair (row, column) by how many points the row's model is more accurate."""
    found: dict[tuple[str, str], Cell | None] = {(e.name, e.name): None for e in entries}
    for d in differences:
        value, low, high = (100 * v for v in (d.accuracy.value, d.accuracy.low, d.accuracy.high))
        p = "p < 0.001" if d.adjusted < 0.001 else f"p = {d.adjusted:.3f}"
        verdict = "" if d.real else "; chance alone may be the reason"
        words = (
            f"{d.better} is {value:.1f} points [{low:.1f}, {high:.1f}] above {d.worse} "
            f"({p}{verdict})"
        )
        text = f"{value:.1f}"
        plus, minus = ("", "") if text == "0.0" else ("+", "−")
        found[d.better, d.worse] = Cell(plus + text, "better" if d.real else "", words)
        found[d.worse, d.better] = Cell(minus + text, "worse" if d.real else "", words)
    return found


def _robust(found: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Corruption → model → accuracy over the severities; clean images first."""
    if not found:
        return {}
    kinds = next(iter(found.values())).scores
    return {
        "clean": {name: one.clean.value for name, one in found.items()},
        **{k: {name: one.means[k].value for name, one in found.items()} for k in kinds},
    }
