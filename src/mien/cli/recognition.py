"""Commands that read faces: pictures, videos, cameras."""

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.options import (
    DEFAULT,
    DetectorName,
    Device,
    MinFace,
    ModelName,
    Threads,
    Views,
    clock_time,
)
from mien.cli.show import busy, console, end, need_report, say, unknown_bar, warn
from mien.errors import InputError
from mien.style import percent

if TYPE_CHECKING:
    from mien.analyse import Outputs
    from mien.recognizer import Recognizer
    from mien.sources import Source
    from mien.stream import Result
    from mien.types import Reading

Sources = Annotated[
    list[str],
    typer.Argument(
        help="Photos, films, folders, patterns, addresses; - reads paths, one a line, or a photo "
        "from standard input.",
        metavar="SOURCE...",
    ),
]
Csv = Annotated[Path | None, typer.Option(help="Write a table with a row for each face.")]
Table = Annotated[
    Path | None, typer.Option(help="Write a table with a row for each face; - prints it.")
]
Jsonl = Annotated[
    Path | None, typer.Option(help="Write the table and landmarks as JSON lines; - prints them.")
]
Parquet = Annotated[
    str | None,  # an address keeps its two slashes
    typer.Option(help="Write the table as Parquet; with --on a folder of them.", metavar="PATH"),
]
Drawings = Annotated[
    Path | None,
    typer.Option(help="Draw boxes and scores: a file for one picture, a folder for several."),
]
Video = Annotated[Path | None, typer.Option(help="Draw the video with its faces marked, .mp4.")]
Plot = Annotated[
    Path | None,
    typer.Option(help="Draw a video's scores over time, .png; .html answers the pointer."),
]
Segments = Annotated[
    Path | None, typer.Option(help="Write when each face of a video shows which expression, .csv.")
]
SummaryFile = Annotated[
    Path | None,
    typer.Option(
        "--summary", help="Write a row for each face, film and folder of photos: shares, means."
    ),
]
Bom = Annotated[bool, typer.Option("--bom", help="Mark new .csv files as UTF-8, for Excel.")]
Blur = Annotated[bool, typer.Option("--blur", help="Hide the faces in --video.")]
Every = Annotated[int, typer.Option(help="Read every N-th frame of a video.", metavar="N")]
Fps = Annotated[float | None, typer.Option(help="Read so many frames a second of a video.")]
Start = Annotated[
    float,
    typer.Option(
        help="Read a video from this time on: 90.5, 1:30 or 00:01:30.",
        parser=clock_time,
        metavar="TIME",
    ),
]
End = Annotated[
    float | None,
    typer.Option(
        help="Read a video up to this time, exclusive.", parser=clock_time, metavar="TIME"
    ),
]
EveryFrame = Annotated[
    bool,
    typer.Option(
        "--every-frame", help="Search every frame for faces; else they are followed: much quicker."
    ),
]
Identify = Annotated[
    bool,
    typer.Option(
        "--identify",
        help="Give who comes back in a video the same id, by looks: this is biometric processing.",
    ),
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue the --csv of a stopped run.")]
On = Annotated[
    str | None,
    typer.Option(
        help="Read on a Ray cluster: ray://HOST:10001, HOST:6379, or local, this machine's cores. "
        "Sources may be s3://, gs:// and hdfs:// folders and Parquet tables, too. "
        "The same command goes on with a stopped run.",
        metavar="ADDRESS",
    ),
]
Cards = Annotated[
    float,
    typer.Option(
        help="Share of a graphics card for each worker of --on. Default: 1 with --device cuda.",
        min=0,
        max=1,
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="Stop at a picture without a face.")]
Private = Annotated[bool, typer.Option("--private", help="Allow addresses in private networks.")]
_STDOUT = Path("-")


def recognize(
    sources: Sources,
    model: ModelName = DEFAULT,
    detector: DetectorName = "yunet",
    min_face: MinFace = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    out: Drawings = None,
    csv: Table = None,
    jsonl: Jsonl = None,
    parquet: Parquet = None,
    bom: Bom = False,
    video: Video = None,
    plot: Plot = None,
    segments: Segments = None,
    summary: SummaryFile = None,
    blur: Blur = False,
    every: Every = 1,
    fps: Fps = None,
    start: Start = 0.0,
    end: End = None,
    resume: Resume = False,
    strict: Strict = False,
    every_frame: EveryFrame = False,
    identify: Identify = False,
    align: Annotated[bool, typer.Option(help="Turn tilted faces upright.")] = True,
    private: Private = False,
    views: Views = None,
    device: Device = "auto",
    threads: Threads = None,
    on: On = None,
    cards: Cards = 0.0,
) -> None:
    """Read the expression of every face in pictures or a video."""
    from mien.analyse import Outputs
    from mien.cli.clustering import check_alone, check_on, recognize_on
    from mien.faces import open_detector
    from mien.recognizer import Recognizer
    from mien.sources import Cut, open_source

    options: Any = {"device": device, "threads": threads, "align": align, "views": views}
    options |= {"every_frame": every_frame, "identify": identify}
    cut = Cut(every, fps, start, end)
    if on is not None:
        from mien.cluster.plan import Job

        others = {"--json": json, "--out": out, "--csv": csv, "--jsonl": jsonl, "--strict": strict}
        others |= {"--video": video, "--plot": plot, "--segments": segments, "--summary": summary}
        others |= {"--blur": blur, "--bom": bom}
        check_on(sources, parquet, others)
        job = Job(str(parquet), model, detector, min_face, options, cut, private)
        recognize_on(on, sources, job, cards)
        return
    check_alone(sources, parquet, cards)
    table = None if parquet is None else Path(parquet)
    stdout = _stdout(csv, jsonl, table, json)
    tables = tuple(path for path in (csv, jsonl, table) if path not in (None, _STDOUT))
    outputs = Outputs(tables, out, video, plot, segments, blur, stdout, summary, bom)
    source = open_source(_given(sources), private=private, cut=cut)
    _check(source, outputs)  # before the weights are read
    if identify and source.kind in ("picture", "pictures"):
        raise InputError(f"{source.name} is no video: --identify tells the people of one apart")
    faces = open_detector(detector, min_face, device)
    recognizer = Recognizer(model, detector=faces, **options)
    if source.kind == "picture" and outputs == Outputs(pictures=out, bom=bom) and not resume:
        _recognize_one(recognizer, source, json, out, strict)
    else:
        _analyse(recognizer, source, outputs, json=json, resume=resume, strict=strict)


def _stdout(csv: Path | None, jsonl: Path | None, parquet: Path | None, json: bool) -> str | None:
    """The format of the table that goes to standard output; InputError for more than one."""
    if parquet == _STDOUT:
        raise InputError("Parquet is not for standard output; use --csv - or --jsonl -")
    asked = [form for form, path in ((".csv", csv), (".jsonl", jsonl)) if path == _STDOUT]
    if len(asked) + json > 1:
        raise InputError("expected one of --json, --csv - and --jsonl -: one goes to the output")
    return asked[0] if asked else None


def _given(sources: list[str]) -> Any:
    """What the arguments stand for; `-` is standard input: a photo, or a list of paths."""
    if "-" not in sources or Path("-").exists():
        return sources[0] if len(sources) == 1 else sources
    from mien.sources.listing import photo_or_paths

    come = photo_or_paths(sys.stdin.buffer.read())
    if sources == ["-"]:
        return come
    listed = come if isinstance(come, list) else [come]
    return [one for given in sources for one in (listed if given == "-" else [given])]


def _check(source: "Source", outputs: "Outputs") -> None:
    """Refuse outputs that do not fit the source; say what is odd about it."""
    from mien.analyse import check

    check(outputs, source)
    for warning in source.warnings:
        warn(warning)


def demo(
    out: Annotated[Path, typer.Option(help="Where to draw the result.")] = Path("mien-demo.png"),
) -> None:
    """Recognise the face in the portrait in the package, offline."""
    from mien.demo import PORTRAIT
    from mien.files import check_outputs
    from mien.marks import check_own
    from mien.recognizer import Recognizer
    from mien.sources import open_source

    check_outputs([("--out", out)], [PORTRAIT])
    check_own([("--out", out)])
    _recognize_one(Recognizer(), open_source(PORTRAIT), False, out, False)


def watch(
    camera: Annotated[
        str, typer.Argument(help="A camera's number, an rtsp address, or a video file.")
    ] = "0",
    model: ModelName = DEFAULT,
    detector: DetectorName = "yunet",
    min_face: MinFace = None,
    csv: Csv = None,
    every_frame: EveryFrame = False,
    seconds: Annotated[float | None, typer.Option(help="Stop after so many seconds.")] = None,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Read expressions live from a camera; Ctrl-C ends."""
    from mien.faces import open_detector
    from mien.files import check_outputs
    from mien.recognizer import Recognizer
    from mien.sources.live import Live
    from mien.watch import watch as look

    number = camera.isdecimal() and not Path(camera).exists()
    source = Live(int(camera) if number else camera)
    check_outputs([("--csv", csv)], source.files)  # before the weights are read
    faces = open_detector(detector, min_face, device)
    recognizer = Recognizer(
        model, detector=faces, device=device, threads=threads, every_frame=every_frame
    )
    watched = look(recognizer, source, csv, seconds, console())
    for message in (*watched.errors, *watched.warnings):
        warn(message)
    for line in watched.clips.lines():
        say(line)
    say(f"{watched.frames} frames read, {watched.dropped} dropped, {watched.rate:.1f} a second")
    end(bool(watched.errors))


def report(
    table: Annotated[
        Path,
        typer.Argument(
            help="Table of readings: .csv, .jsonl, .parquet, or a folder of --on.", metavar="TABLE"
        ),
    ],
    out: Annotated[Path, typer.Argument(help="Page to write: .html.", metavar="OUT")],
    clear: Annotated[
        bool, typer.Option("--clear", help="Show faces as they are. Default: blurred.")
    ] = False,
) -> None:
    """Make one page of a table of readings, to send to others: summaries, timelines, faces."""
    need_report()
    from mien.files import check_outputs
    from mien.marks import check_own
    from mien.report.readings_page import write_report

    if out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{out}: expected a page to write, such as report.html")
    check_outputs([("OUT", out)], [table])
    check_own([("OUT", out)])
    with busy("making the page"):
        page = write_report(table, out, clear=clear)
    say(f"page: {page}")


def _recognize_one(
    recognizer: "Recognizer", source: "Source", json: bool, out: Path | None, strict: bool
) -> None:
    from mien import output
    from mien.analyse import place_of
    from mien.recognizer import require_face

    (item,) = source
    picture = item.load()  # one that cannot be read is an error
    found, pixels = recognizer.read(picture), picture.pixels
    if strict:
        require_face(found.readings)
    if out is not None and pixels is not None:
        out = place_of(out, found.path, alone=True)
        output.save_picture(out, output.draw(pixels, found.readings))
    if json:
        typer.echo(found.readings.to_json())
        return
    if found.readings[0].face:
        console().print(output.to_table(found.readings, recognizer.labels))
    else:
        say("no face found; for a ready-made face crop use --detector none")
    if out is not None:
        say(f"picture: {out}")


def _analyse(
    recognizer: "Recognizer",
    source: "Source",
    outputs: "Outputs",
    *,
    json: bool,
    resume: bool,
    strict: bool,
) -> None:
    from mien.analyse import analyse
    from mien.recognizer import require_face
    from mien.types import Readings

    saved = [path for _, path in outputs.named]
    quiet = json or outputs.stdout or saved not in ([], [outputs.pictures])
    tell = partial(typer.echo, err=outputs.stdout is not None)
    found = Readings()

    def show(result: "Result") -> None:
        advance(1)
        if strict:
            require_face(result.readings)
        if json:
            found.extend(result.readings)
        for reading in result.readings:
            if reading.error is not None and (quiet or reading.time_s is not None):
                warn(reading.error)
            elif not quiet:
                tell(_line(reading))

    try:
        with unknown_bar("pictures") as (begin, advance):
            summary = analyse(recognizer, source, outputs, resume=resume, begin=begin, show=show)
    except KeyboardInterrupt:
        hint = f"; continue with --csv {outputs.csv} --resume"
        sys.stderr.write(f"mien: stopped{hint if outputs.csv else ''}\n")
        raise typer.Exit(130) from None
    for note in (*summary.notes, *summary.warnings):
        warn(note)
    if json:
        typer.echo(found.to_json())
    else:
        if not summary.pictures and not summary.skipped:
            warn(f"no frame of {source.name} was read; is one between --start and --end?")
        for line in (*summary.clips.lines(), summary.describe()):
            tell(line)
        for path in saved:
            tell(f"saved: {path}")
    end(summary.unreadable > 0)


def _line(reading: "Reading") -> str:
    """One reading, for the terminal."""
    where = reading.path or "picture"
    if reading.time_s is not None:
        where += f" {reading.time_s:.3f} s"
    elif reading.frame is not None:
        where += f" page {reading.frame + 1}"
    if reading.face is None:
        return reading.error or f"{where}: no face"
    if reading.face_id is not None:
        where += f" face {reading.face_id}"
    doubt = "" if reading.status == "ok" else f" ({reading.status})"
    return f"{where}: {reading.label} {percent(reading.confidence or 0.0)}{doubt}"
