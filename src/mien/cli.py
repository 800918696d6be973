"""The `mien` command: arguments in, library calls, errors as one line and exit code 2."""

import contextlib
import errno
import io
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

import mien
from mien.errors import MienError
from mien.extras import installed

app = typer.Typer(
    name="mien",
    help="Read facial expressions: recognise, train, evaluate, compare and export classifiers.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: rich's takes 0.15 s more to load
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(
    help="Look at data sets, and draw one.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(data_app, name="data")

DEFAULT = "mien-s"  # mien.bundle.DEFAULT, which would load NumPy
_FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

DataPath = Annotated[
    Path, typer.Option("--data", "-d", help="Folder, .zip or .csv of a data set.", metavar="DATA")
]


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"mien {mien.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


ModelName = Annotated[str, typer.Option(help="Bundle: a folder, or a name in the package.")]
DetectorName = Annotated[str, typer.Option(help="auto, yunet, haar or none (ready-made crops).")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Views = Annotated[
    str | None,
    typer.Option(help="plain, flip or ten-crop: views to average. Default: the bundle's."),
]
Threads = Annotated[int | None, typer.Option(help="At most so many. Default: one per core.")]


@app.command()
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
    end: Annotated[float | None, typer.Option(help="Of a video: up to there.")] = None,
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
    from mien.analyse import Outputs
    from mien.recognizer import Recognizer
    from mien.sources import Cut

    source: Any = sources[0] if len(sources) == 1 else sources
    tables = tuple(path for path in (csv, jsonl, parquet) if path is not None)
    cut = Cut(every, fps, start, end)
    single = Recognizer.is_single(source)  # what is not there is told before the weights are read
    recognizer = Recognizer(
        model, detector=detector, device=device, threads=threads, align=align, views=views
    )
    if single and not tables and cut == Cut() and not (video or plot or segments or resume or blur):
        _recognize_one(recognizer, source, json, out, strict, private)
        return
    outputs = Outputs(tables, out, video, plot, segments, blur)
    _analyse(recognizer, source, outputs, cut, _How(json, resume, strict, private))


@app.command()
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


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Where to draw the result.")] = Path("mien-demo.png"),
) -> None:
    """Recognise the face in the portrait in the package, offline."""
    from mien.demo import PORTRAIT
    from mien.recognizer import Recognizer

    _recognize_one(Recognizer(), PORTRAIT, False, out, False, False)


@app.command()
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
    from mien.recognizer import Recognizer
    from mien.watch import watch as look

    recognizer = Recognizer(model, detector=detector, device=device, threads=threads)
    source = int(camera) if camera.isdecimal() and not Path(camera).exists() else camera
    summary = look(recognizer, source, csv, seconds, _console())
    _print(f"{summary.frames} frames read, {summary.dropped} dropped, {summary.rate:.1f} a second")


@app.command()
def download() -> None:
    """Fetch the face detector's weights, for later use offline."""
    from mien.faces.weights import YUNET, locate

    _print(f"{locate(YUNET)} ({YUNET.licence}, sha256 {YUNET.sha256[:12]}...)")


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="Recipe: a name in the package, or a YAML file.")],
    data: DataPath,
    out: Annotated[Path, typer.Option("--out", "-o", help="Run folder.", metavar="RUN")],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change the recipe, e.g. training.epochs=5.", metavar="KEY=VAL"),
    ] = None,
    resume: Annotated[bool, typer.Option(help="Continue an interrupted run.")] = False,
) -> None:
    """Train a model; export its best epoch to RUN/bundle."""
    _need_train()
    from mien.recipe import load_recipe

    chosen = load_recipe(recipe, set_)
    with _busy("loading torch"):
        from mien.train.run import run
    try:
        run(chosen, data, out, resume=resume)
    except KeyboardInterrupt:
        sys.stderr.write(f"mien: stopped; continue with the same command and --resume ({out})\n")
        raise typer.Exit(130) from None
    bundle = _export(out, data, out / "bundle")
    _print(f"trained: {out}\nbundle:  {bundle}\nnext:    mien evaluate {out} --data {data}")


@app.command()
def recipes() -> None:
    """List the recipes in the package."""
    _need_report()
    from rich.table import Table

    from mien.recipe import load_recipe, recipe_names

    table = Table(box=None, header_style="bold")
    for heading in ("recipe", "model", "input", "epochs", "about"):
        table.add_column(heading)
    for name in recipe_names():
        r = load_recipe(name)
        size = f"{r.input.size_px} px"
        table.add_row(name, r.model.name, size, str(r.training.epochs), r.about)
    _console().print(table)


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(help="Run folder or bundle.", metavar="RUN|BUNDLE")],
    data: DataPath,
    split: Annotated[str, typer.Option(help="public, private, test, val or train.")] = "public",
    out: Annotated[
        Path | None,
        typer.Option(
            help="Default: RUN/evaluation/SPLIT, NAME-bundle/... for a bundle.", metavar="DIR"
        ),
    ] = None,
    views: Views = None,
    votes: Annotated[
        Path | None, typer.Option(help="FER+'s votes: a second score.", metavar="CSV")
    ] = None,
    record: Annotated[
        bool,
        typer.Option("--record", help="Write accuracy and temperature into the bundle's card."),
    ] = False,
    corruptions: Annotated[
        bool,
        typer.Option("--corruptions", help="Score it on spoilt pictures, too: 19 kinds, 5 steps."),
    ] = False,
    baseline: Annotated[
        Path | None,
        typer.Option(help="Of --corruptions: an evaluation to compare with.", metavar="DIR"),
    ] = None,
    adversarial: Annotated[
        bool, typer.Option("--adversarial", help="Attack a run's network by FGSM and PGD, too.")
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Of both: on so many images, each class in its share."),
    ] = None,
) -> None:
    """Score a model, with intervals, tables and pictures.

    A run's bundle gets the accuracy into its card, and with it, from any split but test and
    private, the views, the temperature that fits best and the threshold of `unsure`.
    """
    _need_report()
    from mien import evaluate as scoring
    from mien.bundle import CARD_FILE, open_bundle
    from mien.data import open_dataset
    from mien.errors import InputError
    from mien.report.evaluation_page import summary, write_evaluation
    from mien.report.model_card import write_model_card

    is_run = (model / "recipe.yaml").is_file()
    if (baseline and not corruptions) or (limit and not (corruptions or adversarial)):
        raise InputError("--baseline needs --corruptions; --limit needs that or --adversarial")
    if adversarial and not is_run:
        raise InputError(
            f"--adversarial follows gradients, and the bundle {model} has none: give the run "
            "folder it was exported from"
        )
    network = _network(model) if adversarial else None
    if is_run and not (model / "bundle" / CARD_FILE).is_file():
        _export(model, data, model / "bundle")
    bundle = open_bundle(model / "bundle" if is_run else model)
    place = model if is_run else Path(f"{bundle.card.name}-bundle")
    folder = out or place / "evaluation" / split
    with _busy("reading the data"):
        dataset = open_dataset(data)
    with _bar(len(dataset.split(split)), "images") as advance:
        evaluation = scoring.evaluate(bundle, dataset, split, advance, views=views, votes=votes)
    if is_run or record:
        evaluation, bundle = scoring.record(evaluation, bundle)
        write_model_card(bundle, evaluation)
    metrics = scoring.save(evaluation, folder)
    images, found = dataset.split(split).images, []
    if corruptions:
        found.append(_corruptions(evaluation, bundle, images, folder, limit, baseline))
    if network is not None:
        found.append(_adversarial(evaluation, network, images, folder, limit))
    write_evaluation(evaluation, metrics, folder, model if is_run else None)
    _print("\n".join([metrics.report, summary(evaluation, metrics), *found, f"saved: {folder}"]))


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Evaluated runs.", metavar="RUN...")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the page.", metavar="DIR")],
    split: Annotated[str, typer.Option(help="Which evaluation of each run.")] = "public",
    data: Annotated[
        Path | None,
        typer.Option("--data", "-d", help="Show the surest right and wrong answers on it."),
    ] = None,
) -> None:
    """Compare evaluated models on one page."""
    _need_report()
    from mien.data import open_dataset
    from mien.report.compare import compare as write

    with _busy("comparing"):
        page = write(runs, out, split, None if data is None else open_dataset(data))
    _print((out / "comparison.md").read_text(encoding="utf-8").split("\n![")[0])
    _print(f"page: {page}")


@app.command()
def groups(
    evaluation: Annotated[
        Path, typer.Argument(help="Saved evaluation: RUN/evaluation/SPLIT.", metavar="EVALUATION")
    ],
    by: Annotated[
        Path,
        typer.Option("--by", help="Table: name or path, and a column per grouping.", metavar="CSV"),
    ],
    column: Annotated[
        list[str] | None, typer.Option(help="Only this one; may be repeated. Default: all.")
    ] = None,
    minimum: Annotated[int, typer.Option(help="Groups of fewer images get no figures.")] = 30,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Default: EVALUATION/groups.", metavar="DIR"),
    ] = None,
) -> None:
    """Score a saved evaluation by groups: age, skin tone, source... and the gaps between."""
    _need_report()
    from mien.evaluate import load, note
    from mien.evaluate.groups import by_groups
    from mien.report.groups import summary, to_json, write_groups

    saved = load(evaluation)
    with _busy("scoring the groups"):
        found = by_groups(saved, by, column, minimum=minimum)
        folder = out or evaluation / "groups"
        write_groups(found, saved, folder)
        note(evaluation, "groups", to_json(found))
    _print(f"{summary(found)}\n\nsaved: {folder}")


@app.command()
def explain(
    model: Annotated[
        str, typer.Argument(help="Run folder, bundle, or its name.", metavar="RUN|BUNDLE")
    ],
    photo: Annotated[str, typer.Argument(help="A picture: path or address.", metavar="PHOTO")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Each face under its map.", metavar="PICTURE")
    ],
    label: Annotated[
        str | None, typer.Option(help="Explain this one. Default: each face's most probable.")
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(help="occlusion; of a run gradcam (its default) or attention (CBAM), too."),
    ] = None,
    detector: DetectorName = "auto",
) -> None:
    """Show where a network looks: a heat map over every face."""
    from mien.explain import Explainer, draw
    from mien.output import save_picture

    with _busy("explaining"):
        explainer = Explainer(model, method, detector=detector)
        found = explainer.explain(photo, label=label)
    save_picture(out, draw(found))
    for number, face in enumerate(found, 1):
        _print(f"{number} {face.label} {face.score:.0%} ({face.method})")
    _print(f"picture: {out}")


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="Run folder.", metavar="RUN")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Bundle folder.", metavar="BUNDLE")],
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", "-d", help="Images for the parity proof. Default: the data of the run."
        ),
    ] = None,
    half: Annotated[
        bool, typer.Option("--half", help="Keep the weights in 16 bits: half the size.")
    ] = False,
) -> None:
    """Export a run to ONNX, its parity with torch proved first."""
    _print(f"bundle: {_export(run, data, out, half=half)}")


@app.command()
def ensemble(
    members: Annotated[list[str], typer.Argument(help="Two or more.", metavar="BUNDLE...")],
    out: Annotated[Path, typer.Option("--out", "-o", help="New bundle.", metavar="BUNDLE")],
    by: Annotated[str, typer.Option(help="mean, weighted or vote.")] = "mean",
    data: Annotated[
        Path | None, typer.Option("--data", "-d", help="Of weighted: fits the weights on.")
    ] = None,
    split: Annotated[str, typer.Option(help="Of weighted: public or val.")] = "public",
) -> None:
    """Make one bundle of several: their mean, their weighted mean or their majority vote."""
    _need_train()
    from mien.bundle import open_bundle
    from mien.data import open_dataset
    from mien.ensemble import combine, weigh

    opened = [open_bundle(name) for name in members]
    weights = None
    if by == "weighted":
        if data is None:
            raise typer.BadParameter("weighted needs --data, to fit the weights on")
        dataset = open_dataset(data)
        with _bar(len(opened) * len(dataset.split(split)), "images") as advance:
            weights = weigh(opened, dataset, split, advance)
    bundle = combine(opened, out, by=by, weights=weights)
    for member in bundle.card.training["members"]:
        _print(f"{member['weight']:.3f}  {member['name']}")
    _print(f"bundle: {out}\nnext:   mien evaluate {out} --data DATA --record")


@app.command()
def quantize(
    model: Annotated[str, typer.Argument(help="Bundle or its name.", metavar="BUNDLE")],
    data: DataPath,
    out: Annotated[Path, typer.Option("--out", "-o", help="New bundle.", metavar="BUNDLE")],
) -> None:
    """Make an 8-bit bundle: smaller, and on many processors faster."""
    _need_train()
    from mien.bundle import open_bundle
    from mien.data import open_dataset
    from mien.quantize import calibration_faces
    from mien.quantize import quantize as write

    bundle = open_bundle(model)
    with _busy("reading the data"):
        faces = calibration_faces(open_dataset(data).split("train").images)
    with _busy("quantising"):
        small = write(bundle, faces, out)
    before, after = (b.model_file.stat().st_size / 1e6 for b in (bundle, small))
    _print(f"size:   {after:.2f} MB instead of {before:.2f}")
    _print(f"bundle: {out}\nnext:   mien evaluate {out} --data {data} --record")


@data_app.command("stats")
def data_stats(
    data: Annotated[Path, typer.Argument(help="Folder, .zip or .csv.", metavar="DATA")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the page.", metavar="DIR")],
) -> None:
    """Explore a data set: counts, weights, samples, mean faces."""
    _need_report()
    from mien.data import open_dataset
    from mien.report.data_page import write_statistics

    with _busy("reading the data"):
        dataset = open_dataset(data)
    with _busy("drawing the figures"):
        page = write_statistics(dataset, out)
    _print(f"page: {page}")


@data_app.command("audit")
def data_audit(
    data: Annotated[Path, typer.Argument(help="Folder, .zip or .csv.", metavar="DATA")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the page.", metavar="DIR")],
    votes: Annotated[Path | None, typer.Option(help="FER+'s votes on these pictures.")] = None,
    model: Annotated[
        str | None, typer.Option(help="Bundle to suspect labels with, out of --folds.")
    ] = None,
    folds: Annotated[int, typer.Option(help="Parts of the cross-validation.")] = 5,
    predictions: Annotated[
        Path | None,
        typer.Option(help="Suspect labels by a saved evaluation instead.", metavar="EVALUATION"),
    ] = None,
) -> None:
    """Find copies, leaks, conflicting and doubtful labels, unusable pictures."""
    _need_report()
    from rich.table import Table

    from mien.audit.page import summary, write_audit
    from mien.audit.run import Evidence, audit

    def track(items: Any, unit: str) -> Iterator[Any]:
        with _bar(len(items), unit) as advance:
            for item in items:
                yield item
                advance(1)

    audited = audit(data, Evidence(votes, model, folds, predictions), track)
    page, excluded = write_audit(audited, out)
    table = Table(box=None, header_style="bold")
    for heading in ("code", "severity", "check", "pictures", "groups"):
        table.add_column(heading, justify="right" if heading in ("pictures", "groups") else "left")
    for row in summary(audited):
        table.add_row(*(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row[:5]))
    _console().print(table)
    _print(f"page:    {page}\nexclude: {out / 'exclude.csv'} ({excluded:,} training pictures)")


@data_app.command("draw")
def data_draw(
    out: Annotated[Path, typer.Argument(help="New folder.", metavar="OUT")],
    images: Annotated[int, typer.Option(help="How many, at least 70.")] = 1400,
    seed: Annotated[int, typer.Option(help="Same seed, same pictures.")] = 0,
) -> None:
    """Draw a small data set of faces, to try everything on."""
    from mien.data.drawn import draw_dataset

    with _bar(images, "faces") as advance:
        draw_dataset(out, images, seed, progress=advance)
    _print(f"drawn: {out}\nnext:  mien train drawn --data {out} --out runs/drawn")


def main() -> None:
    """Run the command; every foreseen error is one line on standard error and exit code 2."""
    for stream in (sys.stdout, sys.stderr):  # names of files need not be printable
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except MienError as error:
        _fail(str(error))
    except OSError as error:
        remedy = "; free some space and repeat (training: with --resume)"
        _fail(
            f"cannot read or write {error.filename or 'a file'}: {error.strerror or error}"
            + (remedy if error.errno in _FULL_DISK else "")
        )


def _fail(message: str) -> None:
    sys.stderr.write(f"mien: {' '.join(message.split())}\n")
    sys.exit(2)


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
        _console().print(output.to_table(readings, recognizer.labels))
    else:
        _print("no face found; for a ready-made face crop use --detector none")
    if out is not None:
        _print(f"picture: {out}")


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
            _print("\n".join(_line(reading) for reading in seen.readings))

    lines: list[Any] = []
    try:
        with _unknown_bar("pictures") as (begin, advance):
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
    _print(summary.words())
    written = (*outputs.tables, outputs.pictures, outputs.video, outputs.plot, outputs.segments)
    for path in (path for path in written if path is not None):
        _print(f"saved: {path}")


def _line(reading: Any) -> str:
    where = reading.path or "picture"
    if reading.time_s is not None:
        where += f" {reading.time_s:.3f} s face {reading.face_id}" if reading.face else ""
    if reading.face is None:
        return reading.error or f"{where}: no face"
    doubt = "" if reading.status == "ok" else f" ({reading.status})"
    return f"{where}: {reading.label} {reading.confidence:.0%}{doubt}"


def _corruptions(
    evaluation: Any, bundle: Any, images: Any, folder: Path, limit: int | None, base: Path | None
) -> str:
    """Score on corrupted faces, write what was found, and say it in a line."""
    from mien.evaluate import robustness
    from mien.evaluate.corruptions import CORRUPTIONS, SEVERITIES
    from mien.report.robustness import summary, write_robustness

    baseline = None if base is None else robustness.load_robustness(base)
    total = min(limit or len(images), len(images)) * len(CORRUPTIONS) * SEVERITIES
    with _bar(total, "corrupted faces") as advance:
        found = robustness.score_corruptions(
            evaluation, bundle, images, limit=limit, baseline=baseline, progress=advance
        )
    write_robustness(found, folder)
    return summary(found)


def _network(run: Path) -> tuple[Any, Any]:
    """Torch's network of a run, and how it wants its pictures."""
    _need_train()
    with _busy("loading torch"):
        from mien.export import load_run

        network, facts = load_run(run)
    return network, facts.preprocess


def _adversarial(
    evaluation: Any, network: tuple[Any, Any], images: Any, folder: Path, limit: int | None
) -> str:
    """The same under attack."""
    from mien.evaluate.adversarial import ATTACKS, EPSILONS, score_attacks
    from mien.report.robustness import attack_summary, write_adversarial

    total = min(limit or len(images), len(images)) * len(ATTACKS) * len(EPSILONS)
    with _bar(total, "attacks") as advance:
        found = score_attacks(evaluation, *network, images, limit=limit, progress=advance)
    write_adversarial(found, folder)
    return attack_summary(found)


def _export(run: Path, data: Path | None, out: Path, *, half: bool = False) -> Path:
    """Export `run`; its parity is proved on images of `data`, or of the data it was trained on."""
    _need_train()
    from mien.data import open_dataset
    from mien.export import export as write
    from mien.export import proof_images, recorded_source

    with _busy("exporting and proving parity"):
        if data is None and (run / "data.json").is_file():
            data = recorded_source(run)
        dataset = open_dataset(data) if data is not None else None
        _, difference = write(run, proof_images(dataset), out, half=half)
    faces = (
        f"images of {dataset.name}"
        if dataset is not None
        else "drawn faces (its data set is gone; give --data)"
    )
    _print(f"parity:  probabilities differ from torch's by at most {difference:.1e}, on {faces}")
    return out


def _need_report() -> None:
    for module in ("yaml", "pydantic", "sklearn", "pandas", "pyarrow", "matplotlib", "jinja2"):
        installed(module, extra="report")


def _need_train() -> None:
    _need_report()
    for module in ("torch", "timm", "lightning", "kornia", "onnx", "onnxscript"):
        installed(module, extra="train")


def _console() -> Any:
    from rich.console import Console

    # Piped output is for programs and files: its lines are never folded.
    console = Console()
    return console if console.is_terminal else Console(width=160)


def _print(text: str) -> None:
    typer.echo(text)


def _busy(words: str) -> Any:
    """A spinner on standard error while something takes a while."""
    from rich.console import Console

    return Console(stderr=True).status(words)


@contextlib.contextmanager
def _bar(total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """A progress bar on standard error; call what it gives with the number done."""
    with _unknown_bar(unit) as (begin, advance):
        begin(total)
        yield advance


@contextlib.contextmanager
def _unknown_bar(
    unit: str,
) -> Iterator[tuple[Callable[[int | None], None], Callable[[int], None]]]:
    """The same where the total is told later: what takes the total, and what the number done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn(unit), TimeLeft())
    console = Console(stderr=True)
    hidden = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as progress:
        task = progress.add_task("", total=None)
        yield (
            lambda total: progress.update(task, total=total),
            lambda done: progress.advance(task, done),
        )
