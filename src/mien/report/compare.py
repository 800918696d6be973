"""Several evaluations side by side, on one page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data import Dataset
from mien.errors import NotComparable
from mien.evaluate.calibration import coverage, reliability
from mien.evaluate.metrics import to_json
from mien.evaluate.paired import Difference, differences
from mien.files import check_folder, replacing, write_csv, write_json, write_text
from mien.report import words
from mien.report.candidates import (
    Candidate,
    Pooled,
    evaluation_folder,
    histories,
    open_candidates,
    pool,
)
from mien.report.curves import (
    accuracy_by_cost,
    all_curves,
    confusion_matrix,
    coverage_curves,
    learning_curves,
    recalls,
    reliability_diagrams,
)
from mien.report.gallery import gallery
from mien.report.page import data_uri, render
from mien.report.robustness import (
    comparison_figure,
    comparison_rows,
    comparison_table,
    robust_candidates,
)

Row = dict[str, str]
Table = dict[str, list[Any]]
_SUBSETS = {
    "deduplicated": "accuracy without training copies, %",
    "ferplus": "agreement with FER+, %",
    "ferplus_agreed": "accuracy where FER+ agrees, %",
}
_POINTS = 100
"""Points of a coverage curve that are kept in its table."""


def compare(paths: list[Path], out: Path, split: str, data: Dataset | None = None) -> Path:
    """Write index.html, comparison.md and every table and figure to `out`; the page's path.

    With `data`, the page shows the surest right and wrong answers of the best model. Raises
    NotComparable unless all were scored on the same images with the same labels, and InputError if
    `out` is the folder of one of them.
    """
    check_folder("--out", out, [*paths, *(evaluation_folder(path, split) for path in paths)])
    candidates = open_candidates(paths, split)
    found = differences({c.name: c.right for c in candidates})
    pooled = pool(candidates)
    pictures = _pictures(candidates)
    if data is not None:
        pictures["gallery.png"] = gallery(candidates[0].evaluation, _images(candidates, data))
    robust = robust_candidates(candidates)
    if robust:
        pictures["robustness.png"] = comparison_figure(robust)
    for name, picture in pictures.items():
        with replacing(out / name) as file:
            file.write(picture)
    more = comparison_rows(robust)
    rows = _filled([{**_row(c), **more.get(c.name, {})} for c in candidates])
    tables = {
        "comparison": {heading: [row[heading] for row in rows] for heading in rows[0]},
        "differences": _differences(found),
        "seeds": _seeds(pooled),
        "classes": _classes(candidates),
        "confusion": _confusions(candidates),
        "reliability": _reliability(candidates),
        "coverage": _coverage(candidates),
        "history": _histories(candidates),
        "robustness": comparison_table(robust),
    }
    for name, table in tables.items():
        if table:
            write_csv(out / f"{name}.csv", table)
    write_json(
        out / "metrics.json",
        {
            "models": {c.name: to_json(c.metrics, c.evaluation.labels) for c in candidates},
            **{name: tables[name] for name in ("differences", "seeds", "robustness")},
        },
    )
    sentences = words.verdict(candidates, found, pooled)
    write_text(out / "comparison.md", _markdown(candidates, rows, sentences, list(pictures)))
    page = render(
        "compare.html.j2",
        candidates=candidates,
        runs=list(histories(candidates)),
        first=candidates[0].evaluation,
        header=list(rows[0]),
        rows=[list(r.values()) for r in rows],
        differences=found,
        pooled=pooled,
        sentences=sentences,
        caveats=words.caveats(candidates),
        pictures={name: data_uri(picture) for name, picture in pictures.items()},
    )
    write_text(out / "index.html", page)
    return out / "index.html"


def _images(candidates: list[Candidate], data: Dataset) -> NDArray[np.uint8]:
    first = candidates[0].evaluation
    split = data.split(first.split)
    if split.digest != first.digest:
        raise NotComparable(f"{data.name} does not hold the images of {first.split} scored here")
    return split.images


def _row(candidate: Candidate) -> Row:
    """The report's Table 1, and what a user weighs besides."""
    evaluation, metrics, history = candidate.evaluation, candidate.metrics, candidate.history
    published = candidate.published
    best = history.best if history else 0
    calibration, sure = metrics.calibration, evaluation.sure().accuracy
    return {
        "model": candidate.name,
        f"{evaluation.split} accuracy, % [95 %]": metrics.accuracy.percent(),
        **{
            _SUBSETS[name]: subset.accuracy.percent()
            for name, subset in evaluation.subsets().items()
        },
        "accuracy of the surest 80 %, %": sure.percent(),
        "macro-recall, %": metrics.macro_recall.percent(),
        "macro-F1, %": metrics.macro_f1.percent(),
        f"{evaluation.split} loss": calibration.loss.plain(),
        "calibration error (ECE), %": calibration.ece.percent(),
        "Brier score": calibration.brier.plain(),
        "loss at temperature 1": evaluation.uncalibrated().loss.plain(),
        "temperature": f"{evaluation.temperature:g}",
        "views": evaluation.views,
        "validation accuracy, %": f"{100 * history['val_accuracy'][best]:.2f}" if history else "-",
        "validation loss": f"{history['val_loss'][best]:.4f}" if history else "-",
        "report's accuracy, %": f"{100 * published:.2f}" if published else "-",
        "complexity": words.complexity(evaluation.macs),
        "parameters, M": f"{evaluation.parameters / 1e6:.2f}",
        "MACs, M": f"{evaluation.macs / 1e6:.0f}",
        "size, MB": f"{evaluation.size_mb:.1f}",
        "CPU, ms/face": f"{evaluation.latency_ms:.1f}",
        "training, s/epoch": f"{history.seconds_per_epoch:.0f}" if history else "-",
        "epochs": str(len(history.epochs)) if history else "-",
    }


def _filled(rows: list[Row]) -> list[Row]:
    """The same columns in every row: not every evaluation has every score."""
    longest = max(rows, key=len)
    return [{heading: row.get(heading, "-") for heading in longest} for row in rows]


def _differences(found: Sequence[Difference]) -> Table:
    return _table(
        {
            "better": d.better,
            "worse": d.worse,
            "difference": d.accuracy.value,
            "low": d.accuracy.low,
            "high": d.accuracy.high,
            "only_better_right": d.wins,
            "only_worse_right": d.losses,
            "p": d.p,
            "p_holm": d.adjusted,
        }
        for d in found
    )


def _seeds(pooled: Sequence[Pooled]) -> Table:
    return _table(
        {
            "recipe": p.recipe,
            "runs": p.runs,
            **{
                f"{name}_{part}": value
                for name in ("accuracy", "macro_recall", "loss", "ece")
                for part, value in zip(("mean", "sd"), getattr(p, name), strict=True)
            },
        }
        for p in pooled
    )


def _classes(candidates: Sequence[Candidate]) -> Table:
    return _table(
        {
            "model": c.name,
            "class": label,
            "images": found.images,
            **{
                f"{name}{end}": getattr(getattr(found, name), part)
                for name in ("recall", "precision", "f1")
                for end, part in (("", "value"), ("_low", "low"), ("_high", "high"))
            },
        }
        for c in candidates
        for label, found in zip(c.evaluation.labels, c.metrics.classes, strict=True)
    )


def _confusions(candidates: Sequence[Candidate]) -> Table:
    return _table(
        {"model": c.name, "label": label, **dict(zip(c.evaluation.labels, row, strict=True))}
        for c in candidates
        for label, row in zip(c.evaluation.labels, c.metrics.confusion, strict=True)
    )


def _reliability(candidates: Sequence[Candidate]) -> Table:
    return _table(
        {"model": c.name, "temperature": temperature, **dict(zip(columns, row, strict=True))}
        for c in candidates
        for temperature, probabilities in (
            (1.0, c.evaluation.untempered),
            (c.evaluation.temperature, c.evaluation.probabilities),
        )
        for columns in [reliability(probabilities, c.evaluation.truth).to_columns()]
        for row in zip(*columns.values(), strict=True)
    )


def _coverage(candidates: Sequence[Candidate]) -> Table:
    rows = []
    for c in candidates:
        columns = coverage(c.evaluation.probabilities, c.evaluation.truth).to_columns()
        points = np.unique(np.linspace(0, len(columns["coverage"]) - 1, _POINTS).astype(int))
        rows += [{"model": c.name, **{k: v[i] for k, v in columns.items()}} for i in points]
    return _table(rows)


def _histories(candidates: list[Candidate]) -> Table:
    columns = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")
    return _table(
        {"model": run, "epoch": epoch, **{name: history[name][i] for name in columns}}
        for run, history in histories(candidates).items()
        for i, epoch in enumerate(history.epochs)
    )


def _table(rows: Any) -> Table:
    """Rows as columns; nothing for no rows."""
    rows = list(rows)
    return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}


def _pictures(candidates: list[Candidate]) -> dict[str, bytes]:
    trained = histories(candidates)
    labels = candidates[0].evaluation.labels
    costs = {c.name: (c.macs, c.metrics.accuracy) for c in candidates}
    pictures = {"cost.png": accuracy_by_cost(costs)}
    pictures |= {f"curves_{name}.png": learning_curves(h, name) for name, h in trained.items()}
    if trained:
        pictures["curves_all.png"] = all_curves(trained)
    for c in candidates:
        pictures[f"confusion_{c.name}.png"] = confusion_matrix(c.metrics.confusion, labels, c.name)
    pictures["recall.png"] = recalls({c.name: c.metrics.classes for c in candidates}, labels)
    truth = candidates[0].evaluation.truth
    pictures["reliability.png"] = reliability_diagrams(
        {c.name: reliability(c.evaluation.untempered, truth) for c in candidates},
        {c.name: reliability(c.evaluation.probabilities, truth) for c in candidates},
    )
    pictures["coverage.png"] = coverage_curves(
        {c.name: coverage(c.evaluation.probabilities, truth) for c in candidates}
    )
    return pictures


def _markdown(
    candidates: list[Candidate], rows: list[Row], sentences: list[str], pictures: list[str]
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
