"""Maps from inside a run's torch network: Grad-CAM and CBAM's own spatial attention."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError
from mien.extras import installed, need
from mien.preprocess import Preprocess
from mien.runs import RunFolder

COARSEST_PX = 6
"""Grad-CAM looks at the last feature map of at least so many pixels a side: coarser ones (3 x 3 at
the end of `attention`) cannot tell an eye from a mouth."""


class GradCAM:
    """Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391) on the network of `run`, by captum."""

    def __init__(self, run: RunFolder) -> None:
        captum = need("captum.attr", extra="explain")
        network, self._preprocess = run.network(), run.preprocess
        self._method = captum.LayerGradCam(network, _last_fine(network, self._preprocess))

    def __call__(self, image: NDArray[np.uint8], label: int) -> NDArray[np.float32]:
        """(S, S) float32 in 0-1: evidence for `label`, as shares of the strongest."""
        inputs = _tensor(image, self._preprocess).requires_grad_()  # a frozen base asks for none
        found = self._method.attribute(inputs, target=label, relu_attributions=True)
        coarse = found[0, 0].detach().numpy()
        return _enlarged(coarse / max(coarse.max(), 1e-12), len(image))


class SpatialAttention:
    """The maps by which the CBAM blocks of `run` scale each place (arXiv:1807.06521)."""

    def __init__(self, run: RunFolder) -> None:
        installed("torch", extra="train")
        from mien.models.layers import SpatialAttention as Gate

        self._network, self._preprocess = run.network(), run.preprocess
        self._gates = [part for part in self._network.modules() if isinstance(part, Gate)]
        if not self._gates:
            raise InputError(
                f"{run.recipe.model.name} has no spatial attention to show; "
                "use the method gradcam or occlusion"
            )

    def __call__(self, image: NDArray[np.uint8], _label: int) -> NDArray[np.float32]:
        """(S, S) float32 in 0-1: the mean of the blocks' maps, the same for every label."""
        passed = _passed(self._network, self._gates, _tensor(image, self._preprocess))
        maps = [gate.map(given)[0, 0].detach().numpy() for gate, given, _ in passed]
        return np.asarray(np.mean([_enlarged(m, len(image)) for m in maps], 0), np.float32)


def _last_fine(network: Any, preprocess: Preprocess) -> Any:
    """The last layer with a map of `COARSEST_PX` or more; the first if all are coarser."""
    size = preprocess.size_px
    face = _tensor(np.zeros((size, size), np.uint8), preprocess)
    layers = [*_trunk(network.features), network.attention]
    passed = _passed(network, layers, face)
    fine = [layer for layer, _, out in passed if min(out.shape[2:]) >= COARSEST_PX]
    return fine[-1] if fine else passed[0][0]


def _trunk(features: Any) -> Iterator[Any]:
    """The layers that everything passes through, one after the other."""
    from torch import nn

    for part in getattr(features, "body", features).children():  # body: a network of timm
        if type(part) is nn.Sequential:
            yield from _trunk(part)
        else:
            yield part


def _passed(network: Any, layers: list[Any], inputs: Any) -> list[tuple[Any, Any, Any]]:
    """(layer, what went in, what came out) of those `layers` that were used, in their order."""
    import torch

    passed: list[tuple[Any, Any, Any]] = []
    hooks = [
        layer.register_forward_hook(lambda *call: passed.append((call[0], call[1][0], call[2])))
        for layer in layers
    ]
    with torch.no_grad():
        network(inputs)
    for hook in hooks:
        hook.remove()
    return passed


def _tensor(image: NDArray[np.uint8], preprocess: Preprocess) -> Any:
    import torch

    return torch.from_numpy(preprocess.standardise(image[None]))


def _enlarged(coarse: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    import cv2

    return np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_LINEAR), np.float32)
