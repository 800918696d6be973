"""The encoder of a network for clips, where a recipe names a trained run for it."""

from pathlib import Path
from typing import Any

from mien.errors import RecipeError
from mien.models import Entry, entry

Raw = dict[str, Any]


def with_encoder(raw: Raw) -> Raw:
    """A raw recipe with the run that it names as encoder spelled out: its network and options, the
    weights to start from, and its input. Once the new run has begun it needs the old one no more.
    """
    match raw.get("model"):
        case {"options": {"encoder": str(place), **options}, **model} if Path(place).is_dir():
            run = _run(Path(place))
        case _:
            return raw
    trained = run.recipe
    options |= {"encoder": trained.model.name, "encoder_options": trained.model.options}
    start = {"weights": str(run.best_checkpoint), **model, "options": options}
    return {**raw, "model": start, "input": trained.input.model_dump()}


def native(raw: Raw) -> Entry | None:
    """The entry whose input a raw recipe has by default: of its model, or of that one's encoder;
    None where it names no model."""
    match raw.get("model"):
        case {"name": str(name), "options": {"encoder": str(encoder)}} if entry(name).reads_clips:
            return entry(encoder)
        case {"name": str(name)}:
            return entry(name)
    return None


def _run(place: Path) -> Any:
    """The run in a folder, or that whose bundle lies there."""
    from mien.runs import RunFolder

    for folder in (place, place.parent):
        if RunFolder(folder).is_run:
            return RunFolder(folder)
    raise RecipeError(
        f"{place} is no encoder: expected a model's name, or the folder of a run of mien train"
    )
