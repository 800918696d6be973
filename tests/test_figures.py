"""The figures in the documents are those of the saved predictions, computed again."""

import csv
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
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
        if row["run"] == "mien-m-int8" and row["strength"]:
            kept.setdefault(row["corruption"], []).append(100 * float(row["accuracy"]))
    expected = [
        [name, *(f"{found[k]:.0f}" for k in (0, 2, 4)), f"{sum(found) / 5:.1f}"]
        for name, found in kept.items()
    ]
    assert [*table("docs/robustness.md", "| corruption")][1:] == expected
    text = " ".join((ROOT / "docs/robustness.md").read_text().split())
    for name, mean in mean_pct("robustness").items():
        assert f"`{name}` {mean:.1f} %" in text or "/" in name or name == "mien-m"


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
    assert {"convnext", "vit", "mobilenetv2-attention"} <= {name for name, *_ in told}
    for name, *figures in told:
        row = results.rows()[name]
        found = (row["accuracy_pct"], row["field_accuracy_pct"])
        assert figures == [f"{float(value):.1f}" for value in found]


def test_figures_of_what_was_wished_for():
    short = {row["run"]: right_pct(row["run"]) for row in saved("answers")}
    covered, noisy = mean_pct("covers"), mean_pct("robustness", "impulse noise")
    attacked = {
        row["run"]: 100 * float(row["accuracy"])
        for row in saved("adversarial")
        if (row["attack"], row["epsilon_255"]) == ("PGD-20", "1")
    }
    attacks = ("adversarial", "pgd", "trades")
    ten = pd.read_csv(ROOT / "research/ablation.csv").groupby("variant").accuracy.mean()
    five = results.load("sprint-mean-of-five", "flip").metrics().accuracy
    small = 100 * results.load("mien-s", "plain").metrics().accuracy.value
    best = max(
        results.load(name, "flip").metrics().accuracy.value
        for name in results.kept("sprint-mean-of-five")
    )
    searched, plain = (
        np.mean([short[f"search/{name}-{seed}"] for seed in (1, 2)])
        for name in ("best", "as-it-is")
    )
    attending, without = (
        np.mean([short[f"self-attention/{heads}-{seed}"] for seed in (0, 1)]) for heads in (4, 0)
    )
    told = {
        "multi-head attention": f"{attending:.1f}, without {without:.1f} (12 epochs)",
        "CNN-LSTM": (
            f"order of 300 drawn clips {short['sequences/cnn-lstm-order']:.0f}, "
            f"their mean {short['sequences/frame-mean-order']:.0f}; "
            f"350 in noise {short['sequences/cnn-lstm-noisy']:.0f}, "
            f"{short['sequences/frame-mean-noisy']:.0f}"
        ),
        "ensembles": f"mirrored {five.percent(1)}, its best member {100 * best:.1f}",
        "occlusion augmentation": (
            f"covered {covered['mien-s']:.1f} → {covered['robust-full/occlusion']:.1f} "
            f"(n = 1,000), clean {small:.1f} → {short['robust-full/occlusion']:.1f}"
        ),
        "adversarial training": (
            f"attacked {attacked['robust/none']:.1f} → "
            + ", ".join(f"{attacked[f'robust/{name}']:.1f}" for name in attacks)
            + f" (n = 1,000), clean {short['robust/none']:.1f} → "
            + ", ".join(f"{short[f'robust/{name}']:.1f}" for name in attacks)
        ),
        "focal loss": f"{short['focal/2']:.1f}, without {short['focal/0']:.1f} (5 epochs)",
        "oversampling": (
            f"{ten['balanced sampling']:.1f}, without {ten['as it is']:.1f} (10 epochs)"
        ),
        "AdamW": (
            f"{ten['AdamW in place of SGD']:.1f}, SGD {ten['as it is']:.1f}, "
            f"Muon {ten['Muon in place of SGD']:.1f} (10 epochs)"
        ),
        "synthetic faces": (
            f"macro-recall {recall_pct('synthesis/0'):.1f} → {recall_pct('synthesis/0.5'):.1f}, "
            f"accuracy {short['synthesis/0']:.1f} → {short['synthesis/0.5']:.1f} | for rare "
            f"expressions; images twice {recall_pct('synthesis/repeat-1'):.1f}, "
            f"{short['synthesis/repeat-1']:.1f}"
        ),
        "face alignment": (
            f"{short['alignment/aligned-on-as-it-is']:.1f}, without "
            f"{short['alignment/as-it-is-on-as-it-is']:.1f}; both upright "
            f"{short['alignment/aligned-on-aligned']:.1f}, "
            f"{short['alignment/as-it-is-on-aligned']:.1f}"
        ),
        "noise removal": (
            f"impulse noise {noisy['denoise/mien-s-none']:.1f} → "
            f"{noisy['denoise/mien-s-auto']:.1f}, n = 1,000"
        ),
        "mislabels": (
            f"relabelled {short['cleaning/relabel-all']:.1f}, "
            f"weighed {short['cleaning/weights']:.1f}, "
            f"as they are {short['cleaning/as-they-are']:.1f}"
        ),
        "Bayesian and grid search": f"{searched:.1f}, as it is {plain:.1f} (6 epochs)",
    }
    told["mislabels"] += (
        f" | worth it, FER+ agrees with {agreed_pct('cleaning/relabel-all'):.1f}, "
        f"not {agreed_pct('cleaning/as-they-are'):.1f}"
    )
    cells = {row[0]: " | ".join(row[2:]) for row in table("docs/researcher.md", "| wish")}
    assert {wish: cells[wish][: len(figures)] for wish, figures in told.items()} == told


def right_pct(short: str) -> float:
    """Accuracy of a short training, %."""
    truth, answers = results.answers(short)
    return float(100 * (truth == answers).mean())


def recall_pct(short: str) -> float:
    """Macro-recall of a short training, %."""
    truth, answers = results.answers(short)
    return float(100 * np.mean([(answers == label)[truth == label].mean() for label in range(7)]))


def agreed_pct(short: str) -> float:
    """Answers of a short training that are those of FER+'s majority, %."""
    voted = results.predictions().ferplus
    return float(100 * (results.answers(short)[1] == voted)[voted >= 0].mean())


def mean_pct(name: str, kind: str = "") -> dict[str, float]:
    """Run → mean accuracy over all spoilt faces of a table, or over those of one `kind`, %."""
    found = pd.read_csv(results.RESULTS / f"{name}.csv")
    spoilt = found[found.severity > 0]
    chosen = spoilt[spoilt.corruption == kind] if kind else spoilt
    return dict(100 * chosen.groupby("run").accuracy.mean())
