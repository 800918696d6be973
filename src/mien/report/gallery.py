"""The surest answers of a model, right and wrong, as pictures."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.evaluate import Evaluation
from mien.report.figures import new_figure, png, styled

_EACH = 6


@styled
def gallery(evaluation: Evaluation, images: NDArray[np.uint8]) -> bytes:
    """PNG: a row per class; of its (N, H, W) `images` the surest right answers on the left, the
    surest wrong ones on the right, with what they were taken for and how sure."""
    labels = evaluation.labels
    columns = 2 * _EACH + 1  # the one in the middle stays empty
    figure, panels = new_figure(1.05 * columns, 1.35 * len(labels), len(labels), columns)
    answers = evaluation.probabilities.argmax(1)
    confidence = evaluation.probabilities.max(1)
    for number, (label, axes) in enumerate(zip(labels, panels, strict=True)):
        for place in axes:
            place.set(xticks=[], yticks=[])
            place.grid(visible=False)
            for side in place.spines.values():
                side.set_visible(False)
        axes[0].set_ylabel(label)
        own = evaluation.truth == number
        for half, hit in ((axes[:_EACH], True), (axes[-_EACH:], False)):
            rows = np.flatnonzero(own & ((answers == number) == hit))
            surest = rows[np.argsort(-confidence[rows], kind="stable")][:_EACH]
            for place, row in zip(half, surest, strict=False):
                _show(place, images[row], hit, labels[answers[row]], confidence[row])
    panels[0, 0].set_title("right, the surest first", fontsize=10)
    panels[0, -_EACH].set_title("wrong, the surest first", fontsize=10)
    return png(figure)


def _show(place: Any, image: NDArray[np.uint8], hit: bool, answer: str, confidence: float) -> None:
    place.imshow(image, cmap="gray", vmin=0, vmax=255)
    caption = f"{100 * confidence:.0f} %" if hit else f"{answer} {100 * confidence:.0f} %"
    place.set_xlabel(caption, fontsize=7.5, labelpad=2)
