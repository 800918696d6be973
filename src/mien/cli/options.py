"""Arguments that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

DEFAULT = "mien-m-int8"  # mien.bundle.DEFAULT, which would load NumPy

DataPath = Annotated[
    Path, typer.Option("--data", "-d", help="Folder, .zip or .csv of a data set.", metavar="DATA")
]

ModelName = Annotated[str, typer.Option(help="Bundle: a folder, or a name in the package.")]

DetectorName = Annotated[str, typer.Option(help="auto, yunet, haar or none (ready-made crops).")]

Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]

Views = Annotated[
    str | None,
    typer.Option(help="plain, flip or ten-crop: views to average. Default: the bundle's."),
]

Threads = Annotated[int | None, typer.Option(help="At most so many. Default: one per core.")]
