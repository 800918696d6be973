"""What networks share: pooling and head; and the blocks of the networks of mien's own."""

import pytest
import torch
from torch import nn

from mien.models import build
from mien.models.attention import Block, stem
from mien.models.cbam import CBAM
from mien.models.classifier import Classifier, Mean, dense


def told(layers: nn.Module) -> list[object]:
    """Kind of each layer, with its probability or its width."""
    return [(type(m).__name__, getattr(m, "p", getattr(m, "out_features", None))) for m in layers]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"dropout": 0}, [("Linear", 7)]),
        ({"dropout": 0.3}, [("Dropout", 0.3), ("Linear", 7)]),
        ({"dropout": 0, "hidden": 5}, [("Linear", 5), ("ReLU", None), ("Linear", 7)]),
        (
            {"hidden": 5, "dropout": 0.3, "first": 0.2},
            [("Dropout", 0.2), ("Linear", 5), ("ReLU", None), ("Dropout", 0.3), ("Linear", 7)],
        ),
    ],
)
def test_the_head_is_built_as_asked(options, expected):
    model = Classifier(nn.Identity(), dense(4, 7, **options))
    assert told(model.head) == expected
    assert model(torch.zeros(2, 4, 3, 5)).shape == (2, 7)


def test_logits_are_the_head_s_answer_to_the_mean_of_what_attention_leaves():
    torch.manual_seed(0)
    model = Classifier(nn.ReLU(), dense(4, 7, 0), attention=CBAM(4)).eval()
    x = torch.randn(2, 4, 3, 5)
    expected = model.head(model.attention(torch.relu(x)).mean((2, 3)))
    assert torch.equal(model(x), expected)
    assert isinstance(Classifier(nn.ReLU(), dense(4, 7, 0)).attention, nn.Identity)


@pytest.mark.parametrize("frozen", [True, False])
def test_frozen_features_stay_in_evaluation_and_the_head_does_not(frozen):
    features = nn.Sequential(nn.Conv2d(1, 4, 1), nn.BatchNorm2d(4))
    model = Classifier(features, dense(4, 7, 0.5), frozen=frozen)
    assert features.training is not frozen
    assert {p.requires_grad for p in features.parameters()} == {not frozen}
    assert all(p.requires_grad for p in model.head.parameters())
    assert model.train() is model
    assert (features.training, model.head.training) == (not frozen, True)
    model.eval()
    assert (features.training, model.head.training) == (False, False)


def test_means_are_over_places_alone():
    x = torch.arange(24.0).view(2, 2, 2, 3)
    assert Mean()(x).tolist() == [[2.5, 8.5], [14.5, 20.5]]


@pytest.mark.parametrize(("residual", "gated"), [(True, False), (False, False), (True, True)])
def test_a_block_adds_what_came_in_before_its_last_activation(residual, gated):
    torch.manual_seed(0)
    gate = nn.Softplus() if gated else None
    block = Block(4, 4, 1, residual=residual, gate=gate).eval()
    x = torch.randn(2, 4, 5, 5)
    inside = block.body(x)
    inside = gate(inside) if gated else inside
    assert torch.equal(block(x), torch.relu(inside + x if residual else inside))
    assert not list(block.shortcut.parameters() if residual else [])


@pytest.mark.parametrize("side", [8, 9])
def test_a_block_halves_by_its_first_convolution_and_the_shortcut_by_a_mean(side):
    block = Block(3, 5, 2).eval()
    assert [m.stride[0] for m in block.body if isinstance(m, nn.Conv2d)] == [2, 1]
    assert all(m.bias is None for m in block.modules() if isinstance(m, nn.Conv2d))
    assert [type(m).__name__ for m in block.shortcut] == ["AvgPool2d", "Conv2d", "BatchNorm2d"]
    assert block(torch.zeros(1, 3, side, side)).shape == (1, 5, -(-side // 2), -(-side // 2))
    whole = Block(3, 5, 1).eval()
    assert [type(m).__name__ for m in whole.shortcut] == ["Identity", "Conv2d", "BatchNorm2d"]
    assert whole(torch.zeros(1, 3, side, side)).shape == (1, 5, side, side)


def test_a_stem_s_pooling_may_come_before_its_norm():
    torch.manual_seed(0)
    convolution, pooling, norm, activation = stem(1, 3)
    norm.eval()
    norm.running_mean.fill_(0.1)
    x = torch.randn(1, 1, 16, 16)
    found = activation(norm(pooling(convolution(x))))
    assert found.shape == (1, 3, 8, 8)
    assert torch.equal(found, pooling(activation(norm(convolution(x)))))


def test_stages_halve_the_picture_but_for_the_first_and_attend_at_their_ends():
    options = {"widths": (4, 8, 16), "blocks": 2}
    layers = list(build("attention", classes=7, channels=1, **options).eval().features)
    assert [type(m).__name__ for m in layers[4:]] == ["Block", "Block", "CBAM"] * 3
    x, sides = torch.zeros(1, 1, 48, 48), []
    for layer in layers:
        x = layer(x)
        sides.append(tuple(x.shape[1:3]))
    assert sides[3:] == [(4, 24)] * 4 + [(8, 12)] * 3 + [(16, 6)] * 3
