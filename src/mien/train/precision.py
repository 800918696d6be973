"""In how many bits a training step computes."""

import functools
from collections.abc import Callable

import torch
from torch import Tensor, nn


def in_bf16(chosen: str) -> bool:
    """Whether to compute in bfloat16, by a recipe's `precision`.

    `auto` asks the device. On a CPU of Intel with AVX-512 BF16, but without AMX, a step took 1 to
    1.45 times as long as in fp32 (`research/measure/precision.py`); one of `attention` took 14
    times as long on a CPU with neither.
    """
    if chosen != "auto":
        return chosen == "bf16"
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(getattr(torch.cpu, "_is_amx_tile_supported", bool)())


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
