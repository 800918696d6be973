"""Read pictures or a video and write tables, drawings, a video and a timeline."""

import contextlib
import dataclasses
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.errors import InputError
from mien.extras import installed
from mien.faces.tracking import Tracker
from mien.files import check_outputs, csv_text, same_file, write_text
from mien.marks import check_own
from mien.memory import ClipReadings
from mien.output import draw, overlay, save_picture
from mien.output.tables import Tables, format_of
from mien.output.timeline import SUFFIXES, Timeline
from mien.output.veil import Pixels, Veil
from mien.recognizer import Recognizer
from mien.segments import Segment, Segmenter
from mien.sources import Pending, Source, open_source
from mien.stream import Result
from mien.summary import Summarizer
from mien.types import Reading, Readings

if TYPE_CHECKING:
    from mien.output.clip import Clip

_LIVE_FPS = 25.0
_NAME_BYTES = 255
_DRAWN = (".png", ".jpg", ".jpeg", ".webp")
"""Suffixes that a drawing shares with its picture; others get .jpg behind them."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """Files to write; None: not written. `pictures` is a folder; the next four are for videos."""

    tables: tuple[Path, ...] = ()
    pictures: Path | None = None
    video: Path | None = None
    plot: Path | None = None
    segments: Path | None = None
    blur: bool = False
    stdout: str | None = None
    """The format, .csv or .jsonl, of a table on standard output."""
    summary: Path | None = None
    bom: bool = False
    """Whether every new .csv tells Excel that it is in UTF-8."""

    @property
    def csv(self) -> Path | None:
        """The table that an interrupted run can be continued from."""
        return next((t for t in self.tables if t.suffix.lower() == ".csv"), None)

    @property
    def named(self) -> list[tuple[str, Path]]:
        """The option and the path of each."""
        others = (
            ("--out", self.pictures),
            ("--video", self.video),
            ("--plot", self.plot),
            ("--segments", self.segments),
            ("--summary", self.summary),
        )
        tables = [("table", path) for path in self.tables]
        return tables + [(option, path) for option, path in others if path is not None]


@dataclass(slots=True)
class Summary:
    """Counts of what was read."""

    pictures: int = 0
    faces: int = 0
    without_face: int = 0
    unreadable: int = 0
    skipped: int = 0
    labels: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    """What the user should know of tables that are continued."""
    clips: ClipReadings = field(default_factory=ClipReadings)
    """What a network for clips reads of each face of each film."""
    warnings: list[str] = field(default_factory=list)
    """What the source told once it was read, such as damage that was passed over."""

    def count(self, readings: Readings) -> None:
        """Count the readings of one picture."""
        self.pictures += 1
        for reading in readings:
            if reading.label is not None:
                self.faces += 1
                self.labels[reading.label] = self.labels.get(reading.label, 0) + 1
        self.without_face += readings[0].status == "no_face"
        self.unreadable += readings[0].status == "unreadable"

    def describe(self) -> str:
        """The counts in a line."""
        counts = {
            "without a face": self.without_face,
            "unreadable": self.unreadable,
            "done before": self.skipped,
            "warning" if len(self.warnings) == 1 else "warnings": len(self.warnings),
        }
        parts = [f"{self.pictures} read", f"{self.faces} faces"]
        parts += [f"{count} {name}" for name, count in counts.items() if count]
        shown = sorted(self.labels.items(), key=lambda item: -item[1])
        labels = ", ".join(f"{label} {count}" for label, count in shown)
        return ", ".join(parts) + (f"; {labels}" if labels else "")


def analyse(
    recognizer: Recognizer,
    source: Any,
    outputs: Outputs,
    *,
    resume: bool = False,
    begin: Callable[[int | None], None] = lambda _length: None,
    show: Callable[[Result], None] = lambda _result: None,
) -> Summary:
    """Counts of what was read of `source`; `outputs` are written on the way.

    `source` is anything that `mien.sources.open_source` takes, or what it has opened: that function
    has the options for private networks and parts of a video. With `resume`, what the rows of the
    .csv table hold is not read again. `begin` is called with the number of pictures or frames to
    come, `show` with each one that was read. Raises InputError for outputs that do not fit the
    source or would replace it, and the errors of opening it.
    """
    opened = open_source(source)
    check(outputs, opened)
    _check_resumed(outputs, resume, recognizer)
    film = _Films(outputs, recognizer.labels)
    with contextlib.ExitStack() as stack:
        tables = stack.enter_context(_tables(recognizer, opened, outputs, resume))
        _check_begun(recognizer, tables.done)
        rest = _rest(opened, outputs, tables.done)
        summary = Summary(skipped=_pictures_in(tables.done), notes=tables.notes)
        summary.unreadable = sum(reading.status == "unreadable" for reading in tables.done)
        film.recall(tables.done)
        begin(rest.length)
        told = {*rest.warnings}
        # A table comes last: what it has is drawn, too, whenever a run is killed.
        writers = [
            *_drawers(stack, outputs, rest),
            lambda result: tables.write(result.readings),
            film.add,
        ]
        tables.begin()
        pixels = outputs.video is not None or outputs.pictures is not None
        results = recognizer.stream(rest, pixels=pixels, tracker=film.tracker)
        stack.callback(results.close)  # type: ignore[attr-defined]
        for result in results:
            for write in writers:
                write(result)
            summary.count(result.readings)
            for reading in result.readings if recognizer.card.state else ():
                summary.clips.add(reading)
            show(result)
    film.save()
    summary.warnings += [warning for warning in rest.warnings if warning not in told]
    return summary


class _Films:
    """State of films, one after the other: tracks, segments, the timeline, the summary."""

    def __init__(self, outputs: Outputs, labels: tuple[str, ...]) -> None:
        self.tracker: Tracker | None = None
        """That of the last film that was recalled."""
        self._outputs = outputs
        self._timeline = Timeline() if outputs.plot else None
        self._segmenters: dict[tuple[int | None, str | None], Segmenter] = {}
        self._segments: list[tuple[str | None, Segment]] = []
        self._summarizer = Summarizer(labels) if outputs.summary else None

    def add(self, result: Result) -> None:
        if self._summarizer is not None:
            self._summarizer.add(result.readings)
        if self._timeline is not None and result.new_shot and result.time_s is not None:
            self._timeline.cut(result.time_s)
        for reading in result.readings:
            self._add(reading)

    def _add(self, reading: Reading) -> None:
        if reading.time_s is not None and self._outputs.segments is not None:
            film = (reading.index, reading.path)
            if film not in self._segmenters:
                self._close()
                self._segmenters[film] = Segmenter()
            segments = self._segmenters[film].add(reading)
            self._segments += ((reading.path, segment) for segment in segments)
        if self._timeline is not None:
            self._timeline.add(reading)

    def recall(self, done: Readings) -> None:
        """Restore the state of an interrupted run; of its cuts no table tells."""
        if self._summarizer is not None:
            for _, readings in groupby(done, lambda reading: reading.place):
                self._summarizer.add([*readings])
        for reading in done:
            if reading.time_s is None:
                continue
            if self.tracker is None or reading.index != self.tracker.film:
                self.tracker = Tracker(reading.index)
            if reading.face is None or reading.smoothed is None or reading.face_id is None:
                self.tracker.update(reading.time_s, [], [])
                self._add(dataclasses.replace(reading, face=None, scores=None))
                continue
            self.tracker.recall(reading.face_id, reading.time_s, reading.face, reading.smoothed)
            self._add(reading)

    def _close(self) -> None:
        """End the segments of the film before."""
        for (_, path), segmenter in self._segmenters.items():
            self._segments += ((path, segment) for segment in segmenter.close())
        self._segmenters.clear()

    def save(self) -> None:
        if self._outputs.segments is not None:
            self._close()
            _write_segments(self._outputs.segments, self._segments, self._outputs.bom)
        if self._timeline is not None and self._outputs.plot is not None:
            self._timeline.save(self._outputs.plot)
        if self._summarizer is not None and self._outputs.summary is not None:
            self._summarizer.table().save(self._outputs.summary, bom=self._outputs.bom)


def _write_segments(path: Path, segments: list[tuple[str | None, Segment]], bom: bool) -> None:
    """A row for each, film by film, in the order of time."""
    rows: list[list[object]] = [["path", *(f.name for f in dataclasses.fields(Segment))]]
    films = {film: number for number, film in enumerate(dict(segments))}
    for film, one in sorted(segments, key=lambda s: (films[s[0]], s[1].from_s, s[1].face_id)):
        values = (film, *dataclasses.astuple(one))
        rows.append([round(v, 6) if isinstance(v, float) else v for v in values])
    write_text(path, ("\ufeff" if bom else "") + csv_text(rows))


def check(outputs: Outputs, source: Source) -> None:
    """Raise InputError for outputs that cannot be written or would replace an input."""
    for table in outputs.tables:
        format_of(table)
    for option, path in outputs.named:
        if str(path) == "-":
            raise InputError(f"{option} - is no file; --csv - and --jsonl - go to standard output")
    if outputs.blur and outputs.video is None:
        raise InputError("--blur hides the faces in --video; add it, or leave --blur out")
    if outputs.blur and outputs.pictures is not None:
        raise InputError("--blur hides the faces in --video alone; leave --out out")
    if source.kind != "picture" and _is_file(outputs.pictures):
        raise InputError(f"{outputs.pictures}: expected a folder for drawings of several pictures")
    if outputs.plot is not None:
        if outputs.plot.suffix.lower() != ".html":
            installed("matplotlib", extra="report")
        if outputs.plot.suffix.lower() not in SUFFIXES:
            raise InputError(f"{outputs.plot}: cannot plot that; use {', '.join(SUFFIXES)}")
    pictures = source.kind in ("picture", "pictures")
    if pictures and (outputs.video or outputs.plot or outputs.segments):
        raise InputError(f"{source.name} is no video: --video, --plot and --segments need one")
    if source.kind == "mixed" and (outputs.video or outputs.plot):
        raise InputError(
            f"{source.name} may be several films: --video and --plot are of exactly one; give it "
            "alone, by its path"
        )
    check_outputs(outputs.named, source.files)
    check_own(outputs.named)
    if (pictures or source.kind == "mixed") and outputs.pictures is not None:
        _check_drawings(outputs.pictures, source.files, alone=source.kind == "picture")


def _check_drawings(out: Path, pictures: Sequence[str | Path], *, alone: bool) -> None:
    """Refuse drawings that would replace a picture, or the drawing of another one."""
    drawn: dict[Path, str | Path] = {}
    for picture in pictures:
        place = place_of(out, Pending(picture).name, alone=alone)
        other = drawn.setdefault(place, picture)
        if other != picture and not same_file(other, picture):
            raise InputError(
                f"{other} and {picture} would both be drawn as {place}; expected a drawing for "
                "each: give them in two commands, or as paths that tell them apart"
            )
    there = [("--out", p) for p in drawn if os.path.exists(p)]  # noqa: PTH110  (too long a name)
    check_outputs(there, pictures)
    check_own(there)


def _check_resumed(outputs: Outputs, resume: bool, recognizer: Recognizer) -> None:
    """Raise InputError for outputs that cannot be continued."""
    if resume and outputs.csv is None:
        raise InputError("--resume continues a table: give the same --csv as before")
    if resume and recognizer.identify:
        raise InputError(
            "no looks of a stopped run are kept, so --identify cannot --resume it; leave one out"
        )


def _check_begun(recognizer: Recognizer, done: Readings) -> None:
    """Raise InputError for a film that a network for clips would have to go on with."""
    if recognizer.card.state is not None and done and done[-1].time_s is not None:
        raise InputError(
            f"{recognizer.card.name} reads clips from their beginning and cannot go on within "
            f"{done[-1].path}; leave --resume out, or delete its rows from the table"
        )


def _tables(recognizer: Recognizer, source: Source, outputs: Outputs, resume: bool) -> Tables:
    return Tables(
        outputs.tables,
        recognizer.labels,
        recognizer.origin(getattr(source, "cut", None)),  # photos have none
        resume=resume,
        bom=outputs.bom,
        stdout=outputs.stdout,
    )


def _pictures_in(done: Readings) -> int:
    """How many pictures or frames an interrupted run has read."""
    return len({reading.place for reading in done})


def _rest(source: Source, outputs: Outputs, done: Readings) -> Source:
    """What is left to be read of `source`."""
    if done and outputs.video is not None:
        raise InputError("a drawn video cannot be continued; leave --video or --resume out")
    for film in {reading.path for reading in done if reading.frame is not None}:
        if source.kind == "video" and film != source.name:
            raise InputError(f"{outputs.csv} is of {film}, not of {source.name}; choose another")
    _check_order(outputs.csv, done)
    return source.rest(done) if done else source


def _check_order(table: Path | None, done: Readings) -> None:
    """Raise InputError where the frames of a film are no longer in the order of time."""
    for one, other in itertools.pairwise(done):
        if one.time_s is None or other.time_s is None or one.place[:2] != other.place[:2]:
            continue
        if other.time_s < one.time_s:
            raise InputError(
                f"{table} has been sorted: {other.time_s} s come after {one.time_s} s; sort it by "
                "path and time_s, or choose another --csv"
            )


def _drawers(
    stack: contextlib.ExitStack, outputs: Outputs, source: Source
) -> Iterator[Callable[[Result], None]]:
    """Functions that write the video and the drawings; the stack closes them."""
    if outputs.video is not None:
        show = partial(_show, stack.enter_context(_clip(outputs.video, source)))
        yield stack.enter_context(Veil(show)).add if outputs.blur else show
    if outputs.pictures is not None:
        yield partial(_draw, outputs.pictures, source.kind == "picture")


def _draw(out: Path, alone: bool, result: Result) -> None:
    if result.pixels is not None:
        place = place_of(out, result.path, result.frame, result.index, alone=alone)
        drawn = draw(result.pixels, result.readings)
        try:
            save_picture(place, drawn)
        except InputError:  # more pixels on a side than its format holds
            save_picture(place.with_name(f"{place.name}.png"), drawn)


def _show(clip: "Clip", result: Result, hidden: Pixels | None = None) -> None:
    """Add a frame to a film; `hidden` is the picture with its faces blurred."""
    pixels = result.pixels if hidden is None else hidden
    if pixels is not None and result.time_s is not None:
        clip.write(overlay(pixels, result.readings), result.time_s)


def _clip(path: Path, source: Source) -> "Clip":
    """A video with the times and the sound of `source`."""
    from mien.output.clip import Clip
    from mien.sources.video import Video

    if not isinstance(source, Video):
        return Clip(path, _LIVE_FPS, None)
    return Clip(path, source.rate, source.path, source.cut.start_s, source.cut.end_s)


def place_of(
    out: Path,
    path: str | None,
    frame: int | None = None,
    index: int | None = None,
    *,
    alone: bool = False,
) -> Path:
    """Where the drawing of a picture goes: its own path below the folder `out`.

    Frames of a film go into `out`; those of one of several films, which have an `index`, into a
    folder of the film's name. A picture that is read `alone` goes into the folder under its name,
    or to `out` itself, if that is a file's.
    """
    if alone and _is_file(out):
        return out
    name = Path(path or ("picture" if index is None else f"picture_{index:06d}"))
    parts = [p for p in name.parts if p not in (name.anchor, "..", ".")]
    own = out.joinpath(*(parts[-1:] if alone else parts))
    if frame is not None:
        return (out if index is None else own) / f"frame_{frame:06d}.jpg"
    return own if name.suffix.lower() in _DRAWN else own.with_name(_with_jpg(own.name))


def _with_jpg(name: str) -> str:
    """The name and .jpg, within the 255 bytes that file systems allow for both."""
    while len(os.fsencode(f"{name}.jpg")) > _NAME_BYTES:
        name = name[:-1]
    return f"{name}.jpg"


def _is_file(out: Path | None) -> bool:
    """Whether drawings were given the name of a file rather than of a folder."""
    return out is not None and out.suffix != "" and not out.is_dir()
