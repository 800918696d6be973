"""Any network of timm by `timm/NAME`. Those called test_... are timm's own small ones."""

from pathlib import Path

import pytest
import timm
import torch
from torch import nn

from mien.errors import RecipeError, WeightsError
from mien.models import build, entry

DEPTHS = {"depths": [1, 1, 1, 1]}
FAMILIES: dict[str, tuple[dict[str, object], int | None]] = {
    # name: (timm's arguments, side of the map at 64 px)
    "test_resnet": ({}, 2),
    "test_efficientnet": ({}, 2),
    "test_convnext": ({}, 2),
    "test_nfnet": ({}, 2),
    "test_byobnet": ({}, 2),
    "test_vit": ({}, 4),
    "test_mambaout": ({}, 2),
    "test_maxvit": ({}, 2),
    "test_coatnet": ({}, 2),
    "swin_tiny_patch4_window7_224": ({"embed_dim": 24, "depths": [1, 1]}, 8),
    "mobilenetv3_small_050": ({}, 2),
    "mobilenetv4_conv_small_050": ({}, 2),
    "regnetx_002": ({}, 2),
    "ghostnet_050": ({}, 2),
    "edgenext_xx_small": ({}, 2),
    "xcit_nano_12_p16_224": ({"depth": 1}, 4),
    "mixer_s32_224": ({}, 2),
    "inception_next_atto": (DEPTHS, 2),
    "pvt_v2_b0": ({}, 2),
    "crossvit_9_240": ({"img_size": 240, "depth": [[1, 1, 0]]}, None),
}


def built(name: str, size_px: int = 64, channels: int = 1, **more: object) -> nn.Module:
    torch.manual_seed(0)
    return build(f"timm/{name}", classes=7, channels=channels, size_px=size_px, **more)


def trained_alike(name: str, path: Path, **shape: object) -> nn.Module:
    """A network of timm with random weights, which are written to `path`."""
    torch.manual_seed(1)
    source = timm.create_model(name, pretrained=False, **shape).eval()
    torch.save(source.state_dict(), path)
    return source


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_learns_and_has_a_map_if_its_features_have_places(name):
    arguments, side = FAMILIES[name]
    size_px = 240 if side is None else 64
    model = built(name, size_px, arguments=arguments, dropout=0.0).train()
    faces = torch.randn(2, 1, size_px, size_px)
    logits = model(faces)
    assert logits.shape == (2, 7)
    logits.square().sum().backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []
    as_map = model.features.as_map(model.features(faces))
    assert (None if as_map is None else tuple(as_map.shape[2:])) == (side and (side, side))


@pytest.mark.parametrize("name", ["test_convnext", "mobilenetv3_small_050", "test_vit2"])
def test_features_are_pooled_as_timm_pools_them(tmp_path, name):
    """test_vit2 reads the mean, the others have layers after their pooling."""
    source = trained_alike(name, tmp_path / "weights.pth")
    size_px = timm.get_pretrained_cfg(name).input_size[-1]
    model = built(name, size_px, 3, weights=str(tmp_path / "weights.pth")).eval()
    seen: list[torch.Tensor] = []
    model.head.register_forward_hook(lambda *call: seen.append(call[1][0]))
    faces = torch.randn(2, 3, size_px, size_px)
    with torch.no_grad():
        model(faces)
        expected = source.forward_head(source.forward_features(faces), pre_logits=True)
    assert torch.allclose(seen[0], expected, atol=1e-5)


def test_a_transformer_with_a_class_token_reads_the_mean_of_all_places():
    model = built("test_vit").eval()
    assert model.features.body.global_pool == "token"
    seen: list[torch.Tensor] = []
    model.head.register_forward_hook(lambda *call: seen.append(call[1][0]))
    faces = torch.randn(2, 1, 64, 64)
    with torch.no_grad():
        model(faces)
        tokens = model.features(faces)
    assert torch.allclose(seen[0], tokens[:, 1:].mean(1), atol=1e-6)


def test_positions_of_a_file_are_stretched_to_the_size_of_the_pictures(tmp_path):
    trained_alike("test_vit", tmp_path / "weights.pth")
    model = built("test_vit", 48, weights=str(tmp_path / "weights.pth"))
    assert model.features.body.pos_embed.shape[1] == 1 + 3 * 3
    assert model(torch.randn(2, 1, 48, 48)).shape == (2, 7)


def test_a_file_of_another_network_is_told(tmp_path):
    trained_alike("test_resnet", tmp_path / "weights.pth")
    with pytest.raises(WeightsError, match=r"weights\.pth holds no weights of timm's test_vit"):
        built("test_vit", weights=str(tmp_path / "weights.pth"))


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "swin_tiny_patch4_window7_224"])
@pytest.mark.parametrize("options", [{"cbam": True}, {"self_attention": 2}])
def test_attention_can_be_put_on_maps_and_on_tokens(name, options):
    arguments = FAMILIES[name][0]
    plain = built(name, arguments=arguments)
    model = built(name, arguments=arguments, **options)
    assert {*model.state_dict()} > {*plain.state_dict()}
    faces = torch.randn(2, 1, 64, 64)
    # CBAM dampens what passes; self-attention adds nothing at first.
    same = torch.allclose(model.eval()(faces), plain.eval()(faces), atol=1e-5)
    assert same == ("self_attention" in options)
    model.train()(faces).square().sum().backward()
    assert all(p.grad is not None for p in model.attention.parameters())


def test_drop_path_and_other_arguments_reach_timm():
    model = built("test_vit", drop_path=0.3, arguments={"depth": 3})
    rates = [getattr(block.drop_path1, "drop_prob", 0) for block in model.features.body.blocks]
    assert rates == pytest.approx([0, 0.15, 0.3])
    model = built("test_resnet", frozen=True)
    assert not any(p.requires_grad for p in model.features.parameters())


@pytest.mark.parametrize(
    ("name", "size_px", "options", "message"),
    [
        (
            "convnext_ato",
            64,
            {},
            r"timm has no network 'convnext_ato'; did you mean 'convnext_",
        ),
        ("test_vit", 50, {}, r"test_vit cannot be built for 50 px .*should be divisible"),
        ("test_vit", 64, {"arguments": {"deep": 1}}, r"cannot be built for 64 px .*'deep'"),
        ("test_vit", 64, {"drop_path": 2}, r"options\.drop_path"),
        ("test_vit", 64, {"cbm": True}, r"has no option 'cbm'; did you mean 'cbam'\?"),
        ("crossvit_9_240", 240, {"cbam": True}, "has no feature map to put attention on"),
    ],
)
def test_what_cannot_be_built_is_told_in_one_line(name, size_px, options, message):
    with pytest.raises(RecipeError, match=message) as caught:
        built(name, size_px, **options)
    assert "\n" not in str(caught.value)


def test_the_entry_of_a_network_of_timm_needs_no_list_of_them():
    found = entry("timm/convnext_atto")
    assert (found.name, found.size_px, len(found.mean)) == ("timm/convnext_atto", 48, 3)
    assert {"arguments", "cbam", "drop_path", "dropout", "self_attention"} < set(found.options)
