"""A data set's page: its statistics as tables, figures and one HTML file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import Dataset, Split
from mien.data.statistics import Statistics, describe
from mien.errors import InputError
from mien.files import csv_text, replacing, write_json, write_text
from mien.report import figures
from mien.report.page import data_uri, render

SAMPLES = 10
"""Pictures of each class in the sample grid."""

Row = Sequence[object]


def write_statistics(data: Dataset, out: Path) -> Path:
    """The page `out/index.html`, written with all that it shows beside it.

    `counts.csv`, `class_weights.csv`, `histogram.csv`, `statistics.json`, and as PNG `counts`,
    `class_weights`, `imbalance`, `samples`, `mean_faces` and `histogram`. The page needs none of
    them. InputError if `out` is a file, MissingExtra without mien[report].
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; choose a folder for the statistics")
    statistics = describe(data)
    pictures = _pictures(statistics, data.splits[statistics.reference])
    page = render(
        "data.html.j2",
        s=statistics,
        baseline=_baseline(statistics),
        tables=_page_tables(statistics),
        uri={name: data_uri(picture) for name, picture in pictures.items()},
    )
    for name, picture in pictures.items():
        with replacing(out / f"{name}.png") as file:
            file.write(picture)
    for name, rows in _csv_tables(statistics).items():
        write_text(out / f"{name}.csv", csv_text(rows))
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


def _count_rows(s: Statistics) -> list[list[object]]:
    table = np.stack(list(s.counts.values()), 1)
    rows = [[name, *row, sum(row)] for name, row in zip(s.labels, table.tolist(), strict=True)]
    return [*rows, ["total", *table.sum(0).tolist(), int(table.sum())]]


def _csv_tables(s: Statistics) -> dict[str, list[Row]]:
    """Rows by file name, each table with its header; the histogram in long form."""
    counts = s.counts[s.reference].tolist()
    weights = zip(s.labels, counts, s.weights.tolist(), strict=True)
    return {
        "counts": [["label", *s.counts, "total"], *_count_rows(s)],
        "class_weights": [["label", f"{s.reference}_images", "weight"], *weights],
        "histogram": [
            ["split", "label", "intensity", "pixels"],
            *(
                [split, label, intensity, pixels]
                for split, histogram in s.histograms.items()
                for label, row in zip(s.labels, histogram.tolist(), strict=True)
                for intensity, pixels in enumerate(row)
            ),
        ],
    }


def _page_tables(s: Statistics) -> dict[str, list[Row]]:
    """Rows of formatted cells by table of the page, without headers."""
    counts = s.counts[s.reference]
    return {
        "counts": [
            [name, *(f"{number:,}" for number in numbers)] for name, *numbers in _count_rows(s)
        ],
        "weights": [
            [label, f"{count:,}", f"{count / counts.sum():.1%}", f"{weight:.4f}"]
            for label, count, weight in zip(s.labels, counts, s.weights, strict=True)
        ],
        "intensity": [
            [name, f"{s.mean[name]:.4f}", f"{s.std[name]:.4f}", f"{s.blank[name]:,}"]
            for name in s.counts
        ],
        "duplicates": [
            [name, f"{d.images:,}", f"{d.share:.2%}", f"{d.groups:,}", f"{d.conflicting:,}"]
            for name, d in {**s.duplicates_within, "all together": s.duplicates}.items()
        ],
        "overlaps": [[o.split, o.other, f"{o.images:,}", f"{o.share:.2%}"] for o in s.overlaps],
    }
