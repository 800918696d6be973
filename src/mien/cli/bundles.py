"""Commands that make bundles."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mien.cli.options import NewBundle
from mien.cli.show import bar, busy, need_train, say, warn


def export(
    run: Annotated[Path, typer.Argument(help="Run folder.", metavar="RUN")],
    out: NewBundle,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            "-d",
            help="Images to compare the export with torch on. Default: the data of the run.",
        ),
    ] = None,
    half: Annotated[
        bool, typer.Option("--half", help="Store the weights in 16 bits: half the size.")
    ] = False,
) -> None:
    """Export a run to ONNX, after comparing the exported network with torch."""
    from mien.bundle import open_bundle

    say(f"bundle: {export_run(run, data, out, half=half)}")
    if not open_bundle(out).card.measured:
        say(f"next:   mien calibrate {out} --data {data or 'DATA'}")


def ensemble(
    members: Annotated[
        list[str],
        typer.Argument(help="Bundles: folders or names, two or more.", metavar="BUNDLE..."),
    ],
    out: NewBundle,
    by: Annotated[str, typer.Option(help="mean, weighted or vote.")] = "mean",
    data: Annotated[
        Path | None,
        typer.Option("--data", "-d", help="Images to fit the weights on; needs --by weighted."),
    ] = None,
    split: Annotated[
        str, typer.Option(help="Split to fit the weights on: public or val.")
    ] = "public",
) -> None:
    """Make one bundle of several: their mean, their weighted mean or their majority vote."""
    need_train()
    from mien.bundle import check_place, open_bundle
    from mien.ensemble import combine, weigh
    from mien.errors import InputError
    from mien.provenance import Ensemble

    opened = [open_bundle(name) for name in members]
    check_place(out, *(bundle.folder for bundle in opened), data)
    weights = None
    if by == "weighted":
        if data is None:
            raise InputError("--by weighted needs --data, to fit the weights on")
        dataset = open_for(opened[0], data)
        with bar(len(opened) * len(dataset.split(split)), "images") as advance:
            weights = weigh(opened, dataset, split, advance)
    bundle = combine(opened, out, by=by, weights=weights)
    if isinstance(bundle.card.provenance, Ensemble):
        for member in bundle.card.provenance.members:
            say(f"{member.weight:.3f}  {member.name}")
    say(f"bundle: {out}\nnext:   mien calibrate {out} --data DATA")


def quantize(
    model: Annotated[str, typer.Argument(help="Bundle folder or name.", metavar="BUNDLE")],
    out: NewBundle,
    data: Annotated[
        Path | None,
        typer.Option("--data", "-d", help="Images to measure the activations on.", metavar="DATA"),
    ] = None,
    weights_only: Annotated[
        bool,
        typer.Option(
            "--weights-only",
            help="Quantise weights only: as small, not faster, more exact; needs no data.",
        ),
    ] = False,
) -> None:
    """Make an 8-bit bundle: smaller, and on many processors faster."""
    need_train()
    from mien.bundle import check_place, open_bundle
    from mien.errors import InputError
    from mien.quantize import calibration_faces, quantize_weights
    from mien.quantize import quantize as write

    bundle = open_bundle(model)
    check_place(out, bundle.folder, data)
    if weights_only:
        small = quantize_weights(bundle, out)
    elif bundle.card.state is not None:
        raise InputError(
            f"{model} reads clips: its weights alone can be quantised; add --weights-only"
        )
    elif data is None:
        raise InputError("activations are measured on faces: add --data DATA, or --weights-only")
    else:
        faces = calibration_faces(open_for(bundle, data).split("train").images)
        with busy("quantising"):
            small = write(bundle, faces, out)
    before, after = (b.model_file.stat().st_size / 1e6 for b in (bundle, small))
    say(f"size:   {after:.2f} MB instead of {before:.2f}")
    say(f"bundle: {out}\nnext:   mien calibrate {out} --data {data or 'DATA'}")


def push(
    model: Annotated[str, typer.Argument(help="Bundle folder or name.", metavar="BUNDLE")],
    repository: Annotated[
        str, typer.Argument(help="Repository; made if it is missing.", metavar="USER/NAME")
    ],
    private: Annotated[bool, typer.Option("--private", help="Make a new one private.")] = False,
) -> None:
    """Send a bundle to the Hugging Face Hub."""
    from mien.hub import push as send

    with busy("sending"):
        address = send(model, repository, private=private)
    say(f"pushed: {address}\nnext:   mien pull {repository}")


def pull(
    repository: Annotated[str, typer.Argument(help="Repository.", metavar="USER/NAME[@REVISION]")],
) -> None:
    """Fetch a bundle from the Hugging Face Hub, for --model."""
    from mien.hub import pull as fetch

    with busy("fetching"):
        bundle = fetch(repository)
    say(f"bundle: {bundle.folder}\nnext:   mien recognize PHOTO --model {repository}")


def export_run(run: Path, data: Path | None, out: Path, *, half: bool = False) -> Path:
    """Export `run`; its parity is proved on images of `data`, or of the data it was trained on."""
    need_train()
    from mien.bundle import check_place
    from mien.data import open_dataset
    from mien.export import export as write
    from mien.export import proof_images
    from mien.runs import RunFolder

    data = data or RunFolder(run).data_source
    check_place(out, run, data)
    with busy("exporting and proving parity"):
        asked = RunFolder(run).recipe.asked
        dataset = open_dataset(data, asked) if data is not None else None
        _, difference = write(run, proof_images(dataset), out, half=half)
    faces = (
        f"images of {dataset.name}"
        if dataset is not None
        else "drawn faces (its data set is gone; give --data)"
    )
    say(f"parity:  probabilities differ from torch's by at most {difference:.1e}, on {faces}")
    return out


def open_for(bundle: Any, data: Path, format: str | None = None) -> Any:
    """The data set as `bundle` sees it; says which labels of the two differ."""
    from mien.data import Asked, matched

    card, seen = bundle.card, bundle.card.preprocess
    asked = Asked(format, seen.color, seen.source_px, card.state is not None)
    with busy("reading the data"):
        dataset, told = matched(data, asked, card.labels)
    if told:
        warn(told)
    return dataset


def calibrate_bundle(
    bundle: Any,
    data: Path,
    split: Any = "public",
    views: str | None = None,
    votes: Path | None = None,
    format: str | None = None,
) -> None:
    """Calibrate `bundle` on `split` of `data`, write its model card, and say what it is like.

    A run in place of `split` stands for the images that its epoch was chosen on.
    """
    from mien.evaluate import calibrate
    from mien.evaluate.fitting import check_calibration
    from mien.framing import DRAWS
    from mien.report.evaluation_page import summary
    from mien.report.model_card import write_model_card

    check_calibration(bundle, split if isinstance(split, str) else split.data.validation.split)
    if isinstance(split, str):
        dataset = open_for(bundle, data, format)
    else:
        with busy("reading the data"):
            dataset, split = split.with_validation(data, format)
    with bar(len(dataset.split(split)) * (1 + DRAWS), "images") as advance:
        evaluation, bundle = calibrate(
            bundle, dataset, split, views=views, votes=votes, progress=advance
        )
    write_model_card(bundle, evaluation)
    say(f"{bundle.folder}, {summary(evaluation, evaluation.metrics())}")
