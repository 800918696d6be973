"""Heavy packages, asked for where they are used."""

import importlib
from types import ModuleType

from mien.errors import MissingExtra


def need(module: str, *, extra: str) -> ModuleType:
    """The imported `module`, or MissingExtra with the line that installs it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name.split(".")[0]):
            raise
        package = module.split(".")[0]
        raise MissingExtra(
            f"{package} is not installed; run: pip install 'mien[{extra}]'"
        ) from error
