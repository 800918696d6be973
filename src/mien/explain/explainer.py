"""Photo in, a map per face out. Imports torch only for the methods that need it."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.bundle import DEFAULT, Classifier, open_bundle
from mien.errors import InputError, NoFace
from mien.explain.occlusion import occlusion
from mien.extras import installed
from mien.faces import Detector, Finder, as_detector, find
from mien.runs import RunFolder, find_run
from mien.sources import load

METHODS = ("occlusion", "gradcam", "attention")

_Method = Callable[[NDArray[np.uint8], int], NDArray[np.float32]]
"""(S, S) uint8 network input and the number of a label → (S, S) float32 map in 0-1."""


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """Where the network looked for `label`, to which it gave the probability `score`.

    `map` (S, S) float32 in 0-1 lies over the network's input. occlusion: the probability lost
    where a place is covered; gradcam: evidence, as shares of the strongest; attention: what share
    the network lets pass, whatever the label. `crop` (H, W) grey or (H, W, 3) RGB uint8 is the face
    as it was framed.
    """

    method: str
    label: str
    score: float
    map: NDArray[np.float32]
    crop: NDArray[np.uint8]


class Explainer:
    """Maps of faces by one of `METHODS`; make one, use it many times.

    `model` is a bundle (a folder, or a name in the package), which can be explained by occlusion,
    or a run folder, which can be by any (default: gradcam); `detector` as in `mien.Recognizer`.
    Scores are those of the bundle, or of the run's. Raises InputError for a method that this model
    does not have, and MissingExtra.
    """

    def __init__(
        self,
        model: str | Path = DEFAULT,
        method: str | None = None,
        *,
        detector: str | Detector | Finder = "yunet",
    ) -> None:
        run = find_run(model)
        self.method = method or ("occlusion" if run is None else "gradcam")
        self.classifier = Classifier(open_bundle(run.exported() if run else model))
        self._map = _method(self.method, run, self.classifier)
        self._detector = as_detector(detector)

    @property
    def labels(self) -> tuple[str, ...]:
        """What `label` may be."""
        return self.classifier.card.labels

    def explain(self, photo: Any, *, label: str | None = None) -> list[Explanation]:
        """One per face, the largest first, of its most probable label or of `label`.

        `photo` is one picture as in `mien.Recognizer.recognize`. Raises NoFace, PictureError, and
        InputError for an unknown label.
        """
        self._check(label)  # an unknown one is told before anything is read
        picture = load(photo)
        _, crops = find(picture, self._detector)
        if not crops:
            raise NoFace("no face found; for a ready-made face crop use the detector none")
        return [self.explain_crop(face, label=label) for face in crops]

    def explain_crop(self, face: NDArray[np.uint8], *, label: str | None = None) -> Explanation:
        """The same of a ready-made crop, (H, W) grey or (H, W, 3) RGB uint8."""
        self._check(label)
        image = self.classifier.card.preprocess.resize([face])
        scores = self.classifier.scores(image)[0]
        number = self.labels.index(label) if label else int(scores.argmax())
        found = self._map(image[0], number)
        return Explanation(self.method, self.labels[number], float(scores[number]), found, face)

    def _check(self, label: str | None) -> None:
        if label is not None and label not in self.labels:
            raise InputError(f"no label {label!r}; this network knows: {', '.join(self.labels)}")


def _method(name: str, run: RunFolder | None, classifier: Classifier) -> _Method:
    if name not in METHODS:
        raise InputError(f"no method {name!r}; there are: {', '.join(METHODS)}")
    if name == "occlusion":
        return functools.partial(occlusion, classifier)
    if run is None:
        raise InputError(
            f"{name} looks inside a torch network, which only a run folder has; give one, "
            "or use the method occlusion"
        )
    installed("torch", extra="explain" if name == "gradcam" else "train")
    from mien.explain.network import Attention, GradCAM

    return GradCAM(run) if name == "gradcam" else Attention(run)
