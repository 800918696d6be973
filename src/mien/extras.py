"""Heavy packages, asked for where they are used."""

import importlib
import importlib.util
import json
import re
import shlex
from types import ModuleType
from typing import TYPE_CHECKING

from mien.errors import MissingExtra

if TYPE_CHECKING:
    from importlib.metadata import Distribution


def need(module: str, *, extra: str) -> ModuleType:
    """The imported `module`, or MissingExtra with the line that installs it."""
    installed(module, extra=extra)
    return importlib.import_module(module)


def installed(module: str, *, extra: str) -> None:
    """Raise MissingExtra if the package of `module` is not installed; imports nothing."""
    package = module.split(".")[0]
    if importlib.util.find_spec(package) is None:
        raise MissingExtra(f"{package} is not installed; {remedy(extra)}")


def remedy(extra: str) -> str:
    """What installs an extra. mien is on no registry, so that `pip install mien[...]` cannot.

    In a clone the extra by its name, else the packages that it stands for.
    """
    from importlib.metadata import PackageNotFoundError, distribution  # 25 ms

    try:
        mien = distribution("mien")
    except PackageNotFoundError:  # run from its sources
        mien = None
    if mien is None or _is_clone(mien):
        return f"run in the clone of mien: pip install -e '.[{extra}]'"
    return f"run: pip install {shlex.join(packages(mien, extra))}"


def packages(mien: "Distribution", extra: str) -> list[str]:
    """The requirements of an extra, those of the extras in it, too: `pandas>=2.2`, ..."""
    found: list[str] = []
    for line in mien.requires or ():
        name, _, marker = line.partition(";")
        if not re.search(rf"extra\s*==\s*['\"]{re.escape(extra)}['\"]", marker):
            continue
        inner = re.fullmatch(r"mien\[([\w,-]+)\]", name.strip())
        several = inner[1].split(",") if inner else []
        found += [p for one in several for p in packages(mien, one)] if inner else [name.strip()]
    return list(dict.fromkeys(found))


def _is_clone(mien: "Distribution") -> bool:
    """Whether it was installed with `pip install -e` (PEP 610)."""
    told = mien.read_text("direct_url.json")
    return bool(told and json.loads(told).get("dir_info", {}).get("editable"))
