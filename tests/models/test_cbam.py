import pytest
import torch
from torch.nn.functional import conv2d

from mien.models.cbam import CBAM, ChannelAttention, SpatialAttention


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
