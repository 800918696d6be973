import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.data import Dataset, Split
from mien.data.drawn import draw_face
from mien.errors import InputError
from mien.labels import FER2013

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")
from mien.report.data_page import write_statistics

FIGURES = ("counts", "class_weights", "imbalance", "samples", "mean_faces", "histogram")


def drawn(name: str, labels: list[int], seed: int) -> Split:
    rng = np.random.default_rng(seed)
    images = np.stack([draw_face(FER2013[label % 7], rng) for label in labels])
    return Split(name, images, np.array(labels), np.array([f"{name}/{n}" for n in labels]))


def dataset(labels: tuple[str, ...], **splits: list[int]) -> Dataset:
    parts = {name: drawn(name, row, len(name)) for name, row in splits.items()}
    return Dataset("<drawn>", labels, parts)


CASES = {
    "fer2013": dataset(FER2013, train=[*range(7), 3, 3], public=[0, 3], private=[3, 6]),
    "train only": dataset(FER2013, train=[*range(7)]),
    "no train": dataset(("no", "yes"), test=[0, 1, 1]),
    "an empty class": dataset(("a", "b", "c"), train=[0, 2, 2], val=[1]),
    "nine classes": dataset(tuple("abcdefghi"), train=[*range(9)]),
    "one class": dataset(("face",), train=[0]),
}


class Page(HTMLParser):
    """What a reader's browser is asked for."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.headings: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.outside: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(tag)
        if tag == "img":
            self.images.append(values)
        for name in ("src", "href"):
            if not (values.get(name) or "data:").startswith("data:"):
                self.outside.append(f"{tag} {values[name]}")


@pytest.mark.parametrize("case", CASES)
def test_writes_page_tables_and_figures(tmp_path: Path, case: str) -> None:
    data = CASES[case]
    index = write_statistics(data, tmp_path / "out")
    assert index == tmp_path / "out" / "index.html"
    html = index.read_text()
    page = Page(html)
    assert page.outside == []
    assert "url(" not in html
    assert len(page.images) == len(FIGURES)
    assert all(image["alt"] for image in page.images)
    assert page.headings == ["h1"] + ["h2"] * 5
    assert "&lt;drawn&gt;" in html
    for name in FIGURES:
        assert cv2.imread(str(tmp_path / "out" / f"{name}.png")) is not None
    with (tmp_path / "out" / "counts.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == [*data.labels, "total"]
    assert int(rows[-1]["total"]) == sum(len(split) for split in data.splits.values())


def test_tables_agree_with_one_another(tmp_path: Path) -> None:
    data = CASES["fer2013"]
    write_statistics(data, tmp_path)
    facts = json.loads((tmp_path / "statistics.json").read_text())
    with (tmp_path / "class_weights.csv").open() as file:
        weights = {row["label"]: float(row["weight"]) for row in csv.DictReader(file)}
    assert facts["class_weights"]["weights"] == weights
    assert weights["happy"] == pytest.approx(9 / (7 * 3))
    with (tmp_path / "histogram.csv").open() as file:
        pixels = sum(int(row["pixels"]) for row in csv.DictReader(file))
    assert pixels == sum(split.images.size for split in data.splits.values())
    assert "is right for 50.0% of <code>public</code>" in (tmp_path / "index.html").read_text()


def test_the_same_data_gives_the_same_page(tmp_path: Path) -> None:
    one, two = (write_statistics(CASES["train only"], tmp_path / name) for name in "ab")
    assert one.read_bytes() == two.read_bytes()


def test_refuses_a_file_as_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(InputError, match="is a file; choose a folder"):
        write_statistics(CASES["one class"], tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"
