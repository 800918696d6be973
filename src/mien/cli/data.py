"""Commands on data sets: `mien data ...`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from mien.cli.options import DataArgument, DataFormat, PageFolder
from mien.cli.show import bar, busy, console, need_report, need_train, say
from mien.errors import InputError
from mien.style import percent


def data_stats(
    data: DataArgument,
    out: PageFolder,
    format_: DataFormat = None,
) -> None:
    """Explore a data set: counts, weights, samples, mean faces."""
    need_report()
    from mien.data import Asked, check_outside, open_dataset
    from mien.files import untouched
    from mien.report.data_page import write_statistics

    check_outside(out, data)
    with busy("reading the data"):
        dataset = open_dataset(data, Asked(format_))
    if dataset.told:
        say(f"left out: {dataset.told}")
    with busy("drawing the figures"), untouched(data):
        page = write_statistics(dataset, out)
    say(f"page: {page}")


def data_audit(
    data: DataArgument,
    out: PageFolder,
    format_: DataFormat = None,
    votes: Annotated[Path | None, typer.Option(help="Table of FER+ votes on these images.")] = None,
    model: Annotated[str | None, typer.Option(help="Model used to find suspect labels.")] = None,
    folds: Annotated[
        int | None,
        typer.Option(help="Number of cross-validation folds for --model.", show_default="5"),
    ] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(
            help="Saved evaluation used to find suspect labels, in place of --model.",
            metavar="EVALUATION",
        ),
    ] = None,
) -> None:
    """Find copies, leaks, conflicting and suspect labels, unusable pictures."""
    need_report()
    from rich.table import Table

    from mien.audit.page import SHOWN_COLUMNS, summary, write_audit
    from mien.audit.run import Evidence, audit
    from mien.data import Asked, check_outside
    from mien.files import check_folder, untouched

    def track(items: Any, unit: str) -> Iterator[Any]:
        with bar(len(items), unit) as advance:
            for item in items:
                yield item
                advance(1)

    check_outside(out, data)
    check_folder("--out", out, [predictions, model])
    if folds is not None and model is None:
        raise InputError("--folds needs --model, which is fitted on all folds but one")
    evidence = Evidence(votes, model, 5 if folds is None else folds, predictions)
    audited = audit(data, evidence, track, Asked(format_))
    with untouched(data, votes):
        page, listed = write_audit(audited, out)
    found = summary(audited).only(*SHOWN_COLUMNS)
    table = Table(box=None, header_style="bold")
    for heading in found.header:
        table.add_column(heading, justify="right" if heading in ("pictures", "groups") else "left")
    for row in found.cells:
        table.add_row(*row)
    console().print(table)
    say(f"page:    {page}")
    for name, pictures in listed.items():
        say(f"{name}: {out / name}.csv ({pictures:,} training pictures)")


def data_crop(
    source: Annotated[Path, typer.Argument(help="Folder or .zip of photos.", metavar="FOLDER")],
    out: Annotated[
        Path, typer.Argument(help="New folder, or that of an interrupted run.", metavar="OUT")
    ],
    format_: DataFormat = None,
    every: Annotated[
        bool, typer.Option("--all", help="Every face of a photo. Default: the largest.")
    ] = False,
) -> None:
    """Find, align and cut the faces of photos into a data set, each in the folder of its photo."""
    from mien.data import Asked, check_outside, check_source
    from mien.data.crops import Cropper
    from mien.data.tree import LEFT_OUT

    check_outside(out, check_source(source), option="OUT")
    cropper = Cropper(source, out, every=every, asked=Asked(format_))
    with bar(len(cropper.photos), "photos") as advance:
        found = cropper.run(advance)
    say(f"faces:    {found.faces:,}\nleft out: {len(found.left_out):,} ({out / LEFT_OUT})")


def data_votes(
    table: Annotated[Path, typer.Argument(help="fer2013new.csv of FER+.", metavar="TABLE")],
    pixels: Annotated[Path, typer.Option(help="fer2013.csv, to match pictures by their pixels.")],
    data: Annotated[Path, typer.Option(help="Folder or .zip of FER-2013's pictures.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Table to write.", metavar="CSV")],
) -> None:
    """Make the table of FER+ votes (--votes) that a folder of FER-2013's pictures needs."""
    from mien.data import check_outside, open_dataset
    from mien.data.ferplus import match_votes
    from mien.files import check_outputs

    check_outputs([("--out", out)], [table, pixels, data])
    check_outside(out, data)
    with busy("comparing pixels"):
        found = match_votes(open_dataset(data), open_dataset(pixels), table)
        found.save(out)
    say(
        f"votes: {out} ({len(found.votes):,} pictures)\n"
        f"without votes: {found.dropped:,} that FER+ dropped, {found.unknown:,} not in {pixels}"
    )


def data_draw(
    out: Annotated[Path, typer.Argument(help="New folder.", metavar="OUT")],
    images: Annotated[
        int | None, typer.Option(help="Number, at least 70. Default: 1400 images or 420 clips.")
    ] = None,
    clips: Annotated[
        bool, typer.Option("--clips", help="Draw faces that move: a .gif each.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
) -> None:
    """Draw a small data set of faces, or of clips, for a first try."""
    from mien.data.drawn import draw_dataset

    number = images if images is not None else 420 if clips else 1400
    with bar(number, "clips" if clips else "faces") as advance:
        draw_dataset(out, number, seed, clips=clips, progress=advance)
    recipe = "drawn-clips" if clips else "drawn"
    say(f"drawn: {out}\nnext:  mien train {recipe} --data {out} --out runs/{recipe}")


def data_synthesize(
    data: DataArgument,
    out: Annotated[
        Path, typer.Argument(help="New folder, or one with a generator.", metavar="OUT")
    ],
    images: Annotated[int | None, typer.Option(help="Faces of each class.")] = None,
    fill: Annotated[
        float | None,
        typer.Option(help="Faces of each class, as a multiple of its training images."),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Classes to draw, such as disgust,fear. Default: all.")
    ] = None,
    epochs: Annotated[int, typer.Option(help="Epochs of the generator.")] = 20,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    format_: DataFormat = None,
) -> None:
    """Draw new faces for some classes with a small generator, trained on the training images."""
    need_train()
    from rich.table import Table

    from mien.synthesis.wanted import FACES, Material, Wanted

    asked = tuple(name.strip() for name in (labels or "").split(",") if name.strip())
    wanted = Wanted(images, fill, asked, epochs, seed)
    with busy("reading the data"):
        material = Material.open(data, out, wanted, format_)
    from mien.synthesis.run import synthesize

    found = synthesize(material, wanted, out, bar)
    table = Table(box=None, header_style="bold")
    headings = ("class", "drawn", "too near", "distance", "of real ones", "recognised", "real ones")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "class" else "right")
    for name, each in found.classes.items():
        distances = (each.distance, each.held_out_distance)
        shares = (each.recognised, each.held_out_recognised)
        table.add_row(
            name,
            f"{each.drawn:,}",
            f"{each.too_near:,}",
            *("-" if value is None else f"{value:.1f}" for value in distances),
            *("-" if value is None else percent(value) for value in shares),
        )
    console().print(table)
    say(f"faces: {out / FACES} ({found.written:,})\nsheets: {out / 'contact.png'}, neighbours.png")
