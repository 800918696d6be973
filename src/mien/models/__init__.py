"""Networks by name. Importing this package imports torch; nothing else in mien's API does."""

from mien.models import (  # noqa: F401  (they register themselves)
    attention,
    efficientnet_lite,
    face_mobilenet,
    face_resnet,
    facenet,
    mien,
    mobilenetv2,
    resnet50,
)
from mien.models.registry import Entry, build, entry, names

__all__ = ["Entry", "build", "entry", "names"]
