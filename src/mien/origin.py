"""What made a table: all that its readings depend on, besides what was read."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mien.errors import InputError
from mien.files import write_json


@dataclass(frozen=True, slots=True)
class Origin:
    """The model, the detector and the options of a run."""

    mien: str
    """The version."""
    model: str
    model_sha256: str
    temperature: float
    unsure_below: float
    views: str
    detector: str
    detector_version: str | None
    """The SHA-256 of its weights, or the release of the package that it comes with."""
    align: bool
    every_frame: bool
    identify: bool
    every: int
    fps: float | None
    start_s: float
    end_s: float | None

    def differences(self, told: Mapping[str, Any]) -> list[str]:
        """What a table `told` of its origin that is otherwise now, such as `fps 2.0, now none`."""
        now = asdict(self)
        told = {"identify": False, **told}  # which mien 0.1 did not tell
        return [
            f"{_spelt(name)} {_shown(told.get(name))}, now {_shown(value)}"
            for name, value in now.items()
            if told.get(name) != value
        ]


def _spelt(name: str) -> str:
    return name.removesuffix("_s").replace("_", " ")


def _shown(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    text = str(value)
    return f"{text[:12]}..." if len(text) == 64 else text


def side_file(table: Path) -> Path:
    """Where a table of text tells what made it: the place that the W3C gives to the metadata of a
    CSV (Model for Tabular Data and Metadata on the Web, section 5.3)."""
    return table.with_name(f"{table.name}-metadata.json")


def save_origin(table: Path, origin: Origin, rows: int) -> None:
    """Tell beside `table` what made it, and that its first `rows` are all of whole pictures."""
    context = {"@context": "http://www.w3.org/ns/csvw"} if table.suffix.lower() == ".csv" else {}
    note = {**asdict(origin), "rows": rows}
    write_json(side_file(table), {**context, "url": table.name, "notes": [note]})


def recorded(table: Path) -> dict[str, Any] | None:
    """What `save_origin` told beside `table`; None if there is nothing, InputError if it is no
    such file."""
    file = side_file(table)
    try:
        (note,) = json.loads(file.read_text("utf-8"))["notes"]
        return dict(note)
    except FileNotFoundError:
        return None
    except (ValueError, LookupError, TypeError) as error:
        raise InputError(
            f"{file} does not tell what made {table.name} ({error}); delete it to go on without"
        ) from error
