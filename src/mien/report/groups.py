"""What `mien groups` leaves: tables of the groups, their gaps, and a figure with intervals."""

from pathlib import Path
from typing import Any

import numpy as np

from mien.evaluate import Evaluation
from mien.evaluate.groups import Group, Grouping, Groups
from mien.evaluate.intervals import Estimate
from mien.files import replacing, write_json, write_text
from mien.report.figures import colour, in_percent, new_figure, png, styled
from mien.report.tables import Column, Row, Table, count
from mien.values import as_json

_FIGURES = {"accuracy": "accuracy", "macro_recall": "macro-recall"}


def write_groups(groups: Groups, evaluation: Evaluation, folder: Path) -> None:
    """Write groups.json, groups.csv, groups.md and groups.png."""
    whose = {name: getattr(evaluation, name) for name in ("name", "data", "split", "digest")}
    write_json(folder / "groups.json", whose | to_json(groups))
    _csv(groups).write_csv(folder / "groups.csv")
    with replacing(folder / "groups.png") as file:
        file.write(_picture(groups))
    lines = [
        f"# {evaluation.name} on {evaluation.split} of {evaluation.data}, by groups",
        "",
        summary(groups),
        "",
        "![accuracy and macro-recall by group](groups.png)",
    ]
    write_text(folder / "groups.md", "\n".join(lines) + "\n")


def summary(groups: Groups) -> str:
    """Markdown: what was joined, and per column a table and its widest gap."""
    joined = f"{groups.images:,} images"
    if groups.missing:
        joined += f"; {groups.missing:,} more are not in the table of groups"
    lines = [f"{joined}. 95 % bootstrap intervals over images."]
    for grouping in groups.groupings:
        lines += ["", *_table(grouping, groups.minimum), "", _widest(grouping, groups.minimum)]
    return "\n".join(lines)


def _table(grouping: Grouping, minimum: int) -> list[str]:
    """Markdown: a row per group."""

    def show(found: Estimate | str) -> str:
        return found if isinstance(found, str) else found.percent(1)

    few = f"too few to say (under {minimum})"
    columns = (
        Column("group", grouping.column),
        Column("images", "images", count),
        *(Column(name, f"{title}, %", show) for name, title in _FIGURES.items()),
        Column("labels", "labels"),
    )
    rows: list[Row] = [dict.fromkeys(_FIGURES, few) | _row(group) for group in grouping.groups]
    if grouping.empty:
        rows.append({"group": "*(no value)*", "images": grouping.empty})
    return Table(columns, rows).markdown()


def _row(group: Group) -> Row:
    found = {name: getattr(group, name) for name in _FIGURES}
    shares = {name: estimate for name, estimate in found.items() if estimate is not None}
    return {"group": group.name, "images": group.images, "labels": group.classes, **shares}


def _widest(grouping: Grouping, minimum: int) -> str:
    if not grouping.gaps:
        return f"No gap: fewer than two groups have {minimum} images."
    gap, pairs = grouping.gaps[0], len(grouping.gaps)
    sentence = (
        f"Largest gap: accuracy on {gap.better} is {100 * gap.accuracy.value:.1f} points "
        f"[{100 * gap.accuracy.low:.1f}, {100 * gap.accuracy.high:.1f}] above that on {gap.worse} "
    )
    count = f"the largest of {pairs} pairs, Holm-corrected: " if pairs > 1 else ""
    chance = "p < 0.001" if gap.adjusted < 0.001 else f"p = {gap.adjusted:.3f}"
    verdict = "" if gap.real else "; chance alone may be the reason"
    return f"{sentence}(Fisher's exact test, {count}{chance}{verdict})."


def _csv(groups: Groups) -> Table:
    """A row per group, of all columns."""
    keys = ("column", "group", "images", "labels", *_FIGURES)
    rows = [
        {"column": grouping.column, **_row(group)}
        for grouping in groups.groupings
        for group in grouping.groups
    ]
    return Table(tuple(Column(key, key) for key in keys), rows)


def to_json(groups: Groups) -> dict[str, Any]:
    """The figures of every group, and the gaps."""
    return {
        "images": groups.images,
        "missing": groups.missing,
        "minimum": groups.minimum,
        "columns": {
            grouping.column: {
                "no_value": grouping.empty,
                "groups": {group.name: _group_json(group) for group in grouping.groups},
                "gaps": [as_json(gap) | {"real": gap.real} for gap in grouping.gaps],
            }
            for grouping in groups.groupings
        },
    }


def _group_json(group: Group) -> dict[str, Any]:
    figures = {name: getattr(group, name) for name in _FIGURES}
    return {
        "images": group.images,
        "labels": group.classes,
        **as_json(figures),
    }


@styled
def _picture(groups: Groups) -> bytes:
    """PNG: a panel per column, each group's figures with their intervals."""
    shown = [[g for g in grouping.groups if g.accuracy] for grouping in groups.groupings]
    heights = [0.9 + 0.42 * len(found) for found in shown]
    figure, panels = new_figure(6.8, sum(heights), rows=len(shown))
    panels[0, 0].get_gridspec().set_height_ratios(heights)
    for ax, grouping, found in zip(panels[:, 0], groups.groupings, shown, strict=True):
        for number, (name, title) in enumerate(_FIGURES.items()):
            values, ends = in_percent([getattr(group, name) for group in found])
            ax.errorbar(
                values,
                np.arange(len(found)) + 0.24 * (number - 0.5),
                xerr=ends,
                fmt="o",
                markersize=4,
                linewidth=1.4,
                color=colour(number),
                label=title,
            )
        ax.set_yticks(range(len(found)), [f"{g.name} ({g.images:,})" for g in found])
        ax.set_ylim(len(found) - 0.4, -0.6)
        ax.grid(axis="y", visible=False)
        ax.set_title(grouping.column)
    panels[0, 0].legend(ncols=2, loc="lower right", bbox_to_anchor=(1, 1))
    panels[-1, 0].set_xlabel("%, with 95 % intervals (images in brackets)")
    return png(figure)
