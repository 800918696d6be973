"""The portrait in the package, spoilt in each way that robustness is measured."""

import functools
from collections.abc import Mapping

import cv2
import numpy as np

from mien.demo import PORTRAIT
from mien.evaluate.corruptions import CORRUPTIONS, OCCLUSIONS
from mien.report.page import webp
from mien.sources import read_picture

_FACE = slice(65, 185), slice(164, 284)
"""Rows and columns of the portrait."""
_SIDE_PX = 64
_SEVERITY = 3


@functools.cache
def spoilt_faces() -> Mapping[str, str]:
    """`clean` and each corruption and cover → the face as a data URI, of middle severity."""
    grey = cv2.cvtColor(read_picture(PORTRAIT)[_FACE], cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA)
    face = np.asarray(small, np.uint8)[None]
    first = np.zeros(1, np.int64)
    kinds = (*CORRUPTIONS, *OCCLUSIONS)
    shown = {kind.name: kind(face, _SEVERITY, first)[0] for kind in kinds}
    return {name: webp(picture) for name, picture in {"clean": face[0], **shown}.items()}
