"""Arguments that several commands have, and those of `mien evaluate`, which has many."""

from pathlib import Path
from typing import Annotated

import typer

DEFAULT = "mien-m-int8"  # mien.bundle.DEFAULT, which would load NumPy


def clock_time(text: str) -> float:
    """Seconds of a time such as 90, 90.5, 1:30 or 00:01:30; BadParameter for anything else."""
    try:
        *units, seconds = str(text).strip().split(":")
        parts = [*map(float, map(int, units)), float(seconds)]
    except ValueError:
        parts = []
    if not 1 <= len(parts) <= 3 or any(not 0 <= part < 60 for part in parts[1:]):
        raise typer.BadParameter(f"expected a time such as 90.5, 1:30 or 00:01:30, got {text!r}")
    return sum(part * factor for part, factor in zip(reversed(parts), (1, 60, 3600), strict=False))


DataPath = Annotated[
    Path,
    typer.Option("--data", "-d", help="Folder, .zip or table of a data set.", metavar="DATA"),
]

DataPaths = Annotated[
    list[Path],
    typer.Option(
        "--data",
        "-d",
        help="Folder, .zip or table of a data set. Several train one network; the first validates, "
        "and --format is its own.",
        metavar="DATA",
    ),
]

DataLabels = Annotated[
    str | None,
    typer.Option(
        help="7, 8 (with contempt) or common (what all data sets have). Default: the data's own, "
        "without contempt beside the seven.",
    ),
]

DataArgument = Annotated[Path, typer.Argument(help="Folder, .zip or table.", metavar="DATA")]

DataFormat = Annotated[
    str | None,
    typer.Option("--format", help="Layout of the data set, such as raf-db. Default: recognised."),
]

PageFolder = Annotated[Path, typer.Option("--out", "-o", help="Folder of the page.", metavar="DIR")]

NewBundle = Annotated[Path, typer.Option("--out", "-o", help="New bundle.", metavar="BUNDLE")]

ModelName = Annotated[
    str, typer.Option(help="Bundle: a folder, a name in the package, or USER/NAME of mien pull.")
]

ModelPath = Annotated[
    str,
    typer.Argument(help="Run folder, bundle folder, or bundle name.", metavar="RUN|BUNDLE"),
]

DetectorName = Annotated[str, typer.Option(help="yunet, or none (ready-made crops).")]
MinFace = Annotated[
    int | None,
    typer.Option(help="Smallest face to find, in pixels. Default: 30. Larger is faster.", min=1),
]

Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]

Views = Annotated[
    str | None,
    typer.Option(help="plain, flip or ten-crop: views to average. Default: the bundle's."),
]

Threads = Annotated[int | None, typer.Option(help="At most so many. Default: one per core.")]

EvaluatedSplit = Annotated[str, typer.Option(help="public, private, test, val or train.")]

EvaluationFolder = Annotated[
    Path | None,
    typer.Option(
        help="Folder to write to. Default: RUN/evaluation/SPLIT, or NAME-bundle/evaluation/SPLIT.",
        metavar="DIR",
    ),
]

Votes = Annotated[
    Path | None, typer.Option(help="Votes of FER+ on these images: adds their scores.")
]

Jitter = Annotated[
    bool,
    typer.Option(
        "--jitter",
        help="Add the field accuracy: each face moved by up to 10 % of its side, scaled by up to "
        "15 % and turned by up to 10 degrees, 4 times.",
    ),
]

Corruptions = Annotated[
    bool,
    typer.Option("--corruptions", help="Add the accuracy under 19 corruptions at 5 severities."),
]

Occlusions = Annotated[
    bool,
    typer.Option("--occlusions", help="Add the accuracy under 7 kinds of covers of 5 sizes."),
]

Baseline = Annotated[
    Path | None,
    typer.Option(
        help="Evaluation that the mean corruption error is relative to; needs --corruptions.",
        metavar="DIR",
    ),
]

Adversarial = Annotated[
    bool,
    typer.Option("--adversarial", help="Add the accuracy under FGSM and PGD; runs only."),
]

Limit = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Number of images for --corruptions, --occlusions and --adversarial, stratified by "
        "class.",
    ),
]
