"""Pictures or a video in; tables, drawings, a film and a timeline out."""

import contextlib
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mien.errors import InputError
from mien.extras import installed
from mien.faces.tracking import Tracker
from mien.files import check_outputs, csv_text, same_file, write_text
from mien.output import Table, done_in, draw, open_table, overlay, save_picture
from mien.output.tables import check_suffix, read_row
from mien.output.timeline import Timeline
from mien.recognizer import Recognizer
from mien.segments import Segment, Segmenter
from mien.sources import MAX_PIXELS, Cut, Frame, Pending, files_of, is_video, open_items
from mien.stream import Seen
from mien.types import Reading, Readings


@dataclass(frozen=True, slots=True)
class Outputs:
    """What to write; None: nothing. `pictures` is a folder; the last three are for videos."""

    tables: tuple[Path, ...] = ()
    pictures: Path | None = None
    video: Path | None = None
    plot: Path | None = None
    segments: Path | None = None
    blur: bool = False

    @property
    def csv(self) -> Path | None:
        """The table that an interrupted run can be continued from."""
        return next((t for t in self.tables if t.suffix == ".csv"), None)

    @property
    def named(self) -> list[tuple[str, Path]]:
        """The option and the path of each."""
        others = (
            ("--out", self.pictures),
            ("--video", self.video),
            ("--plot", self.plot),
            ("--segments", self.segments),
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

    def count(self, readings: Readings) -> None:
        """Take up the readings of one picture."""
        self.pictures += 1
        for reading in readings:
            if reading.label is not None:
                self.faces += 1
                self.labels[reading.label] = self.labels.get(reading.label, 0) + 1
        self.without_face += readings[0].status == "no_face"
        self.unreadable += readings[0].status == "unreadable"

    def words(self) -> str:
        """The counts in a line."""
        told = [f"{self.pictures} read", f"{self.faces} faces"]
        told += [f"{self.without_face} without a face"] if self.without_face else []
        told += [f"{self.unreadable} unreadable"] if self.unreadable else []
        told += [f"{self.skipped} done before"] if self.skipped else []
        shown = sorted(self.labels.items(), key=lambda item: -item[1])
        counts = ", ".join(f"{label} {count}" for label, count in shown)
        return ", ".join(told) + (f"; {counts}" if counts else "")


def analyse(
    recognizer: Recognizer,
    source: Any,
    outputs: Outputs,
    *,
    cut: Cut | None = None,
    resume: bool = False,
    private: bool = False,
    most_pixels: int = MAX_PIXELS,
    begin: Callable[[int | None], None] = lambda _total: None,
    advance: Callable[[int], None] = lambda _done: None,
    show: Callable[[Seen], None] = lambda _seen: None,
) -> Summary:
    """Read `source`, write `outputs` on the way, and count.

    With `resume`, what the rows of the .csv table hold is not read again. A video ends where its
    frames have more than `most_pixels`. `begin` is told how many
    pictures or frames will come, `advance` of each one done, `show` what was seen. Raises
    InputError for outputs that do not fit the source or would replace it (but an iterator's
    pictures, which are not known yet), and the errors of opening it.
    """
    check(outputs, source)
    film = _Film(recognizer, outputs)
    rows = _done(recognizer, outputs, resume)
    if rows and outputs.video is not None:
        raise InputError("a film cannot be continued; leave --video or --resume out")
    times = [float(row["time_s"]) for row in rows if row["time_s"]]
    if times:
        cut = dataclasses.replace(cut or Cut(), after_s=max(times))
        films = {row["path"] for row in rows if row["time_s"]}
        if films != {str(source)}:
            raise InputError(f"{outputs.csv} is of {min(films)}, not of {source}; choose another")
    opened = open_items(source, private=private, cut=cut, most_pixels=most_pixels)
    if not opened.film and (outputs.video or outputs.plot or outputs.segments):
        raise InputError(f"{source} is no video: --video, --plot and --segments need one")
    done = {row["path"] for row in rows}
    summary = Summary(skipped=len(set(times)) if opened.film else len(done))
    ended = opened.film and bool(rows) and rows[-1]["status"] == "unreadable"
    items: Any = [] if ended else opened.items if opened.film else _left(opened.items, done)
    begin(opened.total if opened.film else len(items))
    film.recall(rows)
    keep = outputs.video is not None or outputs.pictures is not None
    with contextlib.ExitStack() as stack:
        clip = _clip(stack, outputs, opened.items, source, cut)
        tables = _tables(stack, recognizer, outputs, resume)
        seen_all = recognizer.read(
            items, pixels=keep, tracker=film.tracker if opened.film else None
        )
        stack.callback(seen_all.close)  # type: ignore[attr-defined]
        for seen in seen_all:
            for table in tables:
                table.write(seen.readings)
            if outputs.pictures is not None and seen.pixels is not None:
                place = _place(outputs.pictures, seen.path, seen.index)
                save_picture(place, draw(seen.pixels, seen.readings))
            if clip is not None and seen.pixels is not None and seen.time_s is not None:
                picture = overlay(seen.pixels, seen.readings, blur=outputs.blur)
                clip.write(picture, seen.time_s)
            film.add(seen.readings)
            summary.count(seen.readings)
            show(seen)
            advance(1)
    film.save()
    return summary


class _Film:
    """What is kept of a video beside its table: ids, segments, the timeline."""

    def __init__(self, recognizer: Recognizer, outputs: Outputs) -> None:
        self.tracker = Tracker()
        self._labels, self._outputs = recognizer.labels, outputs
        self._segmenter = Segmenter() if outputs.segments else None
        self._timeline = Timeline() if outputs.plot else None
        self._segments: list[Segment] = []

    def add(self, readings: Readings) -> None:
        for reading in readings:
            if self._segmenter is not None:
                self._segments += self._segmenter.add(reading)
            if self._timeline is not None:
                self._timeline.add(reading)

    def recall(self, rows: list[dict[str, str]]) -> None:
        """Bring everything to where an interrupted run left it."""
        for row in rows:
            if not row["time_s"]:
                continue
            time_s, found = float(row["time_s"]), read_row(row, self._labels)
            if found is None or not row["face_id"]:
                self.tracker.update(time_s, [], [])
                self.add(Readings([Reading(None, None, "no_face", time_s=time_s)]))
                continue
            face, scores = found
            face_id = int(row["face_id"])
            smoothed = self.tracker.recall(face_id, time_s, face, scores)
            self.add(
                Readings([Reading(face, scores, time_s=time_s, face_id=face_id, smoothed=smoothed)])
            )

    def save(self) -> None:
        if self._segmenter is not None and self._outputs.segments is not None:
            self._segments += self._segmenter.close()
            _write_segments(self._outputs.segments, self._segments)
        if self._timeline is not None and self._outputs.plot is not None:
            self._timeline.save(self._outputs.plot)


def _write_segments(path: Path, segments: list[Segment]) -> None:
    rows: list[list[object]] = [[f.name for f in dataclasses.fields(Segment)]]
    for one in sorted(segments, key=lambda s: (s.from_s, s.face_id)):
        values = dataclasses.astuple(one)
        rows.append([round(v, 6) if isinstance(v, float) else v for v in values])
    write_text(path, csv_text(rows))


def check(outputs: Outputs, source: Any) -> None:
    """Refuse at once what could not be written at the end, or only in place of what is read."""
    for table in outputs.tables:
        check_suffix(table)
    if outputs.blur and outputs.video is None:
        raise InputError("--blur hides the faces in --video; add it, or leave --blur out")
    if outputs.blur and outputs.pictures is not None:
        raise InputError("--blur hides the faces in --video alone; leave --out out")
    if outputs.pictures is not None and outputs.pictures.suffix:
        raise InputError(f"{outputs.pictures}: expected a folder for drawings beside a table")
    if outputs.plot is not None:
        installed("matplotlib", extra="report")
        if outputs.plot.suffix not in (".png", ".svg", ".pdf"):
            raise InputError(f"{outputs.plot}: cannot plot that; use .png, .svg or .pdf")
    check_outputs(outputs.named, files_of(source))
    if outputs.pictures is not None and not is_video(source):
        _check_drawings(outputs.pictures, list(files_of(source)))


def _check_drawings(folder: Path, pictures: list[str | Path]) -> None:
    """Refuse drawings that would replace a picture, or the drawing of another one."""
    drawn: dict[Path, str | Path] = {}
    for picture in pictures:
        place = _place(folder, Pending(picture).name)
        other = drawn.setdefault(place, picture)
        if other != picture and not same_file(other, picture):
            raise InputError(
                f"{other} and {picture} would both be drawn as {place}; expected a drawing for "
                "each: give them in two commands, or as paths that tell them apart"
            )
    check_outputs((("--out", place) for place in drawn if place.exists()), pictures)


def _done(recognizer: Recognizer, outputs: Outputs, resume: bool) -> list[dict[str, str]]:
    if not resume:
        return []
    if outputs.csv is None:
        raise InputError("--resume continues a table: give the same --csv as before")
    return done_in(outputs.csv, recognizer.labels)


def _left(items: Any, done: set[str]) -> list[Frame | Pending]:
    return [item for item in items if item.name not in done]


def _tables(
    stack: contextlib.ExitStack, recognizer: Recognizer, outputs: Outputs, resume: bool
) -> list[Table]:
    tables = []
    for path in outputs.tables:
        table = open_table(path, recognizer.labels, resume=resume)
        stack.callback(table.close)
        tables.append(table)
    return tables


def _clip(
    stack: contextlib.ExitStack, outputs: Outputs, video: Any, source: Any, cut: Cut | None
) -> Any:
    if outputs.video is None:
        return None
    from mien.output.clip import Clip

    start_s, end_s = (cut.start_s, cut.end_s) if cut else (0.0, None)
    sound = str(source) if Path(str(source)).is_file() else None
    fps = video.facts.fps if hasattr(video, "facts") else 25.0
    return stack.enter_context(Clip(outputs.video, fps, sound, start_s, end_s))


def _place(folder: Path, path: str | None, index: int | None = None) -> Path:
    """Where the drawing of a picture goes: its own path below `folder`."""
    if index is not None:
        return folder / f"frame_{index:06d}.jpg"
    name = Path(path or "picture")
    parts = [p for p in name.parts if p not in (name.anchor, "..", ".")]
    return folder.joinpath(*parts).with_suffix(f"{name.suffix}.jpg")
