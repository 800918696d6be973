import copy

import pytest
import torch
from timm.optim.muon import Muon
from torch import Tensor, nn

from mien.models import build
from mien.recipe import Optimizer
from mien.train.optimizers import GroupedMuon, optimizer_of

RATE = 0.01


def changes(chosen: Optimizer) -> dict[str, Tensor]:
    """What one step on drawn pictures changes in each weight of `mien-s`."""
    torch.manual_seed(0)
    model = build("mien-s", classes=7, channels=1, weights="none", dropout=0.0)
    before = copy.deepcopy(model.state_dict())
    optimizer = optimizer_of(model, chosen)
    loss = nn.functional.cross_entropy(model(torch.rand(16, 1, 48, 48)), torch.arange(16) % 7)
    loss.backward()
    optimizer.step()
    return {name: p.detach() - before[name] for name, p in model.named_parameters()}


def test_muon_steps_alike_in_all_directions_and_as_far_as_adamw():
    steps = {name: changes(Optimizer(name=name, lr=RATE)) for name in ("muon", "sgd")}
    convolutions = [name for name, step in steps["muon"].items() if step.shape[2:] == (3, 3)]
    for name in convolutions[1:]:  # the stem's, of one channel, is AdamW's
        matrix = steps["muon"][name].flatten(1)
        strengths = torch.linalg.svdvals(matrix)
        assert strengths.max() / strengths.min() < 1.1, name
        others = torch.linalg.svdvals(steps["sgd"][name].flatten(1))
        assert others.max() / others.min() > 2, name
        # 0.2 is what AdamW's steps measure as a rule (Liu et al. 2025, section 2.2).
        assert matrix.square().mean().sqrt() == pytest.approx(0.2 * RATE, rel=0.1)


def test_muon_in_groups_is_timm_s_and_goes_on_from_its_state():
    chosen = {"lr": RATE, "weight_decay": 0.1, "momentum": 0.9, "nesterov": True}
    torch.manual_seed(0)
    start = build("mien-s", classes=7, channels=1, weights="none")
    start = start.to(memory_format=torch.channels_last)
    one, other = copy.deepcopy(start), copy.deepcopy(start)
    theirs = Muon(one.parameters(), **chosen)
    ours = GroupedMuon(other.parameters(), **chosen)
    for step in range(4):
        torch.manual_seed(step)
        for mine, yours in zip(one.parameters(), other.parameters(), strict=True):
            mine.grad = torch.randn_like(mine)
            yours.grad = mine.grad.clone()
        theirs.step()
        ours.step()
        if step == 1:
            ours.load_state_dict(copy.deepcopy(theirs.state_dict()))
        if step == 2:
            theirs.load_state_dict(copy.deepcopy(ours.state_dict()))
    there = other.state_dict()
    for name, weight in one.named_parameters():
        way = (weight - start.state_dict()[name]).norm()
        assert (there[name] - weight).norm() < 0.01 * way, name


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "muon"])
def test_biases_and_batchnorm_do_not_decay(name: str):
    light, heavy = (changes(Optimizer(name=name, lr=RATE, weight_decay=w)) for w in (0, 5))
    for key, change in light.items():
        assert torch.equal(change, heavy[key]) == (change.ndim < 2), key
