"""Dataclasses as values of JSON, and back."""

import dataclasses
import math
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints


def as_json(value: Any) -> Any:
    """A dataclass by its fields, and what it holds; null for what is not a number (NaN)."""
    if dataclasses.is_dataclass(value):
        return {f.name: as_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: as_json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(inner) for inner in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def from_json(kind: Any, raw: Any) -> Any:
    """The `kind` that `as_json` made `raw` of; ValueError, TypeError or KeyError if it is none.

    A kind is a dataclass, a tuple, a dict, or a union of dataclasses that differ in the default of
    their field `kind`.
    """
    of = get_args(kind)
    if get_origin(kind) in (Union, UnionType):
        return None if raw is None else from_json(_one_of(of, raw), raw)
    if get_origin(kind) is tuple:
        return tuple(from_json(of[0], inner) for inner in raw)
    if get_origin(kind) is dict:
        return {key: from_json(of[1], inner) for key, inner in raw.items()}
    if hasattr(kind, "__dataclass_fields__"):
        hints = get_type_hints(kind)
        return kind(**{name: from_json(hints[name], inner) for name, inner in raw.items()})
    return math.nan if kind is float and raw is None else raw


def _one_of(kinds: tuple[Any, ...], raw: Any) -> Any:
    """Of the members of a union that which `raw` is."""
    known = [kind for kind in kinds if kind is not NoneType]
    if len(known) == 1:
        return known[0]
    for kind in known:
        if kind.__dataclass_fields__["kind"].default == raw["kind"]:
            return kind
    raise ValueError(f"unknown kind {raw['kind']!r}")
