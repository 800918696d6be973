"""How much memory a training step takes, against how long it takes."""

import contextlib
import ctypes
import functools
import platform
import sys
from collections.abc import Iterator
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def keep_freed() -> None:
    """Keep freed memory for the next step.

    glibc gives every large tensor back to the system and asks for it again in the next step;
    keeping it made training steps on the CPU faster (docs/decisions.md).
    """
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL("libc.so.6")
        m_mmap_threshold, m_trim_threshold, m_mmap_max = -3, -1, -4
        libc.mallopt(m_mmap_threshold, 1 << 30)
        libc.mallopt(m_trim_threshold, 0x7FFFFFFF)
        libc.mallopt(m_mmap_max, 0)


def checkpoint_activations(model: nn.Module) -> int:
    """Keep only what enters each block of `model`, and compute the block again in the backward
    pass (Chen et al. 2016, arXiv:1604.06174): same gradients, less memory, about a third slower.

    A block is a smallest part with two or more layers that normalise. Returns how many there are.
    """
    blocks = [m for m in model.modules() if _is_block(m)]
    for block in blocks:
        # On the instance, not around it: the names in its state dict stay.
        block.forward = functools.partial(
            checkpoint,
            block.forward,
            use_reentrant=False,
            context_fn=functools.partial(_contexts, block),
        )
    return len(blocks)


def _is_block(module: nn.Module) -> bool:
    return _norms(module) > 1 and all(_norms(child) < 2 for child in module.children())


def _norms(module: nn.Module) -> int:
    return sum(isinstance(m, _BatchNorm | nn.LayerNorm | nn.GroupNorm) for m in module.modules())


def _contexts(block: nn.Module) -> tuple[Any, Any]:
    """For the first pass, and for the second."""
    return contextlib.nullcontext(), statistics_kept(block)


@contextlib.contextmanager
def statistics_kept(module: nn.Module) -> Iterator[None]:
    """Without this, a second pass would count its batch twice in the running statistics."""
    norms = [m for m in module.modules() if isinstance(m, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
