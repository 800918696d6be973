"""What comes after the features of every network."""

import pytest
import torch
from torch import nn

from mien.models.heads import Classifier, Mean, dense
from mien.models.layers import CBAM


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
