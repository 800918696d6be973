"""Maps from inside a run's torch network: Grad-CAM and the network's own attention."""

import functools
import math
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from mien.errors import InputError
from mien.extras import need
from mien.models import layers
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


class Attention:
    """Where the network of `run` attends: the mean of the maps of its CBAM (arXiv:1807.06521) and
    self-attention, or a transformer's rollout (Abnar & Zuidema 2020, arXiv:2005.00928)."""

    def __init__(self, run: RunFolder) -> None:
        self._network, self._preprocess = run.network(), run.preprocess
        parts = list(self._network.modules())
        kinds = (layers.SpatialAttention, layers.SelfAttention)
        self._gates = [part for part in parts if isinstance(part, kinds)]
        blocks = [p for p in parts if hasattr(p, "fused_attn") and hasattr(p, "attn_drop")]
        for block in blocks:
            block.fused_attn = False  # fused, nobody sees the weights
        self._weights = [block.attn_drop for block in blocks]
        if not self._gates and not self._rolled(_black(self._preprocess)).size:
            raise InputError(
                f"{run.recipe.model.name} has no spatial attention to show; "
                "use the method gradcam or occlusion"
            )

    def __call__(self, image: NDArray[np.uint8], _label: int) -> NDArray[np.float32]:
        """(S, S) float32 in 0-1, the same for every label."""
        if not self._gates:
            return _enlarged(self._rolled(image), len(image))
        passed = _passed(self._network, self._gates, _tensor(image, self._preprocess))
        maps = [gate.map(given)[0, 0].detach().numpy() for gate, given, _ in passed]
        return np.asarray(np.mean([_enlarged(m, len(image)) for m in maps], 0), np.float32)

    def _rolled(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(H, W): how much of each place comes to the mean of all through every block, as shares of
        the most; empty where blocks do not weigh all places."""
        parts = [*self._weights, self._network.features]
        *passed, (_, _, end) = _passed(self._network, parts, _tensor(image, self._preprocess))
        tokens = end.shape[1] if end.ndim == 3 else end[0, 0].numel()
        each = [w.mean(1)[0] for _, _, w in passed if (len(w), *w.shape[2:]) == (1, tokens, tokens)]
        if not each or len(each) < len(passed):
            return np.zeros((0, 0), np.float32)
        # Half of what leaves a block is what entered it, by its shortcut.
        through = [(weights + torch.eye(len(weights))) / 2 for weights in each]
        rolled = functools.reduce(lambda before, after: after @ before, through).mean(0)
        side = math.isqrt(len(rolled))
        places = rolled[len(rolled) - side**2 :].view(side, side)
        return np.asarray((places / places.max()).numpy(), np.float32)


def _last_fine(network: Any, preprocess: Preprocess) -> Any:
    """The last layer with a map of `COARSEST_PX` or more; the first if all are coarser.

    Raises InputError for a network without maps of channels.
    """
    face = _tensor(_black(preprocess), preprocess)
    parts = _passed(network, [*_trunk(network.features), network.attention], face)
    # A transformer's blocks give tokens, or a map with its channels last.
    passed = [call for call in parts if call[2].ndim == 4 and call[2].shape[2] == call[2].shape[3]]
    if not passed:
        raise InputError("this network has no feature map; use the method occlusion")
    fine = [layer for layer, _, out in passed if min(out.shape[2:]) >= COARSEST_PX]
    return fine[-1] if fine else passed[0][0]


def _trunk(features: Any) -> Iterator[Any]:
    """The layers that everything passes through, one after the other."""
    for part in getattr(features, "body", features).children():  # body: a network of timm
        if type(part) is torch.nn.Sequential:
            yield from _trunk(part)
        else:
            yield part


def _passed(network: Any, parts: list[Any], inputs: Any) -> list[tuple[Any, Any, Any]]:
    """(part, what went in, what came out) of those `parts` that were used, in their order."""
    passed: list[tuple[Any, Any, Any]] = []
    hooks = [
        part.register_forward_hook(lambda *call: passed.append((call[0], call[1][0], call[2])))
        for part in parts
    ]
    with torch.no_grad():
        network(inputs)
    for hook in hooks:
        hook.remove()
    return passed


def _black(preprocess: Preprocess) -> NDArray[np.uint8]:
    return np.asarray(preprocess.resize(np.zeros((1, 8, 8), np.uint8))[0])


def _tensor(image: NDArray[np.uint8], preprocess: Preprocess) -> Any:
    return torch.from_numpy(preprocess.standardise(image[None]))


def _enlarged(coarse: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_LINEAR), np.float32)
