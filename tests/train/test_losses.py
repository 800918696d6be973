import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from mien.recipes.schema import Loss
from mien.train.losses import loss_of

LABELS = torch.tensor([0, 1, 1, 2, 2, 2])
WEIGHTS = torch.tensor([2.0, 1.0, 0.5])


def logits() -> torch.Tensor:
    return torch.randn(6, 3, generator=torch.Generator().manual_seed(0))


def votes() -> torch.Tensor:
    return torch.rand(6, 3, generator=torch.Generator().manual_seed(1)).softmax(1)


@pytest.mark.parametrize("answers", [LABELS, votes()], ids=["labels", "probabilities"])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("smoothing", [0, 0.1])
def test_a_focus_near_none_is_cross_entropy(answers, weights, smoothing):
    expected = cross_entropy(logits(), answers, weights, label_smoothing=smoothing)
    for focal in (0, 1e-9):
        wanted = Loss(focal=focal, label_smoothing=smoothing)
        assert loss_of(logits(), answers, wanted, weights).item() == pytest.approx(expected.item())


def test_the_focal_loss_is_that_of_its_paper():
    of_the_label = logits().softmax(1)[torch.arange(6), LABELS]
    expected = -((1 - of_the_label) ** 2 * of_the_label.log()).mean()
    assert loss_of(logits(), LABELS, Loss(focal=2)).item() == pytest.approx(expected.item())


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_classes_are_weighed_and_labels_smoothed_in_the_focal_loss_too(weights, smoothing):
    """Summed image by image; weighed labels are averaged by their weights, as in torch."""
    total, by = 0.0, 0.0
    for row, label in zip(logits().softmax(1).tolist(), LABELS.tolist(), strict=True):
        by += 1 if weights is None else float(weights[label])
        for c, p in enumerate(row):
            target = (1 - smoothing) * (c == label) + smoothing / 3
            weight = 1 if weights is None else float(weights[c])
            total -= weight * target * (1 - p) ** 2 * math.log(p)
    wanted = Loss(focal=2, label_smoothing=smoothing)
    assert loss_of(logits(), LABELS, wanted, weights).item() == pytest.approx(total / by)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_probabilities_are_averaged_by_the_number_of_images(weights):
    shares = votes()
    p = logits().softmax(1)
    parts = shares * (1 - p) ** 0.5 * p.log() * (1 if weights is None else weights)
    found = loss_of(logits(), shares, Loss(focal=0.5), weights)
    assert found.item() == pytest.approx(-parts.sum().item() / 6)


def test_what_is_already_right_weighs_less_the_more_focus():
    easy, hard = torch.tensor([[4.0, 0.0, 0.0]]), torch.tensor([[0.0, 1.0, 0.0]])
    label = torch.tensor([0])
    shares = [
        (loss_of(easy, label, Loss(focal=f)) / loss_of(hard, label, Loss(focal=f))).item()
        for f in (0, 0.5, 1, 2, 5)
    ]
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] < 1e-6 < shares[0]


@pytest.mark.parametrize("focal", [0.5, 1.0, 2.0])
def test_gradients_are_finite_where_the_network_is_certain(focal):
    certain = torch.tensor([[200.0, 0.0, 0.0], [-200.0, 0.0, 0.0]], requires_grad=True)
    loss_of(certain, torch.tensor([0, 0]), Loss(focal=focal)).backward()
    assert certain.grad.isfinite().all()
    assert certain.grad[1, 0] < -0.4
