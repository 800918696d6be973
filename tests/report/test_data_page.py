import csv
import functools
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mien.data import Dataset, Split
from mien.data.drawn import draw_face
from mien.errors import InputError
from mien.labels import FER2013

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")
from mien.data.statistics import describe
from mien.report.data_page import _figures, _tables, write_statistics

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
            if not (values.get(name) or "data:").startswith(("data:", "#")):
                self.outside.append(f"{tag} {values[name]}")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a case, painted once."""

    @functools.cache
    def write(case: str) -> Path:
        folder = tmp_path_factory.mktemp("data") / "out"
        assert write_statistics(CASES[case], folder) == folder / "index.html"
        return folder

    return write


@pytest.mark.parametrize("case", CASES)
def test_writes_page_tables_and_figures(written, case: str) -> None:
    data, folder = CASES[case], written(case)
    html = (folder / "index.html").read_text()
    page = Page(html)
    assert page.outside == []
    assert not re.search(r"url\((?!#|data:)", html)
    assert len(page.images) == 2, "photos; the others are drawings"
    assert len(re.findall("<svg", html)) == 2 * 4, "for a desk and for a phone"
    assert all(image["alt"] for image in page.images)
    assert page.headings == ["h1"] + ["h2"] * 6
    assert "&lt;drawn&gt;" in html
    for name in FIGURES:
        assert cv2.imread(str(folder / f"{name}.png")) is not None
    with (folder / "counts.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == [*data.labels, "total"]
    for row in rows:
        label = None if row["label"] == "total" else data.labels.index(row["label"])
        counts = {
            name: int((split.labels == label).sum() if label is not None else len(split))
            for name, split in data.splits.items()
        }
        assert {name: int(row[name]) for name in counts} == counts
        assert int(row["total"]) == sum(counts.values())


def test_tables_agree_with_one_another(written) -> None:
    data, folder = CASES["fer2013"], written("fer2013")
    facts = json.loads((folder / "statistics.json").read_text())
    with (folder / "class_weights.csv").open() as file:
        rows = list(csv.DictReader(file))
    told = {row["label"]: float(row["weight"]) for row in rows}
    assert facts["class_weights"]["weights"] == pytest.approx(told, rel=1e-5)
    assert [int(row["train_images"]) for row in rows] == [1, 1, 1, 3, 1, 1, 1]
    weights = {row["label"]: float(row["weight"]) for row in rows}
    assert weights["happy"] == pytest.approx(9 / (7 * 3), rel=1e-5)
    assert weights["sad"] == pytest.approx(9 / 7, rel=1e-5)
    with (folder / "histogram.csv").open() as file:
        pixels = list(csv.DictReader(file))
    first = data.splits["private"].images[1]
    assert {
        int(row["intensity"]): int(row["pixels"])
        for row in pixels
        if (row["split"], row["label"]) == ("private", FER2013[6])
    } == {tone: int((first == tone).sum()) for tone in range(256)}
    total = sum(split.images.size for split in data.splits.values())
    assert sum(int(row["pixels"]) for row in pixels) == total


def test_the_page_says_what_guessing_is_worth(written) -> None:
    """Happy is the most frequent of train: half of public, half of private."""
    form = r"answering <em>(\w+)</em> is right for (\d+\.\d %) of <code>(\w+)</code>"
    told = {case: re.findall(form, (written(case) / "index.html").read_text()) for case in CASES}
    assert told["fer2013"] == [("happy", "50.0 %", "public"), ("happy", "50.0 %", "private")]
    assert told["an empty class"] == [("c", "0.0 %", "val")]
    assert told["no train"] == []


def test_rows_of_the_page_s_tables() -> None:
    tables = {name: t.cells for name, t in _tables(describe(CASES["fer2013"])).items()}
    assert tables["counts"][3] == ["happy", "3", "1", "1", "5"]
    assert tables["counts"][-1] == ["total", "9", "2", "2", "13"]
    assert tables["class_weights"][3] == ["happy", "3", "33.3", f"{9 / 21:.4f}"]
    train = CASES["fer2013"].splits["train"].images / 255
    name, mean, deviation, blank = tables["intensity"][0]
    assert (name, blank) == ("train", "0")
    assert float(mean) == pytest.approx(train.mean(), abs=1e-4)
    assert float(deviation) == pytest.approx(train.std(), abs=1e-4)
    assert tables["duplicates"] == [
        [name, "0", "0.00", "0", "0"] for name in ("train", "public", "private", "all together")
    ]
    assert ["train", "public", "0", "0.00"] in tables["overlaps"]


def drawn_figures(case: str) -> dict[str, Any]:
    """matplotlib's figures of a case, before they are painted."""
    return {name: draw() for name, draw in _figures(describe(CASES[case])).items()}


def bars_of(figure: Any) -> list[list[float]]:
    containers = [c for c in figure.axes[0].containers if hasattr(c, "patches")]
    return [[bar.get_width() for bar in container] for container in containers]


def ticks_of(figure: Any) -> list[str]:
    return [tick.get_text() for tick in figure.axes[0].get_yticklabels()]


def test_bars_show_counts_weights_and_imbalance() -> None:
    found = drawn_figures("fer2013")
    assert list(found) == list(FIGURES)
    assert bars_of(found["counts"]) == [
        [1, 1, 1, 3, 1, 1, 1],
        [1, 0, 0, 1, 0, 0, 0],
        [0, 0, 0, 1, 0, 0, 1],
    ]
    axes = found["counts"].axes[0]
    assert [text.get_text() for text in found["counts"].legends[0].get_texts()] == [
        *("train", "public", "private")
    ]
    assert (axes.get_xlabel(), axes.yaxis_inverted()) == ("images", True)
    assert ticks_of(found["counts"]) == list(FER2013)
    assert bars_of(found["class_weights"])[0] == pytest.approx([9 / 7] * 3 + [3 / 7] + [9 / 7] * 3)
    assert found["class_weights"].axes[0].texts[3].get_text() == "0.4286"
    assert found["class_weights"].legends == []
    assert bars_of(found["imbalance"]) == [[3, 1, 1, 1, 1, 1, 1]]
    assert ticks_of(found["imbalance"])[:3] == ["happy", "angry", "disgust"]
    assert found["imbalance"].axes[0].texts[0].get_text() == "3.0"


def test_a_class_without_pictures_has_no_row_of_them() -> None:
    found = drawn_figures("an empty class")
    assert ticks_of(found["counts"]) == ["a", "b", "c"]
    assert ticks_of(found["class_weights"]) == ["a", "c"]
    assert ticks_of(found["imbalance"]) == ["c", "a"]
    assert [axes.get_ylabel() for axes in found["samples"].axes] == ["a", "c"]
    assert [axes.get_title() for axes in found["mean_faces"].axes] == ["a", "c"]
    images = CASES["an empty class"].splits["train"].images
    mean = np.asarray(found["mean_faces"].axes[1].images[0].get_array())
    assert mean == pytest.approx(images[1:].mean(0))
    scale = found["mean_faces"].axes[0].images[0].get_clim()
    both = images[0].astype(float), images[1:].mean(0)
    assert scale == (min(m.min() for m in both), max(m.max() for m in both))
    row = np.asarray(found["samples"].axes[1].images[0].get_array())
    assert row.shape == (48, 10 * 51)
    assert {row[:, :48].tobytes(), row[:, 51:99].tobytes()} == {i.tobytes() for i in images[1:]}
    assert (row[:, 99:] == 255).all(), "white where it has fewer"


def test_intensities_are_lines_in_per_cent() -> None:
    axes = drawn_figures("fer2013")["histogram"].axes[0]
    assert [line.get_label() for line in axes.lines] == ["train", "public", "private"]
    for line in axes.lines:
        images = CASES["fer2013"].splits[line.get_label()].images
        shares = 100 * np.bincount(images.ravel(), minlength=256) / images.size
        assert line.get_xdata().tolist() == list(range(256))
        assert line.get_ydata() == pytest.approx(shares)
    assert (axes.get_xlim(), axes.get_ylim()[0]) == ((0, 255), 0)
    assert axes.get_ylabel() == "pixels, %"


def test_the_same_data_gives_the_same_page(written, tmp_path: Path) -> None:
    again = write_statistics(CASES["one class"], tmp_path)
    assert (written("one class") / "index.html").read_bytes() == again.read_bytes()


def test_refuses_a_file_as_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(InputError, match="is a file; choose a folder"):
        write_statistics(CASES["one class"], tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"
