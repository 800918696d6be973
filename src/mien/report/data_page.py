"""A data set's page: its statistics as tables, figures and one HTML file."""

import dataclasses
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import Dataset, Split
from mien.data.statistics import Statistics, describe
from mien.errors import InputError
from mien.files import replacing, write_json, write_text
from mien.report import figures
from mien.report.page import data_uri, render
from mien.report.tables import Column, Row, Table, count, percent, plain, table_of

_MOMENTS = (
    Column("split", "split"),
    Column("mean", "mean", plain()),
    Column("std", "standard deviation", plain()),
    Column("blank", "blank images", count),
)
_TWINS = (
    Column("split", "split"),
    Column("images", "images", count),
    Column("share", "share, %", percent()),
    Column("groups", "sets of twins", count),
    Column("conflicting", "with more than one label", count),
)
_OVERLAPS = (
    Column("split", "images of"),
    Column("other", "also in"),
    Column("images", "images", count),
    Column("share", "share, %", percent()),
)
SAMPLES = 10
"""Pictures of each class in the sample grid."""


def write_statistics(data: Dataset, out: Path) -> Path:
    """The page `out/index.html`, written with all that it shows beside it.

    `counts.csv`, `class_weights.csv`, `histogram.csv`, `statistics.json`, and as PNG `counts`,
    `class_weights`, `imbalance`, `samples`, `mean_faces` and `histogram`. The page needs none of
    them. InputError if `out` is a file, MissingExtra without mien[report].
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; choose a folder for the statistics")
    statistics = describe(data)
    tables = _tables(statistics)
    pictures = _pictures(statistics, data.splits[statistics.reference])
    page = render(
        "data.html.j2",
        s=statistics,
        baseline=_baseline(statistics),
        tables=tables,
        uri={name: data_uri(picture) for name, picture in pictures.items()},
    )
    for name, picture in pictures.items():
        with replacing(out / f"{name}.png") as file:
            file.write(picture)
    for name in ("counts", "class_weights"):
        tables[name].write_csv(out / f"{name}.csv")
    _histogram(statistics).write_csv(out / "histogram.csv")
    write_json(out / "statistics.json", statistics.to_json())
    write_text(out / "index.html", page)
    return out / "index.html"


def _baseline(s: Statistics) -> list[tuple[str, str, float]]:
    """Split, most frequent class of the reference split, and the share it makes up here, 0-1.

    One entry for each other split: the accuracy there of a model that always says that class.
    """
    label = int(s.counts[s.reference].argmax())
    return [
        (name, s.labels[label], float(counts[label] / counts.sum()))
        for name, counts in s.counts.items()
        if name != s.reference
    ]


# Figures


def _pictures(s: Statistics, reference: Split) -> dict[str, bytes]:
    """PNG of each figure by name."""
    present = np.flatnonzero(s.counts[s.reference])
    counts = s.counts[s.reference][present]
    order = np.argsort(-counts, kind="stable")
    ratio = (counts / counts.min())[order]
    names = [s.labels[label] for label in present]
    drawn = {
        "counts": figures.bars(
            s.labels, {name: c.tolist() for name, c in s.counts.items()}, "images"
        ),
        "class_weights": figures.bars(
            names, {"weight": s.weights[present].tolist()}, "weight in the loss", "{:.4f}"
        ),
        "imbalance": figures.bars(
            [names[place] for place in order],
            {"ratio": ratio.tolist()},
            "images for each one of the rarest class",
            "{:.1f}",
        ),
        "samples": figures.picture_rows(
            {s.labels[label]: _samples(reference, int(label)) for label in present}
        ),
        "mean_faces": figures.picture_grid(
            {s.labels[label]: s.mean_faces[label] for label in present}
        ),
        "histogram": _intensity_lines(s),
    }
    return {name: figures.png(figure) for name, figure in drawn.items()}


def _intensity_lines(s: Statistics) -> object:
    totals = {name: histogram.sum(0) for name, histogram in s.histograms.items()}
    return figures.lines(
        np.arange(256),
        {name: 100 * total / total.sum() for name, total in totals.items()},
        ("intensity (0 black, 255 white)", "pixels, %"),
    )


def _samples(split: Split, label: int) -> NDArray[np.uint8]:
    """(SAMPLES, H, W): images of a class, the same at every call; white where it has fewer."""
    rows = np.flatnonzero(split.labels == label)
    chosen = np.sort(np.random.default_rng(label).permutation(rows)[:SAMPLES])
    images = split.images[chosen]
    return np.pad(images, ((0, SAMPLES - len(images)), (0, 0), (0, 0)), constant_values=255)


# Tables


def _tables(s: Statistics) -> dict[str, Table]:
    """Of the page and the files, by name."""
    moments = [
        {"split": name, "mean": s.mean[name], "std": s.std[name], "blank": s.blank[name]}
        for name in s.counts
    ]
    duplicates = {**s.duplicates_within, "all together": s.duplicates}
    twins: list[Row] = [{"split": k, **dataclasses.asdict(v)} for k, v in duplicates.items()]
    return {
        "counts": _counts(s),
        "class_weights": _weights(s),
        "intensity": Table(_MOMENTS, moments),
        "duplicates": Table(_TWINS, twins),
        "overlaps": Table(_OVERLAPS, [dataclasses.asdict(overlap) for overlap in s.overlaps]),
    }


def _counts(s: Statistics) -> Table:
    by_split = np.stack([*s.counts.values(), sum(s.counts.values())], 1)
    names = (*s.counts, "total")
    rows: list[Row] = [
        {"label": label, **dict(zip(names, numbers, strict=True))}
        for label, numbers in zip(
            [*s.labels, "total"], [*by_split.tolist(), by_split.sum(0).tolist()], strict=True
        )
    ]
    columns = (Column(name, name, count) for name in names)
    return Table((Column("label", "class"), *columns), rows)


def _weights(s: Statistics) -> Table:
    counts, images = s.counts[s.reference], f"{s.reference}_images"
    columns = (
        Column("label", "class"),
        Column(images, "images", count),
        Column("share", "share, %", percent(1)),
        Column("weight", "weight", plain()),
    )
    rows: list[Row] = [
        {"label": label, images: int(n), "share": n / counts.sum(), "weight": weight}
        for label, n, weight in zip(s.labels, counts, s.weights, strict=True)
    ]
    return Table(columns, rows)


def _histogram(s: Statistics) -> Table:
    """A row per split, class and intensity."""
    return table_of(
        {"split": split, "label": label, "intensity": intensity, "pixels": pixels}
        for split, histogram in s.histograms.items()
        for label, row in zip(s.labels, histogram.tolist(), strict=True)
        for intensity, pixels in enumerate(row)
    )
