"""An audit's page: contact sheets of what was found, and the tables beside it."""

from collections import Counter
from functools import partial
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np

from mien.audit.checks import Finding
from mien.audit.cleaning import write_exclude, write_relabel, write_weights
from mien.audit.pool import Pool
from mien.audit.run import Audit
from mien.errors import InputError
from mien.files import write_csv, write_text
from mien.report.page import data_uri, render
from mien.report.tables import Column, Row, Table, count, table_of

SHOWN_COLUMNS = ("code", "severity", "check", "pictures", "groups")
_FINDINGS = ("code", "severity", "group", "split", "name", "label", "score", "detail", "fix")
_PAIRS = 15
"""Pairs of classes that are shown of a confident joint."""
_LARGEST_PX = 96


def write_audit(audit: Audit, out: Path) -> tuple[Path, dict[str, int]]:
    """The page `out/index.html`; how many pictures `out/exclude.csv`, `relabel.csv` and
    `weights.csv` list.

    Beside it `findings.csv` (all of them), `summary.csv`, and `confident_joint.csv` where a model
    was asked. InputError if `out` is a file, MissingExtra without mien[report].
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; choose a folder for the audit")
    checks, joint = summary(audit), _joint(audit)
    page = render(
        "audit.html.j2",
        audit=audit,
        summary=checks.only(*SHOWN_COLUMNS),
        suspected=_suspected(joint),
        sheets={check: _groups(found) for check in audit.checks if (found := audit.found(check))},
        picture=partial(_picture, audit.pool),
    )
    tables = {"exclude": write_exclude, "relabel": write_relabel, "weights": write_weights}
    listed = {name: write(out / f"{name}.csv", audit.findings) for name, write in tables.items()}
    rows = [_row(finding) for finding in audit.findings]
    columns = tuple(Column(name, name) for name in _FINDINGS)
    write_csv(out / "findings.csv", Table(columns, rows).as_columns())
    checks.write_csv(out / "summary.csv")
    joint.write_csv(out / "confident_joint.csv")
    write_text(out / "index.html", page)
    return out / "index.html", listed


def summary(audit: Audit) -> Table:
    """A row per check: code, severity, title, pictures, groups, pictures of each split."""
    splits = audit.pool.data.splits
    rows = []
    for check in audit.checks:
        found = audit.found(check)
        groups = max((finding.group or 0 for finding in found), default=0)
        by_split = Counter(finding.split for finding in found)
        row: Row = {"code": check.code, "severity": check.severity, "check": check.title}
        row |= {"pictures": len(found), "groups": groups or None}
        rows.append(row | {name: by_split[name] for name in splits})
    columns = (Column(name, name) for name in ("code", "severity", "check"))
    counted = (Column(name, name, count) for name in ("pictures", "groups", *splits))
    return Table((*columns, *counted), rows)


def _joint(audit: Audit) -> Table:
    """Pictures by label (row) and class they belong to (column); no rows without a model."""
    labels = audit.pool.data.labels
    numbers = [] if audit.joint is None else audit.joint.round().astype(int).tolist()
    return table_of(
        {"label": label, **dict(zip(labels, row, strict=True))}
        for label, row in zip(labels, numbers, strict=False)
    )


def _suspected(joint: Table) -> Table:
    """The pairs of label and other class that most pictures are suspected of."""
    columns = Column("label", "label"), Column("class", "likely class")
    rows = [
        {"label": row["label"], "class": name, "pictures": pictures}
        for row in joint.rows
        for name, pictures in row.items()
        if name not in ("label", row["label"]) and pictures
    ]
    rows.sort(key=lambda row: -row["pictures"])
    return Table((*columns, Column("pictures", "pictures", count)), rows[:_PAIRS])


def _row(finding: Finding) -> Row:
    check = {name: getattr(finding.check, name) for name in ("code", "severity", "fix")}
    return check | {name: getattr(finding, name, None) for name in _FINDINGS if name not in check}


def _groups(found: list[Finding]) -> list[list[Finding]]:
    """Groups of copies, those that are least alike first: there a mistake would be."""
    if found[0].group is None:
        return [found]
    groups = [list(members) for _, members in groupby(found, lambda finding: finding.group)]
    groups.sort(key=lambda group: min(finding.score or 0 for finding in group))
    return [_mixed(group) for group in groups]


def _mixed(group: list[Finding]) -> list[Finding]:
    """One of each split and label before a second one: what the group is about."""
    kinds = [(finding.split, finding.label) for finding in group]
    places = [kinds[:number].count(kind) for number, kind in enumerate(kinds)]
    return [group[number] for number in np.argsort(places, kind="stable")]


def _picture(pool: Pool, finding: Finding) -> str:
    """The picture of a finding as a data URI."""
    images = pool.data.splits[finding.split].images
    image = images[finding.row - (pool.splits == finding.split).argmax()]
    if max(image.shape) > _LARGEST_PX:
        image = pool.small[finding.row]
    return data_uri(cv2.imencode(".png", image)[1].tobytes())
