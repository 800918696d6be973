"""Recipe files → `Recipe`: by name or path, with what they extend and with overrides."""

import difflib
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from mien.errors import RecipeError
from mien.recipes.schema import Recipe

Raw = dict[str, Any]

RETIRED = {
    "data.duplicates": "keep",
    "training.optimizer.sam": 0,
    "training.mix.cutmix": 0,
    "training.averaging.start": None,
    "training.distil.temperature": 1,
}
"""Keys of release 0.1 that are gone, and the value with which a recipe loads as before (None: any).
Runs spell out every key, so their recipes still hold these."""

_EXPECTED = {
    "dict_type": "expected keys and values, such as {key: value}",
    "model_type": "expected keys and values, such as {key: value}",
    "tuple_type": "expected a list, such as [...]",
}
"""What takes the place of pydantic's words, which are Python's."""


def recipe_names() -> tuple[str, ...]:
    """Names of the recipes in the package: `attention`, `report/attention`, ..."""
    root = _root()
    return tuple(
        sorted(p.relative_to(root).with_suffix("").as_posix() for p in root.rglob("*.yaml"))
    )


def load_recipe(
    name: str | Path, overrides: list[str] | None = None, *, past: bool = False
) -> Recipe:
    """A recipe by name or path, with `key.key=value` overrides; RecipeError if it does not hold.

    `past` reads the recipe of a run that is over: it may use keys that are gone.
    """
    raw = _read(str(name), ())
    for override in overrides or []:
        _apply(raw, override)
    _retire(raw, name, past)
    try:
        return Recipe.model_validate(raw)
    except ValidationError as error:
        raise RecipeError(f"recipe {name}: {_first(error)}") from error


def _root() -> Path:
    return Path(str(resources.files("mien") / "recipes"))


def _read(name: str, within: tuple[Path, ...]) -> Raw:
    """The keys of a recipe file, on top of those of the recipe it extends."""
    path = _find(name, within[-1].parent if within else Path())
    if path in within:
        raise RecipeError(f"recipe {path} extends itself: {' > '.join(p.stem for p in within)}")
    try:
        raw = yaml.safe_load(path.read_bytes())
    except yaml.YAMLError as error:
        raise RecipeError(f"{name} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise RecipeError(f"{name} is not a recipe: expected keys such as model and training")
    extended = raw.pop("extends", None)
    return raw if extended is None else _extended(_read(str(extended), (*within, path)), raw)


def _extended(base: Raw, changes: Raw) -> Raw:
    """`base` with `changes`; the weights and options of another model do not come along."""
    own, other = base.get("model"), changes.get("model")
    if isinstance(own, dict) and isinstance(other, dict):
        name = other.get("name", own.get("name"))
        base = base | {"model": own if name == own.get("name") else {}}
    return _merged(base, changes)


def _merged(base: Raw, changes: Raw) -> Raw:
    """`base` with `changes`: section by section, anything else replaced."""
    both = {
        key: _merged(base[key], value)
        for key, value in changes.items()
        if isinstance(value, dict) and isinstance(base.get(key), dict)
    }
    return base | changes | both


def _find(name: str, folder: Path) -> Path:
    """The file that is meant: a path, from `folder`, or the name of a recipe in the package."""
    if (folder / name).is_file():
        return (folder / name).resolve()
    if name in recipe_names():
        return _root() / f"{name}.yaml"
    near = difflib.get_close_matches(name, recipe_names(), 1)
    hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(recipe_names())}"
    raise RecipeError(f"no recipe {name!r}, neither a file nor a name; {hint}")


def _apply(raw: Raw, override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise RecipeError(f"expected --set key=value, got {override!r}")
    *path, last = key.split(".")
    section = raw
    for part in path:
        section = section.setdefault(part, {})
        if not isinstance(section, dict):
            raise RecipeError(f"--set {override}: {part} is a value, not a section")
    try:
        section[last] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise RecipeError(f"--set {override}: {value!r} is not a valid YAML value") from error


def _retire(raw: Raw, name: str | Path, past: bool) -> None:
    """Take out what is gone since 0.1, where it was not used; RecipeError where it was."""
    for key, unused in RETIRED.items():
        *path, last = key.split(".")
        section: Any = raw
        for part in path:
            section = section.get(part) if isinstance(section, dict) else None
        if not isinstance(section, dict) or last not in section:
            continue
        value = section.pop(last)
        if not past and unused is not None and value not in (unused, None):
            raise RecipeError(f"recipe {name}: {key} is gone since mien 0.2; leave it out")


def _first(error: ValidationError) -> str:
    # A mistyped key is also a missing one: the first says what to do.
    problems = sorted(error.errors(), key=lambda p: p["type"] != "extra_forbidden")
    problem = problems[0]
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"unknown key {where!r}{_hint(where)}"
    if problem["type"] == "value_error":  # ours, and says itself what it got
        return f"{where}: {problem['ctx']['error']}" if where else str(problem["ctx"]["error"])
    if problem["type"] == "missing":
        return f"{where} is missing"
    said = _EXPECTED.get(problem["type"], problem["msg"])
    return f"{where}: {said} (got {problem['input']!r})" if where else said


def _hint(where: str) -> str:
    """The key that was perhaps meant: one of that name elsewhere, or a similar one beside it."""
    *path, last = where.split(".")
    if elsewhere := [key for key in keys() if key.endswith(f".{last}")]:
        return f"; did you mean {' or '.join(elsewhere)}?"
    section: type[BaseModel] | None = Recipe
    for part in path:
        section = _section(section, part) if section else None
    if section is None:
        return ""
    near = difflib.get_close_matches(last, section.model_fields, 1)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(section.model_fields)}"


def keys(section: type[BaseModel] = Recipe, within: str = "") -> Iterator[str]:
    """Every key of a recipe, with its section: `seed`, `training.optimizer.lr`, ..."""
    for name in section.model_fields:
        inner = _section(section, name)
        yield from keys(inner, f"{within}{name}.") if inner else [f"{within}{name}"]


def _section(section: type[BaseModel], name: str) -> type[BaseModel] | None:
    """The type of a key that is a section itself."""
    field = section.model_fields.get(name)
    kinds = [field.annotation, *getattr(field.annotation, "__args__", ())] if field else []
    return next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), None)
