import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from mien.models import build, names
from mien.train import memory
from mien.train.memory import checkpoint_activations, keep_freed, statistics_kept

BLOCKS = {
    "attention": 8,
    "efficientnet-lite0": 16,
    "face-mobilenet": 13,
    "face-resnet": 13,
    "facenet": 30,
    "mien-l": 6,
    "mien-m": 5,
    "cnn-lstm": 5,
    "frame-mean": 5,
    "temporal-transformer": 6,
    "mien-s": 5,
    "mien-s-wide": 5,
    "mobilenetv2": 17,
    "resnet50": 16,
    "vit": 7,
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
    images = torch.rand(2, 1, 64, 64)
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


def test_a_block_is_a_smallest_part_with_two_norms():
    def block() -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1), nn.BatchNorm2d(1))

    one_norm = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1))
    model = nn.Sequential(one_norm, block(), nn.Sequential(block(), one_norm))
    assert checkpoint_activations(model) == 2
    assert ["forward" in vars(part) for part in (model, model[1], model[2], model[2][0])] == [
        False,
        True,
        False,
        True,
    ]
    assert checkpoint_activations(one_norm) == 0


def test_statistics_stay_within_and_go_on_after_it_even_after_an_error():
    model = nn.Sequential(nn.BatchNorm2d(1, momentum=0.3), nn.BatchNorm1d(1, momentum=0.7))
    before = model[0].running_mean.clone()
    with pytest.raises(ZeroDivisionError), statistics_kept(model):
        model[0].train()(torch.ones(2, 1, 3, 3))
        assert torch.equal(model[0].running_mean, before)
        1 / 0  # noqa: B018
    assert [norm.momentum for norm in model] == [0.3, 0.7]
    model[0](torch.ones(2, 1, 3, 3))
    assert model[0].running_mean.item() == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("system", "libc", "asked"),
    [
        (
            "linux",
            "glibc",
            {"M_TRIM_THRESHOLD": 2**31 - 1, "M_MMAP_THRESHOLD": 2**30, "M_MMAP_MAX": 0},
        ),
        ("linux", "musl", {}),
        ("darwin", "glibc", {}),
    ],
)
def test_glibc_is_asked_to_keep_what_is_freed(system, libc, asked, monkeypatch):
    """The numbers of the options are those of glibc's malloc.h."""
    options = {-1: "M_TRIM_THRESHOLD", -3: "M_MMAP_THRESHOLD", -4: "M_MMAP_MAX"}
    told: dict[str, int] = {}

    class Library:
        def __init__(self, name: str) -> None:
            assert name == "libc.so.6"

        def mallopt(self, option: int, value: int) -> int:
            told[options[option]] = value
            return 1

    monkeypatch.setattr(memory.sys, "platform", system)
    monkeypatch.setattr(memory.platform, "libc_ver", lambda: (libc, "2.36"))
    monkeypatch.setattr(memory.ctypes, "CDLL", Library)
    keep_freed()
    assert told == asked
