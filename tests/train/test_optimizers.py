import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from timm.optim.muon import Muon
from torch import Tensor, nn

from mien.models import build
from mien.recipes.schema import Optimizer
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


QUINTIC = (
    (4.0848, -6.8946, 2.9270),
    (3.9505, -6.3029, 2.6377),
    (3.7418, -5.5913, 2.3037),
    (2.8769, -3.1427, 1.2046),
    (2.8366, -3.0525, 1.2012),
)


def orthogonal(update: np.ndarray) -> np.ndarray:
    """Jordan et al. (2024): five steps of Newton and Schulz, by Jiacheng You's coefficients."""
    matrix = update.reshape(len(update), -1)
    matrix = matrix / np.linalg.norm(matrix)
    for a, b, c in QUINTIC:
        square = matrix @ matrix.T
        matrix = a * matrix + (b * square + c * square @ square) @ matrix
    return matrix.reshape(update.shape)


def muon(gradients: list[Tensor], momentum: float) -> np.ndarray:
    """What steps by `gradients` change, in float64 (Liu et al. 2025, section 2.2; no decay)."""
    moving = np.zeros(gradients[0].shape)
    change = moving
    for gradient in gradients:
        slope = gradient.double().numpy()
        moving = momentum * moving + (1 - momentum) * slope
        step = orthogonal(momentum * moving + (1 - momentum) * slope)
        change = change - RATE * 0.2 * max(len(slope), slope[0].size) ** 0.5 * step
    return change


@pytest.fixture
def native_bf16(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """`native_bf16(there)`: a machine without a card whose CPU is faster in bf16, or not."""

    def pretend(there: bool) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: there, raising=False)

    return pretend


MUON = Optimizer(name="muon", lr=RATE, momentum=0.9)
SHAPE = (6, 4, 3, 3)


def moved(optimizer: torch.optim.Optimizer, gradients: list[Tensor]) -> Tensor:
    """What steps by `gradients` change in the one weight of `optimizer`."""
    (weight,) = optimizer.param_groups[0]["params"]
    before = weight.detach().clone()
    for gradient in gradients:
        weight.grad = gradient.clone()
        optimizer.step()
    return weight.detach() - before


def convolution() -> nn.Module:
    torch.manual_seed(1)
    return nn.Conv2d(4, 6, 3, bias=False)


def noise(steps: int) -> list[Tensor]:
    torch.manual_seed(2)
    return [torch.randn(SHAPE) for _ in range(steps)]


@pytest.mark.parametrize(
    ("precision", "native", "bf16"),
    [
        ("auto", True, True),
        ("auto", False, False),
        ("fp32", True, False),
        ("fp32", False, False),
        ("bf16", False, True),
    ],
)
def test_muon_is_orthogonal_in_the_precision_of_the_training(precision, native, bf16, native_bf16):
    native_bf16(native)
    change = moved(optimizer_of(convolution(), MUON, precision), noise(3))
    exact = torch.from_numpy(muon(noise(3), 0.9)).float()
    theirs = Muon(convolution().parameters(), lr=RATE, momentum=0.9, weight_decay=0, nesterov=True)
    expected, other = (moved(theirs, noise(3)), exact) if bf16 else (exact, moved(theirs, noise(3)))
    assert torch.allclose(change, expected, rtol=0, atol=1e-5 * exact.abs().max())
    assert not torch.allclose(change, other, rtol=0, atol=1e-4 * exact.abs().max())


@pytest.mark.parametrize(("first", "then"), [(True, False), (False, True)])
def test_muon_goes_on_from_the_state_of_another_precision(first, then, native_bf16):
    """A run that began on a processor with bf16 is resumed on one without, or the other way."""
    gradients = noise(4)
    model = convolution()
    native_bf16(first)
    begun = optimizer_of(model, MUON)
    moved(begun, gradients[:2])
    at_once, state = copy.deepcopy(model), copy.deepcopy(begun.state_dict())
    straight = optimizer_of(at_once, MUON)
    straight.load_state_dict(copy.deepcopy(state))
    native_bf16(then)
    resumed = optimizer_of(model, MUON)
    resumed.load_state_dict(copy.deepcopy(state))
    change, expected = moved(resumed, gradients[2:]), moved(straight, gradients[2:])
    assert 0 < (change - expected).norm() < 0.02 * expected.norm()
    after = resumed.state_dict()
    assert [group.keys() for group in after["param_groups"]] == [
        group.keys() for group in state["param_groups"]
    ]
    assert {i: s.keys() for i, s in after["state"].items()} == {
        i: s.keys() for i, s in state["state"].items()
    }


def test_timm_s_own_step_gets_no_matrix(monkeypatch):
    """It would make it orthogonal in bf16, whatever the processor."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a matrix reached timm's step")

    monkeypatch.setattr("timm.optim.muon.muon", refuse)
    assert all(step.any() for step in changes(MUON).values())
    with pytest.raises(AssertionError, match="matrix"):
        moved(Muon(convolution().parameters(), lr=RATE), noise(1))


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
