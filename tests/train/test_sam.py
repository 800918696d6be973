import copy

import pytest
import torch
from torch.nn.functional import cross_entropy

from mien.errors import RecipeError
from mien.models import build
from mien.recipe import load_recipe
from mien.train.sam import sharpness_aware, uphill

LABELS = torch.arange(8) % 7


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    options = {"widths": [8, 16], "blocks": 1, "hidden": 16, "dropout": 0.5}
    return build("attention", classes=7, channels=1, **options).train()


def images() -> torch.Tensor:
    return torch.rand(8, 1, 48, 48, generator=torch.Generator().manual_seed(1))


def loss_of(model: torch.nn.Module) -> torch.Tensor:
    model.zero_grad()
    loss = cross_entropy(model(images()), LABELS)
    loss.backward()
    return loss


def gradients(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def weights(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def both_passes(model: torch.nn.Module, rho: float) -> torch.Tensor:
    torch.manual_seed(2)
    return sharpness_aware(lambda: loss_of(model), lambda: loss_of(model), model, rho)()


@pytest.mark.parametrize("rho", [0.05, 0.5])
def test_the_weights_move_by_rho_along_the_gradient_and_come_back(rho):
    model = network()
    loss_of(model)
    before, slope = weights(model), gradients(model)
    with uphill(model, rho):
        moved = weights(model) - before
    assert float(moved.norm()) == pytest.approx(rho, rel=1e-3)
    assert torch.allclose(moved, slope * rho / slope.norm(), atol=1e-6)
    assert torch.equal(weights(model), before)


def test_the_gradients_left_are_those_uphill_and_the_loss_the_one_here():
    model, by_hand = network(), network()
    loss = both_passes(model, 0.5)
    torch.manual_seed(2)
    here = loss_of(by_hand)
    with uphill(by_hand, 0.5):
        torch.manual_seed(2)  # dropout drops the same units
        there = loss_of(by_hand)
    assert torch.equal(loss, here)
    assert there > here
    assert torch.allclose(gradients(model), gradients(by_hand), atol=1e-7)


def test_a_batch_is_counted_once_in_the_running_statistics():
    model, plain = network(), network()
    both_passes(model, 0.5)
    torch.manual_seed(2)
    loss_of(plain)
    for (name, ours), theirs in zip(model.named_buffers(), plain.buffers(), strict=True):
        if "num_batches" not in name:
            assert torch.equal(ours, theirs), name


def test_without_a_slope_nothing_moves_and_nothing_breaks():
    model = network()
    loss_of(model)
    for p in model.parameters():
        p.grad.zero_()
    before = weights(copy.deepcopy(model))
    with uphill(model, 0.5):
        assert torch.equal(weights(model), before)


def test_accumulated_batches_are_refused_with_what_to_do():
    changes = ["training.optimizer.sam=0.05", "training.accumulate=2"]
    with pytest.raises(RecipeError, match=r"add --set training\.accumulate=1 or") as caught:
        load_recipe("drawn", changes)
    assert len(str(caught.value)) < 250
