"""Models by name: those of the package, of plugins, and those that a program registers."""

from collections.abc import Callable
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from mien.errors import RecipeError
from mien.models.catalogue import ENTRIES, TIMM, any_of_timm
from mien.models.spec import Builder, Entry, Spec, hint

if TYPE_CHECKING:
    from torch import nn

PLUGINS = "mien.models"
"""Group of entry points by which an installed package adds models. Each gives an `Entry`, a module
or a function without arguments that registers them."""

_added: dict[str, Entry] = {}


def register(name: str, **facts: Any) -> Callable[[Builder], Builder]:
    """Decorator that registers a builder under `name`; `facts` are the other fields of `Entry`."""

    def decorate(builder: Builder) -> Builder:
        add(Entry(name, builder, **facts))
        return builder

    return decorate


def add(entry: Entry) -> None:
    """Register `entry`; RecipeError if its name is that of a model in the package."""
    if entry.name in ENTRIES:
        raise RecipeError(f"the name {entry.name!r} is taken by a model of mien; choose another")
    _added[entry.name] = entry


def names() -> tuple[str, ...]:
    """All model names, sorted."""
    _load_plugins()
    return tuple(sorted({*ENTRIES, *_added}))


def entry(name: str) -> Entry:
    """The entry of `name`; RecipeError with the nearest name if there is none.

    `timm/NAME` is any network of timm; whether there is one of that name is seen when it is built.
    """
    if name.startswith(TIMM):
        return any_of_timm(name)
    if name not in ENTRIES and name not in _added:
        _load_plugins()
    found = ENTRIES.get(name) or _added.get(name)
    if found is None:
        raise RecipeError(f"no model named {name!r}{hint(name, (*names(), f'{TIMM}NAME'))}")
    return found


def check_name(name: str) -> None:
    """RecipeError if there is no network of that name; that of `timm/NAME` imports timm."""
    entry(name)
    if name.startswith(TIMM):
        from mien.models.imagenet import check_timm

        check_timm(name.removeprefix(TIMM))


def build(
    name: str,
    *,
    classes: int,
    channels: int,
    weights: str = "none",
    size_px: int | None = None,
    **options: Any,
) -> "nn.Module":
    """A network (N, channels, S, S) float32 → (N, classes) logits.

    `weights` is `none`, `imagenet`, `faces` or the path of a file; `size_px` is S (default: the
    model's own), which transformers alone hold to; `options` are the model's own. Raises
    RecipeError for an unknown name or option, WeightsError for weights that cannot be read.
    """
    found = entry(name)
    return found.build(Spec(classes, channels, weights, size_px or found.size_px), options)


@cache
def _load_plugins() -> None:
    for point in entry_points(group=PLUGINS):
        try:
            found = point.load()
            if isinstance(found, Entry):
                add(found)
            elif callable(found) and all(e.builder is not found for e in _added.values()):
                found()
        except Exception as error:
            raise RecipeError(
                f"the plugin {point.name} ({point.value}) cannot be loaded: {error}"
            ) from error
