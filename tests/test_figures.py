"""The figures in the documents are those of the saved predictions, computed again."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mien.evaluate.intervals import mean_interval
from scripts import results

ROOT = Path(__file__).parents[1]
IN_16_BITS = {"mien-s": "mien-s-half"}
"""Bundles that are on record by another name."""

FIGURES: dict[str, Callable[[str], str]] = {
    "PublicTest": lambda name: results.load(name).metrics().accuracy.percent(),
    "field": lambda name: mean_interval(results.predictions().field_of(name)).percent(),
    "no copy": lambda name: results.rows()[name]["fresh_accuracy_pct"],
}
"""Word in the head of a column → what its cells say of a network."""


@pytest.mark.parametrize(
    ("document", "figures"),
    [("README.md", ["PublicTest"])],
)
def test_accuracies(document: str, figures: list[str]):
    head, *rows = table(document, "PublicTest")
    columns = {
        number: name
        for number, cell in enumerate(head)
        for name in FIGURES
        if name in cell and number
    }
    compared = [
        (name, columns[number], row[number])
        for row in rows
        for name in re.findall(r"`(?:bundles/)?([\w-]+)`", row[0])[:1]
        for number in columns
        if row[number] != "–"
    ]
    assert set(figures) <= set(columns.values())
    assert len(compared) >= 6 * len(figures)
    assert [wrong for wrong in compared if not right(*wrong)] == []


def right(name: str, figure: str, cell: str) -> bool:
    """Whether a cell says the figure of a network, with its interval or without."""
    names = [name, *(other for mine, other in IN_16_BITS.items() if mine == name)]
    told = [FIGURES[figure](n) for n in names if n != "mien-s" or figure != "field"]
    return cell.replace("**", "") in {t for full in told for t in (full, full.split(" [")[0])}


def table(document: str, head: str) -> Iterator[list[str]]:
    """The cells of each row of the first table whose first line has `head`, but for the rule."""
    lines = iter((ROOT / document).read_text().splitlines())
    first = next(line for line in lines if line.startswith("|") and head in line)
    next(lines)
    for line in [first, *iter(lambda: next(lines, ""), "")]:
        yield [cell.strip() for cell in line.strip().strip("|").split(" | ")]
