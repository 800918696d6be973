"""Commands that read faces: pictures, videos, cameras, a service."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from mien.cli.options import DEFAULT, DetectorName, Device, ModelName, Threads, Views
from mien.cli.show import console, say, unknown_bar
from mien.extras import installed


def recognize(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Pictures, folders, patterns, addresses; or one video.", metavar="SOURCE..."
        ),
    ],
    model: ModelName = DEFAULT,
    detector: DetectorName = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Draw boxes and bars: a picture, or a folder for several."),
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="A row per face.")] = None,
    jsonl: Annotated[Path | None, typer.Option(help="The same as JSON lines, and more.")] = None,
    parquet: Annotated[Path | None, typer.Option(help="The same as Parquet.")] = None,
    video: Annotated[Path | None, typer.Option(help="Of a video: draw it anew, .mp4.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Of a video: a timeline, .png.")] = None,
    segments: Annotated[
        Path | None, typer.Option(help="Of a video: who showed what from when to when, .csv.")
    ] = None,
    blur: Annotated[bool, typer.Option("--blur", help="Hide the faces in --video.")] = False,
    every: Annotated[int, typer.Option(help="Of a video: each N-th frame.", metavar="N")] = 1,
    fps: Annotated[float | None, typer.Option(help="Of a video: F frames a second.")] = None,
    start: Annotated[float, typer.Option(help="Of a video: from there, in seconds.")] = 0.0,
    end: Annotated[
        float | None, typer.Option(help="Of a video: up to there, in seconds, exclusive.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the --csv of an interrupted run.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Fail where there is no face.")] = False,
    align: Annotated[bool, typer.Option(help="Turn tilted faces upright.")] = True,
    private: Annotated[
        bool, typer.Option("--private", help="Addresses may lead into private networks.")
    ] = False,
    views: Views = None,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Read the expression of every face in pictures or a video."""
    from mien.analyse import Outputs, check
    from mien.files import check_outputs
    from mien.recognizer import Recognizer
    from mien.sources import Cut, files_of

    source: Any = sources[0] if len(sources) == 1 else sources
    tables = tuple(path for path in (csv, jsonl, parquet) if path is not None)
    cut = Cut(every, fps, start, end)
    outputs = Outputs(tables, out, video, plot, segments, blur)
    # What is not there, or in the way, is told before the weights are read.
    alone = Recognizer.is_single(source) and cut == Cut() and not resume
    if alone := alone and outputs == Outputs(pictures=out):
        check_outputs([("--out", out)], files_of(source))
    else:
        check(outputs, source)
    recognizer = Recognizer(
        model, detector=detector, device=device, threads=threads, align=align, views=views
    )
    if alone:
        _recognize_one(recognizer, source, json, out, strict, private)
        return
    _analyse(recognizer, source, outputs, cut, _How(json, resume, strict, private))


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0: any that is free.")] = 8000,
    model: ModelName = DEFAULT,
    detector: DetectorName = "auto",
    threads: Threads = None,
    batch: Annotated[int, typer.Option(help="Faces of several requests read at once.")] = 16,
    api_key_file: Annotated[
        Path | None, typer.Option(help="File with the key that requests must bring.")
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Name under which the service may be asked for.")
    ] = None,
    urls: Annotated[
        bool, typer.Option("--urls", help="Fetch pictures from public addresses.")
    ] = False,
    rate: Annotated[int, typer.Option(help="Requests a minute from one address; 0: any.")] = 600,
    jobs: Annotated[
        Path | None, typer.Option(help="Folder of videos, kept over restarts. Default: temporary.")
    ] = None,
    keep: Annotated[float, typer.Option(help="Minutes until a video's files go.")] = 60,
) -> None:
    """Serve recognition over HTTP, and a page to try it; for this machine alone by default."""
    installed("fastapi", extra="serve")
    installed("uvicorn", extra="serve")
    from mien.serve.run import serve as start
    from mien.serve.settings import Limits, Settings

    settings = Settings(
        model=model,
        detector=detector,
        threads=threads,
        batch=batch,
        api_key=None if api_key_file is None else api_key_file.read_text().strip(),
        urls=urls,
        jobs_folder=jobs,
        keep_s=60 * keep,
        limits=Limits(requests_per_minute=rate),
    )
    start(settings, host, port, tuple(allow_host or ()))


def demo(
    out: Annotated[Path, typer.Option(help="Where to draw the result.")] = Path("mien-demo.png"),
) -> None:
    """Recognise the face in the portrait in the package, offline."""
    from mien.demo import PORTRAIT
    from mien.files import check_outputs
    from mien.recognizer import Recognizer

    check_outputs([("--out", out)], [PORTRAIT])
    _recognize_one(Recognizer(), PORTRAIT, False, out, False, False)


def watch(
    camera: Annotated[
        str, typer.Argument(help="A camera's number, an rtsp address, or a video file.")
    ] = "0",
    model: ModelName = DEFAULT,
    detector: DetectorName = "auto",
    csv: Annotated[Path | None, typer.Option(help="A row per face.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Stop after so long.")] = None,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Read expressions live from a camera; Ctrl-C ends."""
    from mien.files import check_outputs
    from mien.recognizer import Recognizer
    from mien.watch import watch as look

    check_outputs([("--csv", csv)], [camera])  # before the weights are read
    recognizer = Recognizer(model, detector=detector, device=device, threads=threads)
    source = int(camera) if camera.isdecimal() and not Path(camera).exists() else camera
    summary = look(recognizer, source, csv, seconds, console())
    say(f"{summary.frames} frames read, {summary.dropped} dropped, {summary.rate:.1f} a second")


def download() -> None:
    """Fetch the face detector's weights, for later use offline."""
    from mien.faces.weights import YUNET, locate

    say(f"{locate(YUNET)} ({YUNET.licence}, sha256 {YUNET.sha256[:12]}...)")


def _recognize_one(
    recognizer: Any, source: Any, as_json: bool, out: Path | None, strict: bool, private: bool
) -> None:
    from mien import output
    from mien.sources import load

    picture = load(source, private=private)
    readings = recognizer.recognize(picture, strict=strict)
    if out is not None:
        output.save_picture(out, output.draw(picture, readings))
    if as_json:
        import json

        faces = {"path": str(source), "faces": readings.to_dict()}
        typer.echo(json.dumps(faces, indent=2))
        return
    if readings:
        console().print(output.to_table(readings, recognizer.labels))
    else:
        say("no face found; for a ready-made face crop use --detector none")
    if out is not None:
        say(f"picture: {out}")


@dataclass(frozen=True, slots=True)
class _How:
    """Switches of `mien recognize` for several pictures and videos."""

    json: bool
    resume: bool
    strict: bool
    private: bool


def _analyse(recognizer: Any, source: Any, outputs: Any, cut: Any, how: _How) -> None:
    from mien.analyse import analyse
    from mien.errors import NoFace

    def show(seen: Any) -> None:
        if how.strict and seen.readings[0].face is None:
            first = seen.readings[0]
            raise NoFace(first.error or f"no face in {seen.path}, frame {seen.index or 0}")
        if how.json:
            lines.extend(reading.to_dict() for reading in seen.readings)
        elif not (outputs.tables or outputs.video or outputs.plot or outputs.segments):
            say("\n".join(_line(reading) for reading in seen.readings))

    lines: list[Any] = []
    try:
        with unknown_bar("pictures") as (begin, advance):
            summary = analyse(
                recognizer,
                source,
                outputs,
                cut=cut,
                resume=how.resume,
                private=how.private,
                begin=begin,
                advance=advance,
                show=show,
            )
    except KeyboardInterrupt:
        hint = f"; continue with --csv {outputs.csv} --resume"
        sys.stderr.write(f"mien: stopped{hint if outputs.csv else ''}\n")
        raise typer.Exit(130) from None
    if how.json:
        import json

        typer.echo(json.dumps(lines, indent=2))
        return
    say(summary.words())
    written = (*outputs.tables, outputs.pictures, outputs.video, outputs.plot, outputs.segments)
    for path in (path for path in written if path is not None):
        say(f"saved: {path}")


def _line(reading: Any) -> str:
    where = reading.path or "picture"
    if reading.time_s is not None:
        where += f" {reading.time_s:.3f} s face {reading.face_id}" if reading.face else ""
    if reading.face is None:
        return reading.error or f"{where}: no face"
    doubt = "" if reading.status == "ok" else f" ({reading.status})"
    return f"{where}: {reading.label} {reading.confidence:.0%}{doubt}"
