from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("captum")

import torch

from mien.errors import InputError
from mien.explain.network import COARSEST_PX, Attention, GradCAM, _last_fine
from mien.preprocess import Preprocess
from mien.runs import RunFolder
from tests.explain.conftest import TINY

Make = Callable[[str], Path]


def test_gradcam_is_that_of_the_paper(make_run: Make, face: np.ndarray):
    """Feature maps weighted by their mean gradient, what is negative dropped; `mien-s` ends in
    pooling and one dense layer, whose weights are those gradients."""
    run = make_run("mien-s")
    folder = RunFolder(run)
    network = folder.network()
    with torch.no_grad():
        maps = network.features(torch.from_numpy(folder.preprocess(face[None])))[0]
    for label in range(7):
        coarse = torch.relu(torch.tensordot(network.head[-1].weight[label], maps, 1))
        expected = torch.nn.functional.interpolate(
            (coarse / coarse.max().clamp(min=1e-12))[None, None], (48, 48), mode="bilinear"
        )[0, 0]
        found = GradCAM(RunFolder(run))(face, label)
        assert found.dtype == np.float32
        assert np.allclose(found, expected.detach().numpy(), atol=1e-5)


@pytest.mark.parametrize("name", TINY)
def test_gradcam_maps_every_kind_of_network(make_run: Make, face: np.ndarray, name: str):
    found = GradCAM(RunFolder(make_run(name)))(face, 3)
    assert found.shape == (48, 48)
    assert 0 <= found.min() <= found.max() <= 1


@pytest.mark.parametrize("name", TINY)
def test_the_layer_is_the_last_that_is_fine_enough(make_run: Make, name: str):
    folder = RunFolder(make_run(name))
    network = folder.network()
    shapes = []
    layer = _last_fine(network, folder.preprocess)
    layer.register_forward_hook(lambda *call: shapes.append(call[2].shape[2:]))
    size = folder.preprocess.size_px
    with torch.no_grad():
        network(torch.zeros(1, folder.preprocess.channels, size, size))
    (side, _), *_ = shapes
    assert COARSEST_PX <= side < 2 * COARSEST_PX or name in ("mien-s", "timm/test_resnet")


def test_a_tiny_picture_has_its_finest_map():
    network = torch.nn.Module()
    network.features = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3, 2), torch.nn.Conv2d(2, 2, 3))
    network.attention = torch.nn.Identity()
    network.forward = lambda x: network.attention(network.features(x))
    assert _last_fine(network, Preprocess(8, (0.0,), (1.0,))) is network.features[0]


def test_attention_is_the_mean_of_what_the_blocks_multiply_by(make_run: Make, face: np.ndarray):
    run = make_run("attention")
    found = Attention(RunFolder(run))(face, 0)
    assert found.dtype == np.float32
    assert 0 < found.min() < found.max() < 1
    folder = RunFolder(run)
    network = folder.network()
    maps = []
    x = torch.from_numpy(folder.preprocess(face[None]))
    with torch.no_grad():
        for layer in network.features:
            if type(layer).__name__ == "CBAM":
                gated = layer[0](x)
                scaled = (layer[1](gated) / gated)[0].nanmean(0)
                maps.append(
                    torch.nn.functional.interpolate(scaled[None, None], (48, 48), mode="bilinear")
                )
            x = layer(x)
    assert len(maps) == 4
    assert np.allclose(found, torch.stack(maps).mean(0)[0, 0].numpy(), atol=1e-4)


def test_a_transformer_shows_how_much_of_each_place_comes_through(make_run: Make, face: np.ndarray):
    """Rollout by the paper: half of a block's answer is its own token's, by the shortcut."""
    folder = RunFolder(make_run("vit"))
    body = folder.network().features.body
    with torch.no_grad():
        tokens = body.patch_embed(torch.from_numpy(folder.preprocess(face[None]))).flatten(1, 2)
        tokens, rolled = tokens + body.pos_embed, torch.eye(36)
        for block in body.blocks:
            heads = block.attn.qkv(block.norm1(tokens))[0].unflatten(1, (3, 3, 8))
            query, key, _ = heads.permute(1, 2, 0, 3)
            weights = (query @ key.mT / 8**0.5).softmax(-1).mean(0)
            rolled, tokens = (weights / 2 + torch.eye(36) / 2) @ rolled, block(tokens)
    coarse = rolled.mean(0).view(6, 6)
    found = Attention(folder)(face, 0)
    assert (found.shape, found.dtype) == ((48, 48), np.float32)
    expected = torch.nn.functional.interpolate(
        (coarse / coarse.max())[None, None], (48, 48), mode="bilinear"
    )[0, 0]
    assert np.allclose(found, expected.numpy(), atol=1e-5)


def test_self_attention_shows_what_is_looked_at_most(make_run: Make, face: np.ndarray):
    folder = RunFolder(make_run("timm/test_resnet"))
    network = folder.network()
    with torch.no_grad():
        features = network.features(torch.from_numpy(folder.preprocess(face[None])))
        coarse = network.attention[0].map(features)
    expected = torch.nn.functional.interpolate(coarse, (48, 48), mode="bilinear")[0, 0]
    assert np.allclose(Attention(folder)(face, 0), expected.numpy(), atol=1e-5)


def test_the_first_tokens_of_a_transformer_are_no_places(make_run: Make, face: np.ndarray):
    found = Attention(RunFolder(make_run("timm/test_vit")))(face, 0)
    assert 0 < found.min() < found.max() == pytest.approx(1, abs=0.01)


def test_nothing_listens_to_the_network_afterwards(make_run: Make, face: np.ndarray):
    attention = Attention(RunFolder(make_run("attention")))
    first = attention(face, 0)
    assert (attention(face, 0) == first).all()
    assert not any(part._forward_hooks for part in attention._network.modules())


@pytest.mark.parametrize("name", ["mien-s", "timm/swin_tiny_patch4_window7_224"])
def test_a_network_without_attention_over_all_places_says_so(make_run: Make, name: str):
    with pytest.raises(InputError, match=f"{name} has no spatial attention"):
        Attention(RunFolder(make_run(name)))
