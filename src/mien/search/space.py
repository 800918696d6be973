"""What a search may try: keys of a recipe, each with a range or a list of choices."""

import difflib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mien.errors import RecipeError
from mien.files import existing
from mien.recipes import Recipe, load_recipe

Value = str | int | float | bool
"""A value as a study keeps it: lists and sections are JSON."""

_FORM = "expected a list of choices, or {low: 0.001, high: 0.1} with log: true or step: 0.01"
_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `low` to `high`, both included; whole ones where both ends and `step` are."""

    low: float
    high: float
    step: float | None = None
    log: bool = False
    """Drawn evenly by their logarithm."""

    def __post_init__(self) -> None:
        ends = (self.low, self.high)
        numbers = [v for v in (*ends, self.step) if v is not None]
        if any(isinstance(v, bool) or not isinstance(v, int | float) for v in numbers):
            raise ValueError(_FORM)
        if not all(map(math.isfinite, numbers)) or self.low >= self.high:
            raise ValueError(f"low must be below high, got {self.low} and {self.high}")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("log: true needs low above 0, and no step")
        if self.step is not None and self.step <= 0:
            raise ValueError(f"step must be above 0, got {self.step}")

    @property
    def is_whole(self) -> bool:
        """Whether it holds whole numbers alone."""
        return all(isinstance(v, int) for v in (self.low, self.high, self.step or 1))

    def values(self) -> list[float]:
        """Every number of it; ValueError without a step, where there is no end of them."""
        step = self.step or (1 if self.is_whole and not self.log else None)
        if step is None:
            raise ValueError("a grid needs a list of choices or a step")
        steps = math.floor((self.high - self.low) / step + 1e-9)
        if steps >= _MOST:
            raise ValueError(f"{steps + 1:,} values are too many for a grid")
        return [float(short(self.low + n * step)) for n in range(steps + 1)]


@dataclass(frozen=True, slots=True)
class Space:
    """Keys of a recipe (`training.optimizer.lr`) and what each may be."""

    keys: Mapping[str, Range | tuple[Value, ...]]

    def suggest(self, trial: Any) -> dict[str, Value]:
        """A value of each key, as an Optuna trial chooses."""
        return {key: _suggest(trial, key, domain) for key, domain in self.keys.items()}

    def grid(self) -> dict[str, list[Value]]:
        """Every value of each key; RecipeError for a range without a step."""
        found: dict[str, list[Value]] = {}
        for key, domain in self.keys.items():
            try:
                found[key] = list(domain.values() if isinstance(domain, Range) else domain)
            except ValueError as error:
                raise RecipeError(f"{key}: {error}") from error
        return found

    def is_log(self, key: str) -> bool:
        """Whether `key` is drawn by its logarithm."""
        domain = self.keys[key]
        return isinstance(domain, Range) and domain.log


def read_space(path: Path) -> Space:
    """The space of a YAML file; InputError if it is missing, RecipeError if it does not hold."""
    existing(path, "file of the search space")
    try:
        raw = yaml.safe_load(path.read_bytes())
    except yaml.YAMLError as error:
        raise RecipeError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict) or not raw:
        raise RecipeError(f"{path} is no search space: expected keys of a recipe, one a line")
    return Space({str(key): _domain(path, key, value) for key, value in raw.items()})


def _domain(path: Path, key: Any, raw: Any) -> Range | tuple[Value, ...]:
    if isinstance(raw, list) and raw:
        return tuple(map(_kept, raw))
    try:
        return Range(**raw)
    except TypeError as error:
        known = [*Range.__dataclass_fields__]
        strange = [k for k in raw if k not in known] if isinstance(raw, dict) else []
        hint = f"; unknown {strange[0]!r}, there are: {', '.join(known)}" if strange else ""
        raise RecipeError(f"{path}: {key}: {_FORM}{hint}") from error
    except ValueError as error:
        raise RecipeError(f"{path}: {key}: {error}") from error


def check_space(recipe: str, changes: list[str], space: Space) -> Recipe:
    """The recipe with the first value of each key.

    RecipeError for a key that it does not have, and for a value of any key that it refuses.
    """
    first = {key: next(_ends(domain)) for key, domain in space.keys.items()}
    for key, domain in space.keys.items():
        for value in _ends(domain):
            load_recipe(recipe, [*changes, *overrides(first | {key: value})])
    return load_recipe(recipe, [*changes, *overrides(first)])


def overrides(values: Mapping[str, Value]) -> list[str]:
    """`key=value` of each, as `load_recipe` takes them."""
    return [f"{key}={_yaml(value)}" for key, value in values.items()]


def near(name: str, known: list[str]) -> str:
    """A hint for a mistyped name."""
    found = difflib.get_close_matches(name, known, 1)
    return f"did you mean {found[0]!r}?" if found else f"there are: {', '.join(known)}"


def _suggest(trial: Any, key: str, domain: Range | tuple[Value, ...]) -> Value:
    if not isinstance(domain, Range):
        return trial.suggest_categorical(key, list(domain))  # type: ignore[no-any-return]
    if domain.is_whole:
        number = trial.suggest_int(
            key, int(domain.low), int(domain.high), step=int(domain.step or 1), log=domain.log
        )
        return int(number)
    found = trial.suggest_float(key, domain.low, domain.high, step=domain.step, log=domain.log)
    return float(found)


def _ends(domain: Range | tuple[Value, ...]) -> Iterator[Value]:
    yield from (domain.low, domain.high) if isinstance(domain, Range) else domain


def short(value: Value) -> Value:
    """As many digits as anyone reads."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _kept(choice: Any) -> Value:
    return choice if isinstance(choice, str | int | float | bool) else json.dumps(choice)


def _yaml(value: Value) -> str:
    return value if isinstance(value, str) else json.dumps(short(value))
