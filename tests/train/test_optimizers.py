import copy

import pytest
import torch
from timm.optim.muon import Muon
from torch import Tensor, nn

from mien.models import build
from mien.recipe import Optimizer
from mien.train.optimizers import GroupedMuon, optimizer_of

RATE = 0.01


def network() -> nn.Module:
    torch.manual_seed(0)
    sizes = {"widths": (8, 16, 24), "blocks": (1, 1, 1)}
    return build("mien-s", classes=7, channels=1, weights="none", dropout=0.0, **sizes)


def changes(chosen: Optimizer) -> dict[str, Tensor]:
    """What one step on noise changes in each weight of a small `mien-s`."""
    model = network()
    before = copy.deepcopy(model.state_dict())
    optimizer = optimizer_of(model, chosen)
    loss = nn.functional.cross_entropy(model(torch.rand(8, 1, 32, 32)), torch.arange(8) % 7)
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
    start = network().to(memory_format=torch.channels_last)
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


class Little(nn.Module):
    """A weight that decays, a bias that does not, and one that is not trained."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([[2.0]]))
        self.bias = nn.Parameter(torch.tensor([3.0]))
        self.frozen = nn.Parameter(torch.tensor([[5.0]]), requires_grad=False)


def sgd(values: float, slopes: list[float], decay: float, momentum: float) -> float:
    """Sutskever et al. (2013), as torch has it: Nesterov's where there is momentum."""
    moving = 0.0
    for slope in slopes:
        slope += decay * values
        moving = momentum * moving + slope
        values -= RATE * (slope + momentum * moving if momentum else slope)
    return values


def adam(values: float, slopes: list[float], decay: float, momentum: float) -> float:
    """Kingma & Ba (2015), algorithm 1; the decay is part of the slope."""
    first = second = 0.0
    for t, slope in enumerate(slopes, 1):
        slope += decay * values
        first = momentum * first + (1 - momentum) * slope
        second = 0.999 * second + 0.001 * slope**2
        step = first / (1 - momentum**t) / ((second / (1 - 0.999**t)) ** 0.5 + 1e-8)
        values -= RATE * step
    return values


def adamw(values: float, slopes: list[float], decay: float, momentum: float) -> float:
    """Loshchilov & Hutter (2019), algorithm 2: the decay is apart from the slope."""
    for steps in range(len(slopes)):
        done = adam(0, slopes[: steps + 1], 0, momentum) - adam(0, slopes[:steps], 0, momentum)
        values = values * (1 - RATE * decay) + done
    return values


SLOPES = [1.0, -3.0, 0.5, 2.0]


@pytest.mark.parametrize("momentum", [0.0, 0.6, 0.9])
@pytest.mark.parametrize("decay", [0.0, 0.4])
@pytest.mark.parametrize("by_hand", [sgd, adam, adamw])
def test_steps_are_those_of_the_papers(by_hand, decay, momentum):
    model = Little()
    chosen = Optimizer(name=by_hand.__name__, lr=RATE, weight_decay=decay, momentum=momentum)
    optimizer = optimizer_of(model, chosen)
    for slope in SLOPES:
        for weight in model.parameters():
            weight.grad = torch.full_like(weight, slope)
        optimizer.step()
    expected = [by_hand(2.0, SLOPES, decay, momentum), by_hand(3.0, SLOPES, 0, momentum), 5.0]
    assert [w.item() for w in model.parameters()] == pytest.approx(expected, abs=1e-6)


def test_muon_has_the_recipe_s_momentum_and_decay():
    chosen = Optimizer(name="muon", lr=RATE, weight_decay=0.3, momentum=0.95)
    groups = optimizer_of(Little(), chosen).param_groups
    assert [group["momentum"] for group in groups] == [0.95, 0.95]
    assert [group["weight_decay"] for group in groups] == [0.3, 0.0]
    assert [group["lr"] for group in groups] == [RATE, RATE]
    assert all(group["nesterov"] for group in groups)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "muon"])
def test_a_closure_is_run_with_gradients_and_its_loss_comes_back(name):
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    optimizer = optimizer_of(model, Optimizer(name=name, lr=RATE))
    before = copy.deepcopy(model.state_dict())

    def closure() -> Tensor:
        loss = model(torch.ones(1, 3)).square().sum()
        loss.backward()
        return loss

    with torch.no_grad():
        expected = model(torch.ones(1, 3)).square().sum()
        assert optimizer.step(closure).item() == pytest.approx(expected.item())
    assert not any(torch.equal(before[key], value) for key, value in model.state_dict().items())


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "muon"])
def test_biases_and_batchnorm_do_not_decay(name: str):
    light, heavy = (changes(Optimizer(name=name, lr=RATE, weight_decay=w)) for w in (0, 5))
    for key, change in light.items():
        assert torch.equal(change, heavy[key]) == (change.ndim < 2), key
