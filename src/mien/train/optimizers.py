"""The optimizer of a recipe."""

import torch
from timm.optim.muon import Muon
from torch import nn

from mien.recipe import Optimizer


def optimizer_of(model: nn.Module, chosen: Optimizer) -> torch.optim.Optimizer:
    """For all weights of `model` that are trained; biases and BatchNorm do not decay."""
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
        return Muon(
            groups,
            lr=chosen.lr,
            momentum=chosen.momentum,
            nesterov=True,
            adjust_lr_fn="match_rms_adamw",
        )
    kind = torch.optim.Adam if chosen.name == "adam" else torch.optim.AdamW
    return kind(groups, lr=chosen.lr, betas=(chosen.momentum, 0.999))
