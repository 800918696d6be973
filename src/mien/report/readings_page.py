"""One page of a table of readings, for those to whom results are sent."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from mien.files import write_text
from mien.origin import recorded
from mien.output.saved import read_table
from mien.output.timeline import Timeline
from mien.output.timeline_page import page_of
from mien.report.page import render
from mien.report.thumbnails import Thumbnails, clearest
from mien.style import palette, percent
from mien.summary import SummaryRow
from mien.types import Reading, Readings

MOST_FACES, MOST_FILMS, MOST_PEOPLE = 60, 12, 24
"""Faces of photos, films, and faces of each film that are shown."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A face of a film, or those of a folder of photos: what it is called, how often or long it was
    seen, its expressions by their shares, and its picture."""

    name: str
    seen: str
    shares: dict[str, float]
    picture: str | None = None

    @property
    def words(self) -> str:
        """The three largest shares."""
        largest = sorted(self.shares.items(), key=lambda pair: -pair[1])[:3]
        return ", ".join(f"{label} {percent(share)}" for label, share in largest if share >= 0.005)


@dataclass(frozen=True, slots=True)
class Film:
    """A film, its faces, those seen longest first, and its timeline as a page of its own."""

    name: str
    faces: tuple[Shown, ...]
    all_faces: int
    timeline: str


def write_report(table: Path, out: Path, *, clear: bool = False) -> Path:
    """Write the page `out` and give its path.

    Faces are shown where their photos and films are found, blurred unless `clear`. InputError for
    a file that is no table of readings, MissingExtra without mien[report].
    """
    readings = read_table(table)
    rows, thumbnails = readings.summary(), Thumbnails(table, clear)
    photos = [r for r in readings if r.time_s is None and r.face is not None]
    faces = [(r, thumbnails.of(r)) for r in photos[:MOST_FACES]]
    page = render(
        "readings.html.j2",
        table=table.name,
        origin=recorded(table) or {},
        colours_of=palette(readings.labels),
        counts=_counts(readings, rows),
        folders=[_folder(row) for row in rows if row.kind == "folder"],
        faces=[(_name(r.path), _words(r), uri) for r, uri in faces if uri],
        photos=len(photos),
        films=[*_films(readings, rows, thumbnails)],
        all_films=sum(row.kind == "film" for row in rows),
        clear=clear,
    )
    write_text(out, page)
    return out


def _counts(readings: Readings, rows: Sequence[SummaryRow]) -> dict[str, str]:
    """What stands first, by its title."""
    whole = [row for row in rows if row.kind != "face"]
    faces = [r for r in readings if r.face is not None]
    unsure = sum(r.status == "unsure" for r in faces)
    told = {
        "photos": sum(row.pictures for row in whole if row.kind == "folder"),
        "films": sum(row.kind == "film" for row in whole),
        "faces in films": sum(row.kind == "face" for row in rows),
        "faces in photos": sum(row.faces for row in whole if row.kind == "folder"),
        "unreadable": sum(row.unreadable for row in whole),
    }
    shown = {title: f"{number:,}" for title, number in told.items() if number}
    return shown | ({"unsure readings": percent(unsure / len(faces))} if faces else {})


def _words(reading: Reading) -> str:
    return f"{reading.label} {percent(reading.confidence or 0.0)}"


def _folder(row: SummaryRow) -> Shown:
    seen = f"{row.faces:,} face{'s' * (row.faces != 1)}"
    return Shown(_name(row.path), seen, _shares(row))


def _films(
    readings: Readings, rows: Sequence[SummaryRow], thumbnails: Thumbnails
) -> Iterator[Film]:
    of_film: dict[Any, list[SummaryRow]] = defaultdict(list)
    for row in rows:
        if row.kind == "face":
            of_film[row.path, row.index].append(row)
    moving = (r for r in readings if r.time_s is not None)
    for key, found in islice(groupby(moving, key=lambda r: (r.path, r.index)), MOST_FILMS):
        yield _film(key[0], [*found], of_film[key], thumbnails)


def _film(
    path: str | None, found: list[Reading], rows: list[SummaryRow], thumbnails: Thumbnails
) -> Film:
    timeline, of_face = Timeline(), defaultdict(list)
    for reading in found:
        timeline.add(reading)
        if reading.face is not None:
            of_face[reading.face_id].append(reading)
    longest = sorted(rows, key=lambda row: -(row.seconds or 0))[:MOST_PEOPLE]
    faces = tuple(
        Shown(
            f"face {row.face_id}",
            f"{row.seconds or 0:.1f} s",
            _shares(row),
            thumbnails.of(clearest(of_face[row.face_id])) if of_face[row.face_id] else None,
        )
        for row in longest
    )
    return Film(_name(path), faces, len(rows), page_of(timeline))


def _shares(row: SummaryRow) -> dict[str, float]:
    return {label: found.share or 0.0 for label, found in row.expressions.items()}


def _name(path: str | None) -> str:
    """Without the folders above it, which are nobody's business."""
    return Path(path).name if path and Path(path).name else "this folder"
