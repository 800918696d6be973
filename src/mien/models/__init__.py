"""Networks by name. Importing this package imports torch; nothing else in mien's API does."""

from mien.models import attention, mien, mobilenetv2, resnet50  # noqa: F401  (they register themselves)
from mien.models.registry import Entry, build, entry, names

__all__ = ["Entry", "build", "entry", "names"]
