"""Name → builder, plus the facts a model card needs."""

import difflib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mien.errors import RecipeError

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class Entry:
    """A registered architecture: its builder and where it comes from."""

    name: str
    build: Callable[..., "nn.Module"]
    paper: str
    licence: str

    @property
    def options(self) -> tuple[str, ...]:
        """Names a recipe may set under `model.options`."""
        given = {"classes", "channels", "weights"}
        return tuple(p for p in inspect.signature(self.build).parameters if p not in given)


_ENTRIES: dict[str, Entry] = {}


def register(name: str, *, paper: str, licence: str = "Apache-2.0") -> Callable[..., Any]:
    """Decorator that puts a builder into the registry under `name`."""

    def add(build: Callable[..., "nn.Module"]) -> Callable[..., "nn.Module"]:
        _ENTRIES[name] = Entry(name, build, paper, licence)
        return build

    return add


def names() -> tuple[str, ...]:
    """All registered model names, sorted."""
    return tuple(sorted(_ENTRIES))


def entry(name: str) -> Entry:
    """The entry of `name`; RecipeError with the nearest name if there is none."""
    try:
        return _ENTRIES[name]
    except KeyError:
        raise RecipeError(f"no model named {name!r}{_hint(name, names())}") from None


def build(
    name: str, *, classes: int, channels: int, weights: str = "none", **options: Any
) -> "nn.Module":
    """A network (N, channels, S, S) float32 → (N, classes) logits.

    `weights` is `imagenet`, `none` or the path of a local file; `options` are the builder's own.
    Raises RecipeError for an unknown name or option, WeightsError for weights that cannot be had.
    """
    found = entry(name)
    for option in options:
        if option not in found.options:
            raise RecipeError(
                f"model {name} has no option {option!r}{_hint(option, found.options)}"
            )
    try:
        return found.build(classes=classes, channels=channels, weights=weights, **options)
    except (TypeError, ValueError, IndexError, RuntimeError) as error:
        if not options:
            raise
        reason = " ".join(str(error).split())
        raise RecipeError(f"model {name} cannot be built with {options}: {reason[:200]}") from error


def _hint(word: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(word, known, 1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join(known)}"
