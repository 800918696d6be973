"""`history.csv` of a run, read back."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien.errors import RunError


@dataclass(frozen=True)
class History:
    """Figures by epoch, as lists of equal length."""

    columns: dict[str, list[float]]

    def __getitem__(self, name: str) -> list[float]:
        return self.columns[name]

    @property
    def epochs(self) -> list[int]:
        """1, 2, 3, ..."""
        return [int(e) for e in self.columns["epoch"]]

    @property
    def best(self) -> int:
        """Position of the epoch that was kept: of the best validation accuracy, of equals the one
        of the least loss."""
        scores = [(a, -b) for a, b in zip(self["val_accuracy"], self["val_loss"], strict=True)]
        return scores.index(max(scores))

    @property
    def seconds_per_epoch(self) -> float:
        """Median, so that one disturbed epoch does not count."""
        return float(np.median(self.columns["seconds"]))


def read_history(run: Path) -> History:
    """The history of a run folder; RunError if it has none or it is not whole."""
    path = run / "history.csv"
    if not path.is_file():
        raise RunError(f"{run} has no history.csv; train it with mien train")
    try:
        with path.open(newline="") as file:
            rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        return History(columns)
    except (ValueError, TypeError, IndexError) as error:
        raise RunError(f"{path} is not a whole history ({error}); train again") from error
