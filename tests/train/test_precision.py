import copy

import pytest
import torch
from torch import nn

from mien.models import build
from mien.train.precision import in_bf16, keep_depthwise_in_fp32

DEPTHWISE = {"efficientnet-lite0": 16, "mien-s": 0, "mobilenetv2": 17}


@pytest.mark.parametrize("name", DEPTHWISE)
def test_depthwise_convolutions_leave_bf16_and_nothing_else_changes(name: str):
    torch.manual_seed(0)
    plain = build(name, classes=7, channels=1).eval()
    changed = copy.deepcopy(plain)
    assert keep_depthwise_in_fp32(changed) == DEPTHWISE[name]
    changed = copy.deepcopy(changed)  # as averaging of weights does
    assert changed.state_dict().keys() == plain.state_dict().keys()
    images = torch.rand(2, 1, 48, 48)
    assert torch.equal(changed(images), plain(images)), "without autocast nothing may change"

    kinds: dict[bool, set[torch.dtype]] = {True: set(), False: set()}
    for part in changed.modules():
        if isinstance(part, nn.Conv2d):
            part.register_forward_hook(
                lambda m, _, output: kinds[m.groups == m.in_channels > 1].add(output.dtype)
            )
    with torch.autocast("cpu", torch.bfloat16):
        logits = changed(images)
    assert kinds[False] == {torch.bfloat16}
    assert kinds[True] == ({torch.float32} if DEPTHWISE[name] else set())
    logits.float().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in changed.parameters())


@pytest.mark.parametrize("there", [True, False])
def test_a_recipe_that_names_a_precision_gets_it(there, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: there)
    assert in_bf16("bf16") is True
    assert in_bf16("fp32") is False


@pytest.mark.parametrize(
    ("cuda", "avx512", "amx", "expected"),
    [
        (None, False, False, False),
        (None, True, False, False),
        (None, False, True, True),
        (False, True, True, False),
        (True, False, False, True),
    ],
)
def test_auto_asks_the_device_whether_bf16_is_faster(cuda, avx512, amx, expected, monkeypatch):
    """`cuda`: None without a card, else whether the card computes it without emulation."""

    def supported(including_emulation: bool = True) -> bool:
        return True if including_emulation else bool(cuda)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda is not None)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)
    assert in_bf16("auto") is expected


def test_a_torch_that_cannot_tell_is_taken_for_one_without(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported", raising=False)
    assert in_bf16("auto") is False
