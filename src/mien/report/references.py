"""Published figures to stand beside ours: a small YAML or CSV file."""

import csv
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from mien.errors import InputError, ShapeError
from mien.extras import need
from mien.files import existing


@dataclass(frozen=True, slots=True)
class Published:
    """The `accuracy` (0-1) that `source` reports for the architecture `model` on `n` images."""

    model: str
    accuracy: float
    n: int
    source: str

    def __post_init__(self) -> None:
        if not 0 <= self.accuracy <= 1:
            raise ShapeError(f"expected an accuracy from 0 to 1, got {self.accuracy}")


@dataclass(frozen=True, slots=True)
class Reference:
    """Published figures by model, and what a reader must know of them."""

    figures: dict[str, Published]
    note: str = ""


def read_reference(name: str | Path) -> Reference:
    """The figures in a file, or those of that name in the package: `report`.

    A CSV has the columns model, accuracy, n and source; a YAML file has a list of such rows under
    `figures`, and may have a `note`. Raises InputError for a file that is not there or not so.
    """
    shipped = resources.files("mien.report") / "reference_files" / f"{name}.yaml"
    path = Path(str(shipped)) if shipped.is_file() else existing(name, "reference file")
    yaml = need("yaml", extra="report")
    try:
        text = path.read_text(encoding="utf-8-sig")
        raw: dict[str, Any] = (
            {"figures": list(csv.DictReader(text.splitlines()))}
            if path.suffix.lower() == ".csv"
            else yaml.safe_load(text)
        )
        rows = [
            Published(row["model"], float(row["accuracy"]), int(row["n"]), row["source"])
            for row in raw["figures"]
        ]
        return Reference({row.model: row for row in rows}, raw.get("note", ""))
    except (KeyError, TypeError, ValueError, AttributeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path} is no table of published figures ({reason}); expected rows of model, "
            "accuracy (0 to 1), n and source"
        ) from error
