"""Photos in, readings out. Never imports torch."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.bundle import DEFAULT, Classifier, open_bundle
from mien.errors import ShapeError
from mien.faces import Detector, crop, open_detector
from mien.sources import read_picture
from mien.types import Reading, Scores


class Recognizer:
    """Finds the faces of a picture and reads their expressions; make one and use it many times.

    `model` is the folder of a bundle or the name of one in the package, `detector` one of
    `mien.faces.DETECTORS` or an object that follows `mien.faces.Detector`; `threads` bounds ONNX
    Runtime's threads. Raises BundleError, WeightsError or InputError if one of them cannot be had.
    """

    def __init__(
        self,
        model: str | Path = DEFAULT,
        *,
        detector: str | Detector = "auto",
        threads: int | None = None,
    ) -> None:
        self._classifier = Classifier(open_bundle(model), threads)
        self.card = self._classifier.card
        self.detector = open_detector(detector) if isinstance(detector, str) else detector

    @property
    def labels(self) -> tuple[str, ...]:
        """Expressions, in the order of every `Scores`."""
        return self.card.labels

    def recognize(self, picture: str | Path | NDArray[np.uint8]) -> list[Reading]:
        """A reading per face, the largest face first; empty where no face is found.

        `picture` is a path or an (H, W, 3) uint8 RGB array. All faces share one run of the network.
        """
        pixels = picture if isinstance(picture, np.ndarray) else read_picture(picture)
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
            raise ShapeError(
                f"expected a (H, W, 3) uint8 RGB picture, got {pixels.shape} {pixels.dtype}"
            )
        faces = self.detector.detect(pixels)
        scores = self.classify([crop(pixels, face, self.detector) for face in faces])
        return [Reading(face, score) for face, score in zip(faces, scores, strict=True)]

    def classify(self, crops: Sequence[NDArray[np.uint8]]) -> list[Scores]:
        """Scores of ready-made face crops, (H, W) grey or (H, W, 3) RGB uint8."""
        rows = self._classifier.probabilities(crops)
        return [Scores(self.labels, tuple(float(v) for v in row)) for row in rows]
