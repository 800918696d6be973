"""Attacks in training: how far they go, what they find, and that they leave the network alone."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from mien.preprocess import Preprocess
from mien.recipes import load_recipe
from mien.recipes.schema import Adversarial
from mien.train.adversarial import attacked, difference
from mien.train.module import Fit

LABELS = torch.arange(16) % 7
COLOUR = Preprocess(16, (0.1, 0.2, 0.3), (0.5, 1.0, 2.0), 16)
names = pytest.mark.parametrize("name", ["fgsm", "pgd", "trades"])


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5))
    return nn.Sequential(*layers, nn.Linear(8 * 49, 7))


def pixels() -> torch.Tensor:
    return torch.rand(16, 1, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("epsilon", [1, 4])
@names
def test_no_pixel_goes_further_than_epsilon_and_the_loss_grows(name, epsilon, model):
    model.eval()
    images = pixels()

    def loss(found: torch.Tensor) -> torch.Tensor:
        return cross_entropy(model(COLOUR.normalise(found)), LABELS)

    found = attacked(images, loss, Adversarial(name=name, epsilon=epsilon))
    assert (found - images).abs().max() <= epsilon / 255 + 1e-6
    assert 0 <= found.min() <= found.max() <= 1
    assert not found.requires_grad
    assert loss(found) > loss(images)


def test_more_steps_find_more(model):
    model.eval()
    images = pixels()

    def loss(found: torch.Tensor) -> torch.Tensor:
        return cross_entropy(model(COLOUR.normalise(found)).relu(), LABELS)

    losses = []
    for steps in (1, 20):
        torch.manual_seed(0)
        found = attacked(images, loss, Adversarial(name="pgd", epsilon=4, steps=steps))
        losses.append(float(loss(found).detach()))
    assert losses[1] > losses[0]


def fit(model: nn.Module, monkeypatch, **adversarial: object) -> Fit:
    monkeypatch.setattr(Fit, "log", lambda *_, **__: None)
    recipe = load_recipe("mien-s")
    training = recipe.training.model_copy(update={"adversarial": Adversarial(**adversarial)})
    recipe = recipe.model_copy(update={"training": training})
    return Fit(recipe, model, COLOUR, None, 1).train()


@names
def test_the_share_is_attacked_and_the_search_leaves_no_trace(name, model, monkeypatch):
    some = fit(model, monkeypatch, name=name, share=0.25)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    images = COLOUR.normalise(pixels())
    seen = some._attacked(images, LABELS)
    assert len(seen) == (20 if name == "trades" else 16)
    changed = seen[16:] if name == "trades" else seen[:4]
    kept = (seen[:16], images) if name == "trades" else (seen[4:], images[4:])
    assert torch.equal(*kept)
    moved = (changed - images[:4]) * torch.tensor(COLOUR.std)[:, None, None]
    assert 0 < moved.abs().max() <= 1 / 255 + 1e-5
    assert torch.allclose(moved[:, :1], moved, atol=1e-5), "channels stay one grey picture"
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_trades_weighs_how_far_the_answers_differ(model, monkeypatch):
    batch = (COLOUR.normalise(pixels()), torch.empty(16, 0), LABELS, LABELS)
    losses = []
    for weight in (1, 2, 4):
        torch.manual_seed(0)
        some = fit(copy.deepcopy(model), monkeypatch, name="trades", weight=weight, epsilon=8)
        losses.append(float(some.training_step(batch, 0).detach()))
    assert 0 < losses[1] - losses[0] == pytest.approx((losses[2] - losses[1]) / 2, rel=1e-3)


def test_the_difference_of_answers_is_their_divergence():
    one, other = torch.tensor([[0.2, 0.8], [0.5, 0.5]]), torch.tensor([[0.4, 0.6], [0.5, 0.5]])
    expected = (other * (other / one).log()).sum(1).mean()
    assert difference(one.log(), other.log()) == pytest.approx(float(expected))
    assert difference(one.log(), one.log() + 3) == pytest.approx(0, abs=1e-6)
