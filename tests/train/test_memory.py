import copy

import pytest
import torch
from torch.nn.functional import cross_entropy

from mien.models import build, names
from mien.train.memory import checkpoint_activations

BLOCKS = {
    "attention": 8,
    "efficientnet-lite0": 16,
    "face-mobilenet": 13,
    "face-resnet": 13,
    "facenet": 30,
    "mien-m": 5,
    "mien-s": 5,
    "mobilenetv2": 17,
    "resnet50": 16,
}


def a_step(model: torch.nn.Module, images: torch.Tensor) -> tuple[list[torch.Tensor], int]:
    """The gradients of a step, and how many values autograd kept for them."""
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.data_ptr()] = tensor.numel()
        return tensor

    model.train()
    torch.manual_seed(1)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = cross_entropy(model(images), torch.arange(len(images)) % 7)
    size = sum(kept.values())
    loss.backward()
    return [p.grad for p in model.parameters()], size


@pytest.mark.parametrize("name", names())
def test_recomputing_activations_changes_memory_and_nothing_else(name: str):
    torch.manual_seed(0)
    plain = build(name, classes=7, channels=1)
    thrifty = copy.deepcopy(plain)
    assert checkpoint_activations(thrifty) == BLOCKS[name]
    images = torch.rand(4, 1, 64, 64)
    expected, size = a_step(plain, images)
    found, smaller = a_step(thrifty, images)
    assert smaller < 0.75 * size
    for ours, theirs in zip(found, expected, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-6)
    ours, theirs = thrifty.state_dict(), plain.state_dict()
    assert ours.keys() == theirs.keys()
    for key in theirs:
        if "num_batches" not in key:
            assert torch.equal(ours[key], theirs[key]), f"{key}: a batch counted twice"
