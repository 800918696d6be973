import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d

from mien.models.layers import (
    CBAM,
    Block,
    ChannelAttention,
    SelfAttention,
    SpatialAttention,
    stages,
    stem,
)


def by_the_paper(block: CBAM, x: torch.Tensor) -> torch.Tensor:
    """Equations 1-3 of the paper: F' = Mc(F) * F and F'' = Ms(F') * F'."""
    channel, spatial = block
    first, _, second = channel.mlp
    w0, b0 = first.weight[:, :, 0, 0], first.bias
    w1, b1 = second.weight[:, :, 0, 0], second.bias

    def mlp(pooled: torch.Tensor) -> torch.Tensor:
        return torch.relu(pooled @ w0.T + b0) @ w1.T + b1

    flat = x.flatten(2)
    mc = torch.sigmoid(mlp(flat.mean(2)) + mlp(flat.max(2).values))
    refined = mc[:, :, None, None] * x
    pooled = torch.stack([refined.mean(1), refined.max(1).values], 1)
    mapped = conv2d(pooled, spatial.conv.weight, padding=3)
    norm = spatial.norm
    scaled = (mapped - norm.running_mean) / (norm.running_var + norm.eps).sqrt()
    return torch.sigmoid(scaled * norm.weight + norm.bias) * refined


@pytest.mark.parametrize("channels", [8, 32, 64])
@pytest.mark.parametrize("size", [(6, 6), (3, 9), (1, 1)])
def test_cbam_computes_the_paper_s_formula(channels, size):
    torch.manual_seed(0)
    block = CBAM(channels).eval()
    block[1].norm.running_mean.fill_(0.3)
    block[1].norm.running_var.fill_(2.0)
    x = torch.randn(2, channels, *size)
    with torch.no_grad():
        assert torch.allclose(block(x), by_the_paper(block, x), atol=1e-6)


def test_the_reduction_keeps_some_hidden_units():
    assert ChannelAttention(8).mlp[0].out_channels == 4
    assert ChannelAttention(256).mlp[0].out_channels == 32


def test_the_spatial_map_is_a_picture_of_weights():
    looked = SpatialAttention().eval().map(torch.randn(2, 8, 5, 7)).detach()
    assert looked.shape == (2, 1, 5, 7)
    assert 0 <= float(looked.min()) <= float(looked.max()) <= 1


def attending(reach: int = 12) -> SelfAttention:
    torch.manual_seed(0)
    layer = SelfAttention(8, 2, reach=reach, each=4).eval()
    for weight in (layer.rows, layer.columns, layer.outward.weight):
        weight.data.normal_()
    return layer


def by_places(layer: SelfAttention, x: torch.Tensor) -> torch.Tensor:
    """Vaswani et al. (2017), equation 1, with q (k + r) for q k (Srinivas et al. 2021)."""
    out, (height, width) = x.clone(), x.shape[2:]
    query, key, value = layer.inward(layer.norm(x))[0].unflatten(0, (3, 2, 4))
    places = [(y, x) for y in range(height) for x in range(width)]
    for y, x_ in places:
        heads = []
        for head in range(2):
            q = query[head, :, y, x_] / 2  # the root of 4 values
            steps = [(j - y, i - x_) for j, i in places]
            apart = [
                layer.rows[max(-layer.reach, min(layer.reach, down)) + layer.reach]
                + layer.columns[max(-layer.reach, min(layer.reach, right)) + layer.reach]
                for down, right in steps
            ]
            logits = [q @ (key[head, :, j, i] + r) for (j, i), r in zip(places, apart, strict=True)]
            shares = torch.stack(logits).softmax(0)
            there = torch.stack([value[head, :, j, i] for j, i in places])
            heads.append(shares @ there)
        out[0, :, y, x_] += layer.outward.weight[:, :, 0, 0] @ torch.cat(heads) + layer.outward.bias
    return out


@pytest.mark.parametrize(("side", "reach"), [((3, 4), 12), ((3, 4), 1)])
def test_self_attention_computes_the_papers_formulas(side, reach):
    layer, x = attending(reach), torch.randn(1, 8, *side)
    with torch.no_grad():
        assert torch.allclose(layer(x), by_places(layer, x), atol=1e-5)


def test_self_attention_adds_nothing_at_first_and_learns_from_there():
    layer, x = SelfAttention(8, 2), torch.randn(2, 8, 3, 3)
    assert torch.equal(layer(x), x)
    layer(x).square().sum().backward()
    assert layer.outward.weight.grad.any()


def test_self_attention_has_a_map_of_what_is_looked_at_most():
    looked = attending().map(torch.randn(2, 8, 3, 5)).detach()
    assert looked.shape == (2, 1, 3, 5)
    assert looked.amax((1, 2, 3)).tolist() == [1, 1]
    assert looked.min() > 0


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
    layers = list(stages(1, (4, 8, 16), (2, 2, 2), end=CBAM).eval())
    assert [type(m).__name__ for m in layers[4:]] == ["Block", "Block", "CBAM"] * 3
    x, sides = torch.zeros(1, 1, 48, 48), []
    for layer in layers:
        x = layer(x)
        sides.append(tuple(x.shape[1:3]))
    assert sides[3:] == [(4, 24)] * 4 + [(8, 12)] * 3 + [(16, 6)] * 3
