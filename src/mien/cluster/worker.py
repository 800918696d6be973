"""What one of Ray's actors does: it holds one classifier and one detector, and reads parts."""

import contextlib
import errno
import functools
import io
import os
import platform
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from mien.analyse import Summary
from mien.cluster.plan import FILE as PLAN
from mien.cluster.plan import WORK, Job, Part
from mien.cluster.reading import (
    WHOLE,
    Piece,
    alone,
    how_of,
    joined,
    pending,
    pieces_of,
    read,
    recognizer_of,
)
from mien.cluster.stores import Place, count_on
from mien.errors import FileError, InputError
from mien.extras import need
from mien.origin import Origin
from mien.output.lines import reading_of
from mien.output.parquet import RowGroups
from mien.recognizer import Recognizer
from mien.sources import Pending
from mien.stream import Result
from mien.types import Readings


@dataclass(slots=True)
class Report:
    """What came of a call."""

    summary: Summary = field(default_factory=Summary)
    pieces: tuple[Piece, ...] = ()
    """Of a film that is to be read in so many calls; nothing of it has been read yet."""


class Reader:
    """Reads parts and writes their files."""

    def __init__(self, job: Job) -> None:
        self._job = job
        with contextlib.suppress(OSError):  # only addresses and whole paths are read then
            os.chdir(job.base)
        self._opened: Recognizer | None = None
        self._film: tuple[Part, Pending] | None = None
        self._out = Place(job.out)
        count_on([*job.stores, job.out])

    def ready(self) -> Origin:
        """What its readings depend on, once the networks are open; BundleError or InputError, also
        where the machine does not see what is to be read and written."""
        hidden = self._hidden()
        if not hidden and PLAN not in self._out.files():
            hidden = [self._out.name]
        if hidden:
            raise InputError(
                f"{hidden[0]} is not to be seen on the machine {platform.node()}; expected folders "
                "that all machines share, or addresses such as s3://bucket/photos"
            )
        return self._origin()

    def _hidden(self) -> list[str]:
        return [path for path in self._job.shared if not Path(path).exists()]

    def _origin(self) -> Origin:
        return self._recognizer.origin(self._job.cut)

    @property
    def _recognizer(self) -> Recognizer:
        if self._opened is None:
            self._opened = recognizer_of(self._job)
        return self._opened

    def read(self, part: Part, piece: Piece | None = None, careful: bool = False) -> Report:
        """Write the file of a part, or of a piece of one; or tell the pieces of a long film.

        If `careful`, a file that ends the process is told as unreadable.
        """
        report, notes = Report(), list[str]()
        pictures = self._pictures(part)
        if piece is None and not careful and len(pieces := self._pieces(part, pictures)) > 1:
            return Report(pieces=tuple(pieces))
        now = piece or WHOLE
        if careful:
            results = alone(self._job, part, now)
        else:
            results = read(self._recognizer, pictures, how_of(self._job, now), notes)
        self._write(self._file(part, piece), results, report, extra=piece is not None)
        report.summary.warnings = notes
        self._count(report.summary, careful)
        if piece is not None:  # all else is counted when it is joined
            return Report(Summary(report.summary.pictures, warnings=notes))
        return report

    def join(self, part: Part, pieces: int) -> Report:
        """Write the file of a film from those of its pieces."""
        report = Report()
        files = (self._file(part, Piece(number)) for number in range(pieces))
        found = joined((self._results(file) for file in files), self._recognizer)
        self._write(self._file(part), found, report)
        return report

    def _pictures(self, part: Part) -> Iterable[Pending]:
        """Of a film once for all its pieces: it may have to be fetched."""
        if not part.is_film:
            return pending(part.entries, self._job)
        if self._film is None or self._film[0] != part:
            self._film = None  # lets go of the file before
            self._film = (part, next(iter(pending(part.entries, self._job))))
        return [self._film[1]]

    def _pieces(self, part: Part, pictures: Iterable[Pending]) -> list[Piece]:
        whole = self._recognizer.identify or self._recognizer.card.state
        if not part.is_film or whole:  # what is known of a face is not in the tables
            return [WHOLE]
        return pieces_of(next(iter(pictures)), self._job)

    def _file(self, part: Part, piece: Piece | None = None) -> Place:
        if piece is None:
            return self._out / f"{part.name}.parquet"
        return self._out / WORK / f"{part.name}.{piece.number:04d}.parquet"

    def _write(
        self, file: Place, results: Iterable[Result], report: Report, extra: bool = False
    ) -> None:
        buffer = io.BytesIO()
        labels, state = self._recognizer.labels, self._recognizer.card.state
        rows = RowGroups(buffer, labels, self._origin(), ("new_shot",) if extra else ())
        for result in results:
            rows.write(result.readings, **({"new_shot": result.new_shot} if extra else {}))
            report.summary.count(result.readings)
            for reading in result.readings if state else ():
                report.summary.clips.add(reading)
        rows.close()
        if hidden := self._hidden():  # a folder of the network is lost: no row is to blame
            raise FileError(errno.ENOENT, "it was there at the start", hidden[0])
        file.write(buffer.getvalue(), self._out / WORK)

    def _results(self, file: Place) -> Iterator[Result]:
        """The frames in the file of a piece."""
        parquet = need("pyarrow.parquet", extra="ray")
        table = parquet.read_table(io.BytesIO(file.read()))
        for _, group in groupby(table.to_pylist(), lambda row: (row["time_s"], row["frame"])):
            rows = [*group]
            readings = Readings(reading_of(row, self._recognizer.labels) for row in rows)
            first = readings[0]
            place = (first.path, first.frame, first.time_s)
            yield Result(*place, readings, None, first.index, rows[0]["new_shot"])

    def _count(self, summary: Summary, careful: bool) -> None:
        """For Ray's dashboard and Prometheus."""
        for name, count in {
            "mien_pictures": summary.pictures,
            "mien_faces": summary.faces,
            "mien_unreadable": summary.unreadable,
            "mien_second_tries": int(careful),
        }.items():
            if count and (counter := _counter(name)):
                counter.inc(count)


@functools.cache
def _counter(name: str) -> Any:
    """Ray's; None where the reader is called without Ray."""
    if "ray" not in sys.modules:
        return None
    metrics = need("ray.util.metrics", extra="ray")
    return metrics.Counter(
        name, "Photos and frames, or faces, that `mien recognize --on` has read."
    )
