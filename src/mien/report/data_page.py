"""A data set's page: its statistics as tables, figures and one HTML file."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import Dataset, Split
from mien.data.statistics import Frame, Statistics, describe
from mien.errors import InputError
from mien.files import replacing, write_json, write_text
from mien.report import figures
from mien.report.page import data_uri, render
from mien.report.tables import Column, Table, count, percent, plain

_PICTURES = ("samples", "mean_faces")
"""Figures of pictures; the others are drawings."""
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
    tables, draws = _tables(statistics), _figures(statistics)
    pictures = {name: figures.png(draw()) for name, draw in draws.items()}
    page = render(
        "data.html.j2",
        s=statistics,
        tables=tables,
        uri={name: data_uri(pictures[name]) for name in _PICTURES},
        drawn={n: figures.drawing(draw) for n, draw in draws.items() if n not in _PICTURES},
    )
    for name, picture in pictures.items():
        with replacing(out / f"{name}.png") as file:
            file.write(picture)
    for name in ("counts", "class_weights", "histogram"):
        tables[name].write_csv(out / f"{name}.csv")
    write_json(out / "statistics.json", statistics.to_json())
    write_text(out / "index.html", page)
    return out / "index.html"


def _tables(s: Statistics) -> dict[str, Table]:
    """Of the page and the files, by name."""
    counts = s.counts.assign(total=s.counts.sum(axis=1)).T
    counts = counts.assign(total=counts.sum(axis=1)).T.rename_axis("label")
    label, split = Column("label", "class"), Column("split", "split")
    images, share = Column("images", "images", count), Column("share", "share, %", percent())
    groups = Column("groups", "groups", count)
    conflicting = Column("conflicting", "with different labels", count)
    return {
        "counts": _table(counts, label, *(Column(name, name, count) for name in counts)),
        "class_weights": _table(
            s.weights,
            label,
            Column(s.weights.columns[0], "images", count),
            Column("share", "share, %", percent(1)),
            Column("weight", "weight", plain()),
        ),
        "histogram": _table(
            s.histogram.stack(future_stack=True).rename("pixels"),
            *(Column(name, name) for name in ("split", "label", "intensity", "pixels")),
        ),
        "intensity": _table(
            s.splits,
            split,
            Column("intensity_mean", "mean", plain()),
            Column("intensity_std", "standard deviation", plain()),
            Column("blank_images", "blank images", count),
        ),
        "duplicates": _table(s.duplicates, split, images, share, groups, conflicting),
        "overlaps": _table(
            s.overlaps, Column("split", "images of"), Column("other", "also in"), images, share
        ),
    }


def _table(frame: Frame, *columns: Column) -> Table:
    return Table(columns, frame.reset_index().to_dict("records"))


def _figures(s: Statistics) -> dict[str, Callable[[], Any]]:
    """What draws each figure, by name."""
    reference, weights = s.data.splits[s.reference], s.weights["weight"]
    counts = s.counts[s.reference][lambda images: images > 0]
    ratio = counts.sort_values(ascending=False, kind="stable") / counts.min()
    totals = {name: s.histogram.loc[name].sum() for name in s.data.splits}
    return {
        "counts": partial(figures.bars, s.data.labels, s.counts.to_dict("list"), "images"),
        "class_weights": partial(
            figures.bars,
            counts.index,
            {"weight": weights[counts.index]},
            "weight in the loss",
            "{:.4f}",
        ),
        "imbalance": partial(
            figures.bars,
            ratio.index,
            {"ratio": ratio},
            "images for each one of the rarest class",
            "{:.1f}",
        ),
        "samples": partial(
            figures.picture_rows,
            {label: _samples(reference, s.data.labels.index(label)) for label in counts.index},
        ),
        "mean_faces": partial(figures.picture_grid, s.mean_faces),
        "histogram": partial(
            figures.lines,
            np.arange(256),
            {name: 100 * (total / total.sum()).to_numpy() for name, total in totals.items()},
            ("intensity (0 black, 255 white)", "pixels, %"),
        ),
    }


def _samples(split: Split, label: int) -> NDArray[np.uint8]:
    """(SAMPLES, H, W): images of a class, the same at every call; white where it has fewer."""
    rows = np.flatnonzero(split.labels == label)
    chosen = np.sort(np.random.default_rng(label).permutation(rows)[:SAMPLES])
    images = split.images[chosen]
    return np.pad(images, ((0, SAMPLES - len(images)), (0, 0), (0, 0)), constant_values=255)
