"""A part → its readings, in a worker; a film that is long in pieces, which are joined again."""

import contextlib
import itertools
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from mien.cluster.listing import pictures_in
from mien.cluster.plan import Entry, Job, Part
from mien.cluster.stores import ANSWERED, Place, is_stored, shown
from mien.errors import FileError, InputError, MienError, RunError
from mien.recognizer import Recognizer, track
from mien.sources import Cut, Pending, Pictures
from mien.sources.films import How, film_of
from mien.sources.stored import Stored
from mien.sources.video import Video
from mien.stream import Result, in_order
from mien.types import Readings

_FETCHERS = 8
"""Files of a store that are fetched side by side: one waits for the network most of its time."""
READY = "ready"
"""First word of the process that reads files one by one."""
_JUST_S = 1e-6
"""Frames up to so much after a time that is done are done, too (`mien.sources.video`)."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Of a film: its frames from `start_s` on, up to and without `end_s`; None is the film's own
    beginning or end."""

    number: int
    start_s: float | None = None
    end_s: float | None = None

    def of(self, cut: Cut) -> Cut:
        """The frames of `cut` that lie in the piece. What comes shortly before is decoded, too, as
        when a stopped run goes on: so the same faces are found."""
        after_s = cut.after_s if self.start_s is None else self.start_s - _JUST_S
        return replace(cut, after_s=after_s, end_s=cut.end_s if self.end_s is None else self.end_s)


WHOLE = Piece(0)


def recognizer_of(job: Job) -> Recognizer:
    """The job's own."""
    from mien.faces import open_detector

    given = dict(job.recognizer or {})
    detector = open_detector(job.detector, job.min_face, given.get("device", "auto"))
    return Recognizer(job.model, detector=detector, **given)


def how_of(job: Job, piece: Piece = WHOLE) -> How:
    """How its sources are read."""
    return How(private=job.private, cut=piece.of(job.cut))


def read(
    recognizer: Recognizer, pictures: Iterable[Pending], how: How, notes: list[str]
) -> Iterator[Result]:
    """The readings of each picture and frame; `notes` get what is odd about the films."""
    source = Pictures("the part", iter(pictures), how)
    yield from recognizer.stream(source)
    notes += source.warnings


def pending(entries: Sequence[Entry], job: Job) -> Iterator[Pending]:
    """The pictures of a part, those of stores a few ahead of their reading."""
    if entries and entries[0].table is not None:
        rows = [int(entry.row or 0) for entry in entries]
        held = pictures_in(entries[0].table, rows[0], rows[-1] - rows[0] + 1)
        for entry, row in zip(entries, rows, strict=True):
            yield _held(entry, held[row - rows[0]])
        return
    make = partial(_pending, private=job.private)
    stored = any(is_stored(entry.path or "") for entry in entries)
    yield from in_order(entries, make, _FETCHERS) if stored else map(make, entries)


def _held(entry: Entry, data: bytes | None) -> Pending:
    if data is None:
        return Pending(entry.path, index=entry.index, error=InputError("the row has no picture"))
    return Pending(Stored(entry.path, data), index=entry.index)


def _pending(entry: Entry, private: bool) -> Pending:
    path = entry.path
    if entry.error is not None or not path:
        error = InputError(entry.error or "the row has no path")
        return Pending(path, index=entry.index, error=error)
    if not is_stored(path):
        source: Any = path if "://" in path else Path(path)
        return Pending(source, private=private, index=entry.index)
    try:
        data: Any = Place(path).fetch() if entry.is_film else Place(path).read()
    except FileError:  # nothing of the store can be read: no row is made of it
        raise
    except MienError as error:
        return Pending(shown(path), index=entry.index, error=error)
    return Pending(Stored(shown(path), data), index=entry.index)


def pieces_of(film: Pending, job: Job) -> list[Piece]:
    """The pieces of a film that is long, cut at key frames; else one, as of what cannot be opened
    or where a key frame is not found by its time."""
    try:
        opened = None if film.error else film_of(film.source, how_of(job))
    except MienError:  # told when it is read
        return [WHOLE]
    if not isinstance(opened, Video):
        return [WHOLE]
    starts = opened.key_frames(job.piece_s)
    bounds = [None, *starts, None]
    return [Piece(n, a, b) for n, (a, b) in enumerate(itertools.pairwise(bounds))]


def joined(pieces: Iterable[Iterable[Result]], recognizer: Recognizer) -> Iterator[Result]:
    """The frames of a film from those of its pieces, with the face ids of the whole film."""
    tracker = None
    for result in (result for piece in pieces for result in piece):
        if tracker is None:
            tracker = recognizer.tracker(result.index)
        yield track(result, tracker)
        if result.readings[0].status == "unreadable" and result.frame is not None:
            return  # where the film breaks off: later pieces tell of it again


def alone(job: Job, part: Part, piece: Piece) -> Iterator[Result]:
    """The readings of a part whose reading has ended a process: in one more process, which the
    next file that ends it takes along. That one is `unreadable`, and reading goes on behind it."""
    left = list(part.entries)
    while left:
        with subprocess.Popen(
            [sys.executable, "-m", "mien.cluster.alone"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as child:
            yield from _answers(child, job, replace(part, entries=tuple(left)), piece, left)
        if left:
            yield _lost(left.pop(0), piece, child.returncode)


def _answers(
    child: subprocess.Popen[bytes], job: Job, part: Part, piece: Piece, left: list[Entry]
) -> Iterator[Result]:
    """The results of each entry, which is taken from what is `left` once it is through."""
    import pickle

    assert child.stdin is not None and child.stdout is not None
    try:
        with contextlib.suppress(BrokenPipeError):
            pickle.dump((job, part, piece, ANSWERED), child.stdin)
            child.stdin.close()
        _check_ready(child)
        while left:
            results: list[Result] | FileError = pickle.load(child.stdout)
            if isinstance(results, FileError):
                raise results
            left.pop(0)
            yield from results
    except (EOFError, BrokenPipeError, pickle.UnpicklingError):
        return


def _check_ready(child: "subprocess.Popen[bytes]") -> None:
    """RunError where it ended before it read any file."""
    import pickle

    assert child.stdout is not None
    try:
        ready = pickle.load(child.stdout) == READY
    except (EOFError, pickle.UnpicklingError):
        ready = False
    if not ready:
        raise RunError(
            f"the process that reads files one by one cannot start (exit code {child.wait()})"
        )


def _lost(entry: Entry, piece: Piece, code: int) -> Result:
    from mien.types import Reading

    name = shown(entry.path) if entry.path else None
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    error = f"{name or 'the picture'} ended the process that read it, twice ({how})"
    time_s = piece.start_s
    reading = Reading(None, None, "unreadable", name, time_s, error=error, index=entry.index)
    return Result(name, None, time_s, Readings([reading]), index=entry.index)
