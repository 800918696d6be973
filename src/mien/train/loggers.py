"""Where the figures of a training go, by name: Lightning's loggers."""

import csv
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import lightning as L
from lightning.pytorch.loggers import (
    CSVLogger,
    Logger,
    MLFlowLogger,
    TensorBoardLogger,
    WandbLogger,
)

from mien.files import offline
from mien.recipes import Recipe
from mien.runs import RunFolder
from mien.train.together import number

PROJECT = "mien"
"""The project of Weights & Biases, and the experiment of MLflow."""


@dataclass(frozen=True, slots=True)
class Logging:
    """Loggers by name (`mien.train.check.LOGGERS`), the folder of the store that runs share, and
    what shows the progress."""

    names: Sequence[str]
    store: Path
    shown: L.Callback

    @contextmanager
    def of(self, recipe: Recipe, folder: RunFolder) -> Iterator[list[Logger]]:
        """The loggers of one training, which go on where that of `folder` stopped; of several
        processes the first alone has any."""
        if number():
            yield []
            return
        begun = dict(folder.logged)
        loggers = [self._logger(name, folder, recipe.name, begun.get(name)) for name in self.names]
        for name, logger in zip(self.names, loggers, strict=True):
            if name in ("wandb", "mlflow") and name not in begun:
                logger.log_hyperparams(recipe.model_dump(mode="json"))
                begun[name] = str(logger.version)
        folder.write_logged(begun)
        try:
            yield loggers
        finally:
            if "wandb" in self.names:  # else the next training of this process would write to it
                import wandb

                wandb.finish()

    def _logger(self, name: str, folder: RunFolder, title: str, begun: str | None) -> Logger:
        if name == "tensorboard":
            return TensorBoardLogger(folder.path, name="", version=name)
        if name == "csv":
            return _csv(folder)
        return _wandb(folder, title, begun) if name == "wandb" else self._mlflow(title, begun)

    def _mlflow(self, title: str, begun: str | None) -> Logger:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        store = f"sqlite:///{self.store.resolve() / 'mlflow.db'}"
        place = os.environ.get("MLFLOW_TRACKING_URI") or store
        return MLFlowLogger(PROJECT, run_name=title, tracking_uri=place, run_id=begun)


def _csv(folder: RunFolder) -> Logger:
    """With the rows that are there, which Lightning deletes as it begins."""
    logger = CSVLogger(folder.path, name="", version="csv")
    file, rows = Path(logger.log_dir, "metrics.csv"), []
    if file.is_file():
        with file.open(newline="") as text:
            rows = list(csv.DictReader(text))
    logger.experiment.metrics.extend(rows)
    logger.save()
    return logger


def _wandb(folder: RunFolder, title: str, begun: str | None) -> Logger:
    """Offline, for `wandb sync`, unless WANDB_MODE=online asks for more."""
    settings: Any = {"silent": True, "console": "off"}
    return WandbLogger(
        title,
        folder.path,
        begun or uuid4().hex[:8],
        offline=offline() or os.environ.get("WANDB_MODE") != "online",
        project=PROJECT,
        resume="allow",
        settings=settings,
    )
