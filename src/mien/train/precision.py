"""In how many bits a training step computes."""

import functools
from collections.abc import Callable

import torch
from torch import Tensor, nn


def in_bf16(chosen: str) -> bool:
    """Whether to compute in bfloat16, by a recipe's `precision`.

    `auto` asks the device: a CPU without bf16 instructions emulates them, 14 times slower than
    fp32 (measured on an AVX2 machine).
    """
    if chosen != "auto":
        return chosen == "bf16"
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, name, bool)()) for name in checks)


def keep_depthwise_in_fp32(model: nn.Module) -> int:
    """Compute convolutions of one channel each in fp32 under autocast, too, and return how many.

    On a CPU their backward pass is slower in bf16 than in fp32 (docs/decisions.md); all that
    surrounds them is faster.
    """
    found = [m for m in model.modules() if _is_depthwise(m)]
    for conv in found:
        # On the instance, not around it: the names in its state dict stay.
        conv.forward = functools.partial(_in_fp32, conv.forward)
    return len(found)


def _is_depthwise(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1


def _in_fp32(forward: Callable[[Tensor], Tensor], values: Tensor) -> Tensor:
    with torch.autocast(values.device.type, enabled=False):
        return forward(values.float())
