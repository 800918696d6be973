"""Networks by name. Importing this package needs no torch; building a network does."""

from mien.models.registry import add, build, check_name, entry, names, register
from mien.models.spec import Entry, Spec

__all__ = ["Entry", "Spec", "add", "build", "check_name", "entry", "names", "register"]
