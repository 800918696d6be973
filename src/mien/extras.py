"""Heavy packages, asked for where they are used."""

import importlib
import importlib.util
from types import ModuleType

from mien.errors import MissingExtra


def need(module: str, *, extra: str) -> ModuleType:
    """The imported `module`, or MissingExtra with the line that installs it."""
    installed(module, extra=extra)
    return importlib.import_module(module)


def installed(module: str, *, extra: str) -> None:
    """Raise MissingExtra if the package of `module` is not installed; imports nothing."""
    package = module.split(".")[0]
    if importlib.util.find_spec(package) is None:
        raise MissingExtra(f"{package} is not installed; run: pip install 'mien[{extra}]'")
