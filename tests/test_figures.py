"""The figures in the documents are those of the saved predictions, computed again."""

import csv
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts import results

ROOT = Path(__file__).parents[1]

FIGURES: dict[str, Callable[[str], str]] = {
    "PublicTest": lambda name: results.load(name).metrics().accuracy.percent(),
    "field": lambda name: results.rows()[name]["field_accuracy_pct"],
    "no copy": lambda name: results.rows()[name]["fresh_accuracy_pct"],
}
"""Word in the head of a column → what its cells say of a network."""


@pytest.mark.parametrize(
    ("document", "figures"),
    [("README.md", ["PublicTest"]), ("docs/accuracy.md", ["PublicTest", "field", "no copy"])],
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


def test_accuracies_on_spoilt_faces():
    kept: dict[str, list[float]] = {}
    for row in saved("robustness"):
        if row["run"] == "mien-s" and row["strength"]:
            kept.setdefault(row["corruption"], []).append(100 * float(row["accuracy"]))
    expected = [
        [name, *(f"{found[k]:.0f}" for k in (0, 2, 4)), f"{sum(found) / 5:.1f}"]
        for name, found in kept.items()
    ]
    assert [*table("docs/robustness.md", "| corruption")][1:] == expected


def test_accuracies_under_attack():
    told = {
        (row["run"], row["attack"], f"ε = {row['epsilon_255']}"): " ".join(
            [f"{100 * float(row['accuracy']):.1f}", f"[{ends(row)}]"]
        )
        for row in saved("adversarial")
    }
    head, *rows = table("docs/robustness.md", "| model | attack")
    assert len(rows) == 3
    for model, attack, *cells in rows:
        name = model.strip("`")
        expected = [told[name, "none", "ε = 0"], *(told[name, attack, e] for e in head[3:])]
        assert cells == expected


def saved(name: str) -> list[dict[str, str]]:
    with (results.RESULTS / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def ends(row: dict[str, str]) -> str:
    return ", ".join(f"{100 * float(row[end]):.1f}" for end in ("low", "high"))


def right(name: str, figure: str, cell: str) -> bool:
    """Whether a cell says the figure of a network, with its interval or without."""
    kept = [one for one in (name, f"{name}-half") if one in results.rows()]
    told = [FIGURES[figure](one) for one in kept]
    return cell.replace("**", "") in {t for full in told for t in (full, full.split(" [")[0])}


def table(document: str, head: str) -> Iterator[list[str]]:
    """The cells of each row of the first table whose first line has `head`, but for the rule."""
    lines = iter((ROOT / document).read_text().splitlines())
    first = next(line for line in lines if line.startswith("|") and head in line)
    next(lines)
    for line in [first, *iter(lambda: next(lines, ""), "")]:
        yield [cell.strip() for cell in line.strip().strip("|").split(" | ")]


def test_accuracies_of_the_networks_that_were_wished_for():
    text = (ROOT / "docs" / "researcher.md").read_text()
    told = re.findall(r"`mien train ([\w-]+)`[^|]*\| ([\d.]+), framed ([\d.]+)", text)
    assert {"convnext", "mobilenetv2-attention"} <= {name for name, *_ in told}
    for name, *figures in told:
        row = results.rows()[name]
        found = (row["accuracy_pct"], row["field_accuracy_pct"])
        assert figures == [f"{float(value):.1f}" for value in found]
