"""An audit's page: contact sheets of what was found, and the tables beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import cv2

from mien.audit.checks import Check, Finding
from mien.audit.exclude import write_exclude
from mien.audit.pool import Pool
from mien.audit.run import Audit
from mien.errors import InputError
from mien.files import csv_text, write_text
from mien.report.page import data_uri, render

SHOWN_GROUPS = 24
SHOWN_OF_GROUP = 6
SHOWN_PICTURES = 60

_COLUMNS = ("code", "severity", "group", "split", "name", "label", "score", "detail", "fix")
_LARGEST_PX = 96


@dataclass(frozen=True, slots=True)
class Shown:
    """One picture of a contact sheet."""

    uri: str
    words: str
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
    page = render(
        "audit.html.j2",
        name=audit.pool.data.name,
        labels=audit.pool.data.labels,
        splits={name: len(split) for name, split in audit.pool.data.splits.items()},
        sheets=[_sheet(audit, check) for check in audit.checks],
        summary=summary(audit),
        joint=_joint_rows(audit),
        doubts=audit.doubts,
    )
    excluded = write_exclude(out / "exclude.csv", audit.findings)
    write_text(out / "findings.csv", csv_text([_COLUMNS, *map(_row, audit.findings)]))
    header = ("code", "severity", "check", "pictures", "groups", *audit.pool.data.splits)
    write_text(out / "summary.csv", csv_text([header, *summary(audit)]))
    if audit.joint is not None:
        header = ("label", *audit.pool.data.labels)
        write_text(out / "confident_joint.csv", csv_text([header, *_joint_rows(audit)]))
    write_text(out / "index.html", page)
    return out / "index.html", excluded


def summary(audit: Audit) -> list[list[object]]:
    """A row per check: code, severity, title, pictures, groups, pictures of each split."""
    rows: list[list[object]] = []
    for check in audit.checks:
        found = [finding for finding in audit.findings if finding.check == check]
        groups = max((finding.group or 0 for finding in found), default=0)
        splits = [sum(f.split == name for f in found) for name in audit.pool.data.splits]
        rows.append([check.code, check.severity, check.title, len(found), groups or "", *splits])
    return rows


def _joint_rows(audit: Audit) -> list[list[object]]:
    if audit.joint is None:
        return []
    numbers = audit.joint.round().astype(int).tolist()
    return [[label, *row] for label, row in zip(audit.pool.data.labels, numbers, strict=True)]


def _row(finding: Finding) -> Sequence[object]:
    check = finding.check
    score = "" if finding.score is None else f"{finding.score:.4f}"
    place = (finding.split, finding.name, finding.label)
    group = "" if finding.group is None else finding.group
    return (check.code, check.severity, group, *place, score, finding.detail, check.fix)


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
