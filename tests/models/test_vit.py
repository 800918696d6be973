import pytest
import torch

from mien.errors import RecipeError, WeightsError
from mien.models import build

SMALL = {"stem": [4, 8], "width": 24, "depth": 2}


def test_a_token_is_a_place_of_the_stem_s_last_map():
    model = build("vit", classes=7, channels=1, size_px=48, **SMALL).eval()
    assert len(model.features.body.blocks) == 2
    with torch.no_grad():
        assert model.features(torch.zeros(2, 1, 48, 48)).shape == (2, 24, 12, 12)
        assert model.features(torch.zeros(2, 1, 32, 32)).shape == (2, 24, 8, 8), "small pictures"


def test_faces_are_told_apart_by_where_things_lie():
    """Without positions, a transformer would answer alike to exchanged rows of places."""
    torch.manual_seed(0)
    model = build("vit", classes=7, channels=1, size_px=16, **{**SMALL, "stem": [4]}).eval()
    model.features.body.pos_embed.data.normal_()
    tokens = torch.randn(1, 24, 8, 8)
    stem = model.features.body.patch_embed
    stem.register_forward_hook(lambda *_: tokens.permute(0, 2, 3, 1))
    with torch.no_grad():
        before = model(torch.zeros(1, 1, 16, 16))
        tokens = tokens.flip(2)
        assert not torch.allclose(model(torch.zeros(1, 1, 16, 16)), before, atol=1e-3)


def test_a_checkpoint_fits_pictures_of_its_own_size(tmp_path):
    source = build("vit", classes=7, channels=1, size_px=32, **SMALL)
    torch.save(source.state_dict(), path := tmp_path / "vit.pt")
    found = build("vit", classes=7, channels=1, size_px=32, weights=str(path), **SMALL)
    assert torch.equal(found.features.body.pos_embed, source.features.body.pos_embed)
    with pytest.raises(WeightsError, match=r"vit\.pt holds no weights of this network"):
        build("vit", classes=7, channels=1, size_px=48, weights=str(path), **SMALL)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 100}, "expected a width that is a multiple of heads, got 100 and 3"),
        ({"stem": []}, r"options\.stem"),
        ({"drop_path": -1}, r"options\.drop_path"),
    ],
)
def test_options_that_do_not_fit_are_told(options, message):
    with pytest.raises(RecipeError, match=message):
        build("vit", classes=7, channels=1, **options)
