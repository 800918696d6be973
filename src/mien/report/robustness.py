"""Robustness as files, as a part of an evaluation's page, and side by side in a comparison."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mien.evaluate import Evaluation
from mien.evaluate.adversarial import EPSILONS, Adversarial, adversarial_of, save_adversarial
from mien.evaluate.corruptions import SEVERITIES
from mien.evaluate.robustness import (
    OCCLUDED,
    ROBUSTNESS,
    Robustness,
    Score,
    mce,
    robustness_of,
    same_pictures,
    save_robustness,
)
from mien.files import replacing
from mien.report.entries import Entry
from mien.report.figures import (
    WIDE,
    colour,
    heat,
    in_percent,
    name_below,
    new_figure,
    png,
    styled,
)
from mien.report.tables import Column, Row, Table, percent, table_of

_SHOWN_SEVERITIES = (1, 3, 5)
"""Those that stand in the table of a page."""


def write_robustness(found: Robustness, folder: Path, stem: str = ROBUSTNESS) -> None:
    """Write `stem`.json, .csv with a row per corruption and severity, and .png."""
    save_robustness(found, folder, stem)
    corruption_table(found).write_csv(folder / f"{stem}.csv")
    with replacing(folder / f"{stem}.png") as file:
        file.write(png(heat_map(found)))


def write_adversarial(found: Adversarial, folder: Path) -> None:
    """Write adversarial.json, .csv with a row per attack and epsilon, and .png."""
    save_adversarial(found, folder)
    attack_table(found).write_csv(folder / "adversarial.csv")
    with replacing(folder / "adversarial.png") as file:
        file.write(png(attack_curves(found)))


def corruption_table(found: Robustness) -> Table:
    """Rows of robustness.csv; clean images are severity 0."""
    clean = {"corruption": "none", "severity": 0, **_score(found.clean, found.images)}
    return table_of(
        [
            clean | {"strength": np.nan},
            *(
                {"corruption": name, "severity": severity, "strength": strength}
                | _score(score, found.images)
                for name, scores in found.scores.items()
                for severity, (strength, score) in enumerate(
                    zip(found.strengths[name], scores, strict=True), 1
                )
            ),
        ]
    )


def attack_table(found: Adversarial) -> Table:
    """Rows of adversarial.csv; no attack is an epsilon of 0."""
    return table_of(
        [
            {"attack": "none", "epsilon_255": 0, **_score(found.clean, found.images)},
            *(
                {"attack": attack, "epsilon_255": epsilon, **_score(score, found.images)}
                for attack, scores in found.scores.items()
                for epsilon, score in zip(EPSILONS, scores, strict=True)
            ),
        ]
    )


def _score(score: Score, images: int) -> Row:
    return {"images": images, "right": score.right, "accuracy": score.accuracy}


def summary(found: Robustness) -> str:
    """One line for the terminal."""
    return (
        f"corrupted faces: {found.mean.percent()} % right in the mean of {len(found.scores)} "
        f"corruptions (clean: {found.clean.accuracy.percent()}), n={found.images}; "
        f"{_against(found)}"
    )


def occlusion_summary(found: Robustness) -> str:
    """One line for the terminal."""
    return (
        f"covered faces: {found.mean.percent()} % right in the mean of {len(found.scores)} covers "
        f"(clean: {found.clean.accuracy.percent()}), n={found.images}"
    )


def attack_summary(found: Adversarial) -> str:
    """One line for the terminal."""
    name, scores = list(found.scores.items())[-1]
    return (
        f"under attack: {scores[0].accuracy.percent()} % right under {name} at 1/255 "
        f"(without: {found.clean.accuracy.percent()}), n={found.images}"
    )


def sections(evaluation: Evaluation, folder: Path) -> list[str]:
    """Lines of Markdown for what is saved in `folder` of this evaluation's network and images."""
    lines = []
    for stem, heading in ((ROBUSTNESS, "Corrupted faces"), (OCCLUDED, "Covered faces")):
        found = robustness_of(evaluation, folder, stem)
        if found is not None:
            lines += [f"## {heading}", "", *as_markdown(found, stem), ""]
            lines += [f"![accuracy by kind and severity]({stem}.png)", ""]
    attacked = adversarial_of(evaluation, folder)
    if attacked is not None:
        lines += ["## Under attack", "", *attacks_as_markdown(attacked), ""]
        lines += ["![accuracy by epsilon](adversarial.png)", ""]
    return lines


def shares(found: Robustness) -> dict[str, dict[str, float]]:
    """Kind → severity → accuracy; clean images first, the mean last."""
    steps = [str(step) for step in range(1, SEVERITIES + 1)]
    return {
        "clean": dict.fromkeys((*steps, "mean"), found.clean.value),
        **{
            name: {
                **{n: score.value for n, score in zip(steps, scores, strict=True)},
                "mean": found.means[name].value,
            }
            for name, scores in found.scores.items()
        },
    }


def as_markdown(found: Robustness, stem: str = ROBUSTNESS) -> list[str]:
    """What was done, and a row per corruption."""
    columns = (
        Column("corruption", "cover" if stem == OCCLUDED else "corruption"),
        *(Column(str(step), f"severity {step}", percent(1)) for step in _SHOWN_SEVERITIES),
        Column("mean", "mean [95 %]", percent(1)),
    )
    rows = [
        {"corruption": name, "mean": found.means[name]}
        | {str(step): scores[step - 1].accuracy.value for step in _SHOWN_SEVERITIES}
        for name, scores in found.scores.items()
    ]
    against = "" if stem == OCCLUDED else f"; {_against(found)}"
    return [
        f"Accuracy, %, on {found.images:,} images by severity (Hendrycks & Dietterich 2019); "
        f"clean: {found.clean.accuracy.percent()}; mean of all: {found.mean.percent()}"
        f"{against}. All {SEVERITIES} severities with intervals: {stem}.csv.",
        "",
        *Table(columns, rows).markdown(),
    ]


def attacks_as_markdown(found: Adversarial) -> list[str]:
    """What was done, and a row per attack."""
    return [
        f"Accuracy, % [95 %], on {found.images:,} images, the largest change of a pixel in 255ths; "
        "white-box on the torch network, one view of each face, one start.",
        "",
        *attacks_shown(found).markdown(),
    ]


def attacks_shown(found: Adversarial) -> Table:
    """A row per attack, a column per epsilon."""
    columns = [Column(str(step), str(step), percent(1)) for step in (0, *EPSILONS)]
    rows = [
        {"attack": attack}
        | {c.key: s.accuracy for c, s in zip(columns, (found.clean, *scores), strict=True)}
        for attack, scores in found.scores.items()
    ]
    return Table((Column("attack", "attack"), *columns), rows)


@styled
def heat_map(found: Robustness) -> Any:
    """Accuracy in per cent by corruption and severity, clean images first, the mean last."""
    names = list(found.scores)
    shares = np.column_stack(
        [
            np.full(len(names), 1 - found.clean_error),
            1 - found.errors,
            [found.means[name].value for name in names],
        ]
    )
    figure, panels = new_figure(5.4, 1 + 0.25 * len(names))
    axes = panels.flat[0]
    heat(axes, shares, [[f"{100 * share:.0f}" for share in row] for row in shares])
    axes.set_xticks(range(SEVERITIES + 2), ["clean", *range(1, SEVERITIES + 1), "mean"])
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("severity")
    axes.set_title(f"{found.name}: accuracy, %, {found.images:,} images")
    return figure


@styled
def attack_curves(found: Adversarial) -> Any:
    """Accuracy by the largest change of a pixel, with intervals, a line per attack."""
    figure, panels = new_figure(WIDE, 3.8)
    axes = panels.flat[0]
    for number, (attack, scores) in enumerate(found.scores.items()):
        axes.errorbar(
            (0, *EPSILONS),
            *in_percent([score.accuracy for score in (found.clean, *scores)]),
            color=colour(number),
            marker=".",
            label=attack,
        )
    axes.set(xlabel="largest change of a pixel, 255ths", ylabel="accuracy, %", title=found.name)
    axes.set_ylim(bottom=0)
    axes.legend()
    return figure


def robust_entries(entries: Sequence[Entry]) -> dict[str, Robustness]:
    """Name → result, if each candidate has one and all are of the same pictures; else nothing."""
    found = {c.name: c.robustness for c in entries if c.robustness is not None}
    first, *others = found.values() if len(found) == len(entries) else (None,)
    alike = first is not None and all(same_pictures(first, other) for other in others)
    return found if alike else {}


def comparison_rows(found: dict[str, Robustness]) -> dict[str, Row]:
    """Name → columns of a comparison; the last, least accurate, is the baseline of the mean
    corruption error."""
    if not found:
        return {}
    baseline, other = list(found.items())[-1]
    return {
        name: {
            "robust": one.mean,
            "robust_images": one.images,
            "mce": mce(one, other),
            "mce_baseline": baseline,
        }
        for name, one in found.items()
    }


def comparison_table(found: dict[str, Robustness]) -> Table:
    """A row per model, corruption and severity."""
    return table_of(
        {"model": name, **row} for name, one in found.items() for row in corruption_table(one).rows
    )


@styled
def comparison_figure(found: dict[str, Robustness]) -> Any:
    """Accuracy over the severities of each corruption with its interval, models by colour."""
    names = ["clean", *next(iter(found.values())).scores]
    figure, panels = new_figure(6.8, 1 + 0.26 * len(names))
    axes = panels.flat[0]
    for number, (model, one) in enumerate(found.items()):
        value, ends = in_percent([one.clean.accuracy, *one.means.values()])
        axes.errorbar(
            value,
            np.arange(len(names)) + 0.12 * (number - (len(found) - 1) / 2),
            xerr=ends,
            linestyle="",
            marker=".",
            color=colour(number),
            label=model,
        )
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlabel("accuracy over five severities, %")
    name_below(figure, axes)
    return figure


def _against(found: Robustness) -> str:
    against = found.relative
    if against is None:
        return "mean corruption error left out: no --baseline was named"
    if np.isnan(against.mce.value):
        return f"no mean corruption error: {against.reason}"
    relative = against.relative_mce.percent(1)
    return f"mean corruption error {against.mce.percent(1)} % of {against.baseline}'s, " + (
        f"none relative: {against.reason}" if against.reason else f"relative {relative} %"
    )
