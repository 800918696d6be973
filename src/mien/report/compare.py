"""Several evaluations side by side, on one page."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data import Dataset
from mien.errors import NotComparable
from mien.evaluate.calibration import coverage, reliability
from mien.evaluate.intervals import Estimate, Spread
from mien.evaluate.metrics import to_json
from mien.evaluate.paired import Difference, differences
from mien.files import check_folder, replacing, write_json, write_text
from mien.report import facts, narrative
from mien.report.compare_page import DRAWN, Parts, compare_page, figures
from mien.report.curves import confusion_matrix
from mien.report.entries import Entry, Pool, evaluation_folder, histories, open_entries, pools
from mien.report.figures import png
from mien.report.gallery import gallery
from mien.report.references import Published, Reference
from mien.report.robustness import (
    comparison_figure,
    comparison_rows,
    comparison_table,
    robust_entries,
)
from mien.report.tables import (
    Column,
    Row,
    Table,
    count,
    general,
    percent,
    plain,
    scaled,
    table_of,
)

_CONFUSIONS = 3
"""Matrices that are drawn, each in the time of a figure of all models; confusion.csv has all."""

_COLUMNS = (
    Column("model", "model"),
    Column("seeds", "seeds"),
    *facts.columns(),
    Column("robust", "accuracy on corrupted faces, %", percent()),
    Column("robust_images", "corrupted images", count),
    Column("mce", "mean corruption error, %", percent(1), falls=True),
    Column("mce_baseline", "relative to"),
    Column("published", "published accuracy, %", percent()),
    Column("published_n", "published on images", count),
    Column("published_source", "source"),
    Column("temperature", "temperature", general(4)),
    Column("views", "views"),
    Column("complexity", "complexity"),
    Column("parameters", "parameters, M", scaled(1e6, 2), falls=True),
    Column("macs", "MACs, M", scaled(1e6, 0), falls=True),
    Column("size_mb", "size, MB", plain(1), falls=True),
    Column("latency_ms", "CPU, ms/face", plain(1), falls=True),
    Column("val_accuracy", "validation accuracy, %", percent()),
    Column("val_loss", "validation loss", plain(), falls=True),
    Column("fit", "fit"),
    Column("epochs", "epochs", general(1), falls=True),
    Column("epoch_s", "training, s/epoch", plain(0), falls=True),
    Column("training_s", "training, min", scaled(60, 1), falls=True),
)
_SHOWN = {
    "Accuracy": ("accuracy", "field", "macro_recall", "macro_f1", "seeds"),
    "Accuracy on parts of the images": ("deduplicated", "ferplus", "ferplus_agreed", "sure"),
    "Probabilities": ("loss", "ece", "brier", "loss_at_1", "temperature"),
    "Corrupted faces": ("robust", "robust_images", "mce", "mce_baseline"),
    "Published figures": ("accuracy", "published", "published_n", "published_source"),
    "Cost": ("parameters", "macs", "size_mb", "latency_ms", "complexity"),
    "Training": ("val_accuracy", "val_loss", "epochs", "epoch_s", "training_s"),
}
"""The tables of comparison.md, by title; none is wider than six columns with the model's name."""
_SEEDS = ("recipe", "accuracy", "field", "macro_recall", "loss", "ece")
_DIFFERENCES = (
    Column("better", "more accurate"),
    Column("worse", "less accurate"),
    Column("difference", "points [95 %]", percent()),
    Column("only_better_right", "only the first right", count),
    Column("only_worse_right", "only the second right", count),
    Column("p", "p"),
    Column("p_holm", "p, Holm", lambda p: "< 0.001" if p < 0.001 else f"{p:.3f}"),
)
_POINTS = 100
"""Points of a coverage curve that are kept in its table."""


def compare(
    paths: list[Path],
    out: Path,
    split: str,
    data: Dataset | None = None,
    reference: Reference | None = None,
) -> Path:
    """Write index.html, comparison.md and every table and figure to `out`; the page's path.

    With `data`, the page shows the surest right and wrong answers of the best model; with a
    `reference`, published figures stand beside ours. Raises NotComparable unless all were scored on
    the same images with the same labels, and InputError if `out` is the folder of one of them.
    """
    check_folder("--out", out, [*paths, *(evaluation_folder(path, split) for path in paths)])
    entries = open_entries(paths, split)
    pooled = pools(entries)
    found = differences({entry.name: entry.right for entry in entries})
    tables = _tables(entries, found, pooled, reference)
    pictures = _pictures(entries, data)
    for name, picture in pictures.items():
        with replacing(out / name) as file:
            file.write(picture)
    for name, table in tables.items():
        table.write_csv(out / f"{name}.csv")
    models = {entry.name: to_json(entry.metrics, entry.evaluation.labels) for entry in entries}
    kept = {name: _json(tables[name]) for name in ("differences", "seeds", "robustness")}
    write_json(out / "metrics.json", {"models": models, **kept})
    shown = _shown(tables["comparison"], pooled)
    sentences = narrative.verdict(entries, found, pooled, reference)
    caveats = narrative.caveats(entries, reference)
    text = _markdown(entries, [*shown.items()], sentences, caveats, list(pictures))
    write_text(out / "comparison.md", text)
    parts = Parts(entries, found, pictures.get("gallery.png"))
    whole = Table(_COLUMNS, _pooled_rows(tables["comparison"], pooled))
    page = compare_page(parts, whole, tables["seeds"].only(*_SEEDS), sentences, caveats)
    write_text(out / "index.html", page)
    return out / "index.html"


def _tables(
    entries: Sequence[Entry],
    found: Sequence[Difference],
    pooled: Sequence[Pool],
    reference: Reference | None,
) -> dict[str, Table]:
    """Every table that is written to CSV, by name."""
    robust = robust_entries(entries)
    more = comparison_rows(robust)
    rows = [
        _row(entry, narrative.published(entry, reference)) | more.get(entry.name, {})
        for entry in entries
    ]
    return {
        "comparison": Table(_COLUMNS, rows).only(*(column.key for column in _COLUMNS)),
        "differences": Table(_DIFFERENCES, [_difference(d) for d in found]),
        "seeds": _seeds(rows, pooled),
        "classes": table_of(_classes(entries)),
        "confusion": table_of(_confusions(entries)),
        "reliability": table_of(_reliability(entries)),
        "coverage": table_of(_coverage(entries)),
        "history": table_of(_histories(entries)),
        "robustness": comparison_table(robust),
    }


def _row(entry: Entry, published: Published | None) -> Row:
    """Everything that is known of an entry, by the keys of `_COLUMNS`."""
    evaluation, history = entry.evaluation, entry.history
    row: Row = {"model": entry.name}
    row |= {"complexity": narrative.complexity(evaluation.macs)} if evaluation.macs else {}
    row |= {f.column.key: f.estimate for f in facts.facts(evaluation, entry.metrics)}
    row |= {name: getattr(evaluation, name) for name in ("temperature", "views")}
    costs = ("parameters", "macs", "size_mb", "latency_ms")
    row |= {name: getattr(evaluation, name) or None for name in costs}
    if published is not None:
        names = {"published": "accuracy", "published_n": "n", "published_source": "source"}
        row |= {key: getattr(published, name) for key, name in names.items()}
    if history is not None:
        row |= {name: history[name][history.best] for name in ("val_accuracy", "val_loss")}
        row |= {"epochs": len(history.epochs), "epoch_s": history.seconds_per_epoch}
        row |= {"training_s": history.seconds, "fit": narrative.fit(history)}
    return row


def _pooled(rows: Sequence[Row]) -> Row:
    """One row of those of several seeds: mean and standard deviation of what differs."""
    found: Row = {"seeds": len(rows)}
    for key, first in rows[0].items():
        values = [row.get(key) for row in rows]
        numbers = [v.value if isinstance(v, Estimate) else v for v in values]
        if all(value == first for value in values):
            found[key] = first
        elif all(isinstance(number, int | float) for number in numbers):
            found[key] = Spread.of(np.array(numbers, float).tolist())
    return found


def _seeds(rows: Sequence[Row], pooled: Sequence[Pool]) -> Table:
    by_name = {row["model"]: row for row in rows}
    columns = (Column("recipe", "recipe"), *(c for c in _COLUMNS if c.key != "model"))
    found = [
        _pooled([by_name[entry.name] for entry in pool.entries]) | {"recipe": pool.name}
        for pool in pooled
        if pool.seeds > 1
    ]
    kept = ("recipe", "seeds", *(c.key for c in facts.columns()), "val_accuracy", "training_s")
    return Table(columns, found).only(*kept)


def _pooled_rows(comparison: Table, pooled: Sequence[Pool]) -> list[Row]:
    """A row per recipe, seeds together."""
    by_name = {row["model"]: row for row in comparison.rows}
    rows = []
    for pool in pooled:
        found = [by_name[entry.name] for entry in pool.entries]
        together = {"model": f"{pool.name}, {pool.seeds} seeds"}
        rows.append(_pooled(found) | together if pool.seeds > 1 else found[0])
    return rows


def _shown(comparison: Table, pooled: Sequence[Pool]) -> dict[str, Table]:
    """The tables of comparison.md: a row per recipe."""
    whole = Table(_COLUMNS, _pooled_rows(comparison, pooled))
    tables = {title: whole.only("model", *keys) for title, keys in _SHOWN.items()}
    return {
        title: table
        for title, table in tables.items()
        if len(table.columns) > (2 if title == "Published figures" else 1)
    }


def _difference(found: Difference) -> Row:
    return {
        "better": found.better,
        "worse": found.worse,
        "difference": found.accuracy,
        "only_better_right": found.wins,
        "only_worse_right": found.losses,
        "p": found.p,
        "p_holm": found.adjusted,
    }


def _classes(entries: Sequence[Entry]) -> Iterator[Row]:
    for entry in entries:
        for label, found in zip(entry.evaluation.labels, entry.metrics.classes, strict=True):
            shares = {name: getattr(found, name) for name in ("recall", "precision", "f1")}
            yield {"model": entry.name, "class": label, "images": found.images, **shares}


def _confusions(entries: Sequence[Entry]) -> Iterator[Row]:
    for entry in entries:
        labels = entry.evaluation.labels
        for label, row in zip(labels, entry.metrics.confusion, strict=True):
            yield {"model": entry.name, "label": label, **dict(zip(labels, row, strict=True))}


def _reliability(entries: Sequence[Entry]) -> Iterator[Row]:
    for entry in entries:
        one = entry.evaluation
        for temperature, found in ((1.0, one.untempered), (one.temperature, one.probabilities)):
            for row in _rows(reliability(found, one.truth).to_columns()):
                yield {"model": entry.name, "temperature": temperature, **row}


def _coverage(entries: Sequence[Entry]) -> Iterator[Row]:
    for entry in entries:
        rows = _rows(coverage(entry.evaluation.probabilities, entry.evaluation.truth).to_columns())
        for point in np.unique(np.linspace(0, len(rows) - 1, _POINTS).astype(int)):
            yield {"model": entry.name, **rows[point]}


def _histories(entries: Sequence[Entry]) -> Iterator[Row]:
    names = ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "seconds")
    for run, history in histories(entries).items():
        columns = {"epoch": history.epochs, **{name: history[name] for name in names}}
        for row in _rows(columns):
            yield {"model": run, **row}


def _rows(columns: dict[str, Any]) -> list[Row]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _json(table: Table) -> dict[str, list[Any]]:
    """Columns of a table; what is not known is null."""
    columns = table.as_columns() if table else {}
    return {k: [None if v != v else v for v in values] for k, values in columns.items()}


def _pictures(entries: Sequence[Entry], data: Dataset | None) -> dict[str, bytes]:
    """Every figure of comparison.md, by file name."""
    best = entries[:DRAWN]
    robust, labels = robust_entries(entries), best[0].evaluation.labels
    drawn = {
        **{f"{name}.png": draw() for name, draw in figures(entries).items()},
        **{
            f"confusion_{e.name}.png": confusion_matrix(e.metrics.confusion, labels, e.name)
            for e in best[:_CONFUSIONS]
        },
    }
    if robust:
        drawn["robustness.png"] = comparison_figure({e.name: robust[e.name] for e in best})
    pictures = {name: png(figure) for name, figure in drawn.items()}
    if data is not None:
        pictures["gallery.png"] = gallery(best[0].evaluation, _images(best[0], data))
    return pictures


def _images(entry: Entry, data: Dataset) -> NDArray[np.uint8]:
    split = data.only(entry.evaluation.labels).split(entry.evaluation.split)
    read = split.digest, split.images.shape[1:]
    if not entry.evaluation.is_of(*read, split.names, split.labels):
        raise NotComparable(
            f"{data.name} does not hold the images of {entry.evaluation.split} scored here"
        )
    return split.shown


def _markdown(
    entries: Sequence[Entry],
    tables: Sequence[tuple[str, Table]],
    sentences: Sequence[str],
    caveats: Sequence[str],
    pictures: Sequence[str],
) -> str:
    first = entries[0].evaluation
    lines = [
        f"# {len(entries)} models on {first.split} of {first.data}",
        "",
        f"{len(first.truth):,} images. {' '.join(caveats)}",
        "",
    ]
    for title, table in tables:
        lines += [f"## {title}", "", *table.markdown(), ""]
    lines += [*(f"- {sentence}" for sentence in sentences), ""]
    for name in pictures:
        lines += [f"![{Path(name).stem.replace('_', ' ')}]({name})", ""]
    return "\n".join(lines)
