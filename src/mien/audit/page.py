"""An audit's page: contact sheets of what was found, and the tables beside it."""

from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import cv2

from mien.audit.checks import Check, Finding
from mien.audit.exclude import write_exclude
from mien.audit.pool import Pool
from mien.audit.run import Audit
from mien.errors import InputError
from mien.files import write_csv, write_text
from mien.report.page import data_uri, render
from mien.report.tables import Column, Row, Table, count, table_of

SHOWN_GROUPS = 24
SHOWN_OF_GROUP = 6
SHOWN_PICTURES = 60

SHOWN_COLUMNS = ("code", "severity", "check", "pictures", "groups")
_FINDINGS = tuple(
    Column(name, name)
    for name in ("code", "severity", "group", "split", "name", "label", "score", "detail", "fix")
)
_PAIRS = 15
"""Pairs of classes that are shown of a confident joint."""
_LARGEST_PX = 96


@dataclass(frozen=True, slots=True)
class Shown:
    """One picture of a contact sheet."""

    uri: str
    caption: str
    name: str
    detail: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """What the page shows of one check."""

    check: Check
    pictures: int
    groups: int
    """0 for checks of single pictures."""
    rows: tuple[tuple[str, tuple[Shown, ...], int], ...]
    """Caption, pictures, and how many more the group has."""
    files: tuple[Finding, ...]
    """What has no pixels to show."""


def write_audit(audit: Audit, out: Path) -> tuple[Path, int]:
    """The page `out/index.html`, and how many pictures `out/exclude.csv` lists.

    Beside it `findings.csv` (all of them), `summary.csv`, and `confident_joint.csv` where a model
    was asked. InputError if `out` is a file, MissingExtra without mien[report].
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; choose a folder for the audit")
    checks = summary(audit)
    page = render(
        "audit.html.j2",
        name=audit.pool.data.name,
        labels=audit.pool.data.labels,
        splits={name: len(split) for name, split in audit.pool.data.splits.items()},
        sheets=[_sheet(audit, check) for check in audit.checks],
        summary=checks.only(*SHOWN_COLUMNS),
        doubted=_doubted(audit),
        doubts=audit.doubts,
    )
    excluded = write_exclude(out / "exclude.csv", audit.findings)
    rows = [_row(finding) for finding in audit.findings]
    write_csv(out / "findings.csv", Table(_FINDINGS, rows).as_columns())
    checks.write_csv(out / "summary.csv")
    _joint(audit).write_csv(out / "confident_joint.csv")
    write_text(out / "index.html", page)
    return out / "index.html", excluded


def summary(audit: Audit) -> Table:
    """A row per check: code, severity, title, pictures, groups, pictures of each split."""
    splits = audit.pool.data.splits
    rows = []
    for check in audit.checks:
        found = [finding for finding in audit.findings if finding.check == check]
        groups = max((finding.group or 0 for finding in found), default=0)
        by_split = {name: sum(f.split == name for f in found) for name in splits}
        row: Row = {"code": check.code, "severity": check.severity, "check": check.title}
        rows.append(row | {"pictures": len(found), "groups": groups or None, **by_split})
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


def _doubted(audit: Audit) -> Table:
    """The pairs of label and other class that most pictures are suspected of."""
    columns = Column("label", "label"), Column("class", "likely class")
    rows = [
        {"label": row["label"], "class": name, "pictures": pictures}
        for row in _joint(audit).rows
        for name, pictures in row.items()
        if name not in ("label", row["label"]) and pictures
    ]
    rows.sort(key=lambda row: -row["pictures"])
    return Table((*columns, Column("pictures", "pictures", count)), rows[:_PAIRS])


def _row(finding: Finding) -> Row:
    place = {name: getattr(finding, name) for name in ("group", "split", "name", "label", "detail")}
    check = {name: getattr(finding.check, name) for name in ("code", "severity", "fix")}
    return place | check | {"score": finding.score}


# Contact sheets


def _sheet(audit: Audit, check: Check) -> Sheet:
    found = [finding for finding in audit.findings if finding.check == check]
    seen = [finding for finding in found if finding.row is not None]
    grouped = bool(seen) and seen[0].group is not None
    rows = _groups(audit.pool, seen) if grouped else _singles(audit.pool, seen)
    groups = len({finding.group for finding in seen}) if grouped else 0
    files = tuple(finding for finding in found if finding.row is None)
    return Sheet(check, len(found), groups, rows, files[:SHOWN_PICTURES])


def _groups(pool: Pool, found: list[Finding]) -> tuple[tuple[str, tuple[Shown, ...], int], ...]:
    """The groups that are least alike come first: there a mistake would be."""
    groups = [list(members) for _, members in groupby(found, lambda finding: finding.group)]
    groups.sort(key=lambda group: min(finding.score or 0 for finding in group))
    rows = []
    for group in groups[:SHOWN_GROUPS]:
        # One of each split and label before a second one: what the group is about.
        kinds: dict[tuple[str, str], int] = {}
        places = {}
        for finding in group:
            kind = (finding.split, finding.label)
            kinds[kind] = places[finding.name] = kinds.get(kind, 0) + 1
        shown = sorted(group, key=lambda finding: places[finding.name])[:SHOWN_OF_GROUP]
        pictures = tuple(_shown(pool, finding) for finding in shown)
        rows.append((f"group {group[0].group}", pictures, len(group) - len(pictures)))
    return tuple(rows)


def _singles(pool: Pool, found: list[Finding]) -> tuple[tuple[str, tuple[Shown, ...], int], ...]:
    pictures = tuple(_shown(pool, finding) for finding in found[:SHOWN_PICTURES])
    return (("", pictures, 0),) if pictures else ()


def _shown(pool: Pool, finding: Finding) -> Shown:
    assert finding.row is not None
    images = pool.data.splits[finding.split].images
    image = images[finding.row - int((pool.splits == finding.split).argmax())]
    if max(image.shape) > _LARGEST_PX:
        image = pool.small[finding.row]
    uri = data_uri(cv2.imencode(".png", image)[1].tobytes())
    return Shown(uri, f"{finding.split} · {finding.label}", finding.name, finding.detail)
