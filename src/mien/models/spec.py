"""What the registry knows of a model. Nothing here needs torch."""

import difflib
import inspect
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from mien.errors import RecipeError

if TYPE_CHECKING:
    from torch import nn

Builder = Callable[..., "nn.Module"]
_SHOWN = 40
_GIVEN = ("classes", "channels", "weights")
"""What a builder without typed options is called with, beside these."""


@dataclass(frozen=True, slots=True)
class Spec:
    """The shape of a network, (N, channels, S, S) → (N, classes), and where its weights start."""

    classes: int
    channels: int
    weights: str
    """`none`, `imagenet`, `faces`, or the path of a file."""
    size_px: int
    """Side of the pictures, of which a transformer knows its positions."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A model: its builder, and the facts that go with its weights (timm's `pretrained_cfg`).

    With `defaults`, a frozen dataclass that declares the options, the builder is called as
    `builder(spec, options)`. Without, it is a function of the keywords `classes`, `channels`,
    `weights` and its own options.
    """

    name: str
    builder: str | Builder
    """The function, or `module:function`, which is imported when a network is built."""
    defaults: Any = None
    paper: str = ""
    size_px: int = 48
    """Side of the pictures that the model is made for."""
    mean: tuple[float, ...] = (0.5,)
    """By channel, of pixels in 0-1; one value: the network sees grey."""
    std: tuple[float, ...] = (0.5,)
    licence: str = "Apache-2.0"

    @property
    def options(self) -> tuple[str, ...]:
        """Names that a recipe may set under `model.options`."""
        if is_dataclass(self.defaults):
            return tuple(field.name for field in fields(self.defaults))
        return tuple(p for p in inspect.signature(self._function()).parameters if p not in _GIVEN)

    @property
    def reads_clips(self) -> bool:
        """Whether it is a network for clips: its options say how many `frames` it sees."""
        return is_dataclass(self.defaults) and "frames" in self.options

    def check(self, options: Mapping[str, object]) -> Any:
        """All options, with the defaults of those that `options` lacks.

        Raises RecipeError for an option that the model does not have, with the nearest name, and
        for a value that does not fit.
        """
        for option in options:
            if option not in self.options:
                raise RecipeError(
                    f"model {self.name} has no option {option!r}{hint(option, self.options)}"
                )
        if self.defaults is None:
            return dict(options)
        from pydantic import TypeAdapter, ValidationError

        try:
            return TypeAdapter(type(self.defaults)).validate_python(
                {**asdict(self.defaults), **options}
            )
        except ValidationError as error:
            problem = error.errors()[0]
            where = ".".join(str(part) for part in problem["loc"])
            value = f"{where}: {problem['msg']} (got {problem['input']!r})"
            raise RecipeError(
                f"model {self.name}, options.{value}" if where else problem["msg"]
            ) from error

    def build(self, spec: Spec, options: Mapping[str, object]) -> "nn.Module":
        """The network. Raises RecipeError for options that do not fit, WeightsError for weights
        that cannot be read."""
        checked = self.check(options)
        builder = self._function()
        try:
            if self.defaults is None:
                return builder(**{name: getattr(spec, name) for name in _GIVEN}, **checked)
            return builder(spec, checked)
        except (TypeError, ValueError, IndexError, RuntimeError) as error:
            if not options:
                raise
            reason = " ".join(str(error).split())[:200]
            raise RecipeError(
                f"model {self.name} cannot be built with {dict(options)}: {reason}"
            ) from error

    def _function(self) -> Builder:
        found: Builder = (
            pkgutil.resolve_name(self.builder) if isinstance(self.builder, str) else self.builder
        )
        return found


def hint(word: str, known: Iterable[str]) -> str:
    """The end of a message on an unknown `word`: the nearest of those known, or all of them; of
    very many, the first."""
    known = list(known)
    if near := difflib.get_close_matches(word, known, 1):
        return f"; did you mean {near[0]!r}?"
    more = f", ... ({len(known):,})" if len(known) > _SHOWN else ""
    return f"; there are: {', '.join(known[:_SHOWN])}{more}"
