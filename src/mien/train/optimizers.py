"""The optimizer of a recipe."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from timm.optim.muon import (
    _COEFFICIENTS,
    Muon,
    _is_suitable_for_muon,
    get_lr_scale,
    zeropower_via_newtonschulz,
)
from torch import Tensor, nn

from mien.recipes.schema import Optimizer
from mien.train.precision import in_bf16


def optimizer_of(
    model: nn.Module, chosen: Optimizer, precision: str = "auto"
) -> torch.optim.Optimizer:
    """For all weights of `model` that are trained; biases and BatchNorm do not decay.

    Muon makes its steps orthogonal in the recipe's `precision`.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": chosen.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if chosen.name == "sgd":
        return torch.optim.SGD(
            groups, lr=chosen.lr, momentum=chosen.momentum, nesterov=chosen.momentum > 0
        )
    if chosen.name == "muon":
        return GroupedMuon(
            groups,
            lr=chosen.lr,
            momentum=chosen.momentum,
            nesterov=True,
            adjust_lr_fn="match_rms_adamw",
            dtype=torch.bfloat16 if in_bf16(precision) else torch.float32,
        )
    kind = torch.optim.Adam if chosen.name == "adam" else torch.optim.AdamW
    return kind(groups, lr=chosen.lr, betas=(chosen.momentum, 0.999), fused=True)


class GroupedMuon(Muon):
    """timm's Muon with Nesterov's momentum, all matrices of one shape at a time.

    Same steps, fewer operations: a graphics card spent most of its time waiting for them
    (docs/decisions.md). The state is timm's, so either goes on where the other stopped. Of its
    settings those that `optimizer_of` makes are heeded.

    `dtype` is what the steps are made orthogonal in (timm: always bfloat16). It is no part of the
    state: a run that goes on elsewhere uses what is fast there.
    """

    def __init__(
        self, params: Any, *, dtype: torch.dtype = torch.bfloat16, **settings: Any
    ) -> None:
        super().__init__(params, **settings)
        self.dtype = dtype

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of all weights; matrices lose their gradients."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            shapes = defaultdict(list)
            for weight in group["params"]:
                if weight.grad is not None and _is_suitable_for_muon(weight):
                    shapes[weight.shape].append(weight)
            for alike in shapes.values():
                self._turn(alike, group)
        super().step()  # type: ignore[no-untyped-call]  # what is no matrix
        return loss

    def _turn(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        """A step of `weights` of one shape."""
        states = [self.state[weight] for weight in weights]
        for weight, state in zip(weights, states, strict=True):
            state["use_muon"] = True
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = torch.zeros_like(weight)
        buffers = [state["momentum_buffer"] for state in states]
        gradients = [g for weight in weights if (g := weight.grad) is not None]
        lr, momentum = group["lr"], group["momentum"]
        torch._foreach_mul_(weights, 1 - lr * group["weight_decay"])
        torch._foreach_lerp_(buffers, gradients, 1 - momentum)
        updates = torch._foreach_lerp(gradients, buffers, momentum)
        turned = zeropower_via_newtonschulz(
            torch.stack([update.flatten(1) for update in updates]),
            group["ns_steps"],
            _COEFFICIENTS[group["ns_coefficients"]],
            eps=group["eps"],
            dtype=self.dtype,
        )
        far = get_lr_scale(turned.shape[1:], group["adjust_lr_fn"])
        steps = turned.float().reshape(len(weights), *weights[0].shape).unbind()
        torch._foreach_add_(weights, steps, alpha=-lr * far)
        for weight in weights:
            weight.grad = None
