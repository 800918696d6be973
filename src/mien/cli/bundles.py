"""Commands that make bundles."""

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.show import bar, busy, need_train, say


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
    say(f"bundle: {export_run(run, data, out, half=half)}")


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
    need_train()
    from mien.bundle import check_place, open_bundle
    from mien.data import open_dataset
    from mien.ensemble import combine, weigh
    from mien.provenance import Ensemble

    opened = [open_bundle(name) for name in members]
    check_place(out, *(bundle.folder for bundle in opened), data)
    weights = None
    if by == "weighted":
        if data is None:
            raise typer.BadParameter("weighted needs --data, to fit the weights on")
        dataset = open_dataset(data)
        with bar(len(opened) * len(dataset.split(split)), "images") as advance:
            weights = weigh(opened, dataset, split, advance)
    bundle = combine(opened, out, by=by, weights=weights)
    if isinstance(bundle.card.provenance, Ensemble):
        for member in bundle.card.provenance.members:
            say(f"{member.weight:.3f}  {member.name}")
    say(f"bundle: {out}\nnext:   mien evaluate {out} --data DATA --record")


def quantize(
    model: Annotated[str, typer.Argument(help="Bundle or its name.", metavar="BUNDLE")],
    out: Annotated[Path, typer.Option("--out", "-o", help="New bundle.", metavar="BUNDLE")],
    data: Annotated[
        Path | None,
        typer.Option("--data", "-d", help="Faces to measure activations on.", metavar="DATA"),
    ] = None,
    weights_only: Annotated[
        bool, typer.Option("--weights-only", help="As small, no faster, closer; needs no data.")
    ] = False,
) -> None:
    """Make an 8-bit bundle: smaller, and on many processors faster."""
    need_train()
    from mien.bundle import check_place, open_bundle
    from mien.data import open_dataset
    from mien.errors import InputError
    from mien.quantize import calibration_faces, quantize_weights
    from mien.quantize import quantize as write

    bundle = open_bundle(model)
    check_place(out, bundle.folder, data)
    if weights_only:
        small = quantize_weights(bundle, out)
    elif data is None:
        raise InputError("activations are measured on faces: add --data DATA, or --weights-only")
    else:
        with busy("reading the data"):
            faces = calibration_faces(open_dataset(data).split("train").images)
        with busy("quantising"):
            small = write(bundle, faces, out)
    before, after = (b.model_file.stat().st_size / 1e6 for b in (bundle, small))
    say(f"size:   {after:.2f} MB instead of {before:.2f}")
    say(f"bundle: {out}\nnext:   mien evaluate {out} --data {data or 'DATA'} --record")


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
        dataset = open_dataset(data) if data is not None else None
        _, difference = write(run, proof_images(dataset), out, half=half)
    faces = (
        f"images of {dataset.name}"
        if dataset is not None
        else "drawn faces (its data set is gone; give --data)"
    )
    say(f"parity:  probabilities differ from torch's by at most {difference:.1e}, on {faces}")
    return out
