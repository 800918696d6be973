"""Networks for clips: what they make of lengths, of order, of a trained encoder."""

import pytest
import torch

from mien.errors import RecipeError, WeightsError
from mien.models import build, entry
from mien.models.clips import Step

TINY = {"encoder": "attention", "encoder_options": {"widths": [4, 8], "blocks": 1, "hidden": 0}}
NAMES = ("frame-mean", "cnn-lstm", "temporal-transformer")


def built(name: str, **more: object) -> torch.nn.Module:
    torch.manual_seed(0)
    return build(name, classes=3, channels=1, **{**TINY, "frames": 6, **more}).eval()


@pytest.mark.parametrize("name", NAMES)
def test_a_clip_read_frame_by_frame_is_the_clip_read_at_once(name):
    """Of any length, also beyond the frames it is trained on, whatever clips it is read with."""
    network, faces = built(name), torch.randn(12, 1, 16, 16)
    lengths = torch.tensor([1, 8, 3])
    with torch.inference_mode():
        together = network(faces, lengths)
        for clip, expected in zip(faces.split(lengths.tolist()), together, strict=True):
            state = network.begin(clip[:1])
            for face in clip:
                logits, *state = Step(network)(face[None], *state)
            assert torch.allclose(logits[0], expected, atol=1e-5)
        assert torch.allclose(network(faces[:1]), together[:1], atol=1e-5), "a photo is a clip"


@pytest.mark.parametrize(
    ("name", "blind"), [("frame-mean", True), ("cnn-lstm", False), ("temporal-transformer", False)]
)
def test_the_mean_alone_is_blind_to_the_order(name, blind):
    network, faces = built(name), torch.randn(5, 1, 16, 16)
    with torch.inference_mode():
        forth, back = (network(clip, torch.tensor([5])) for clip in (faces, faces.flip(0)))
    assert torch.allclose(forth, back, atol=1e-5) is blind


def test_a_transformer_forgets_what_leaves_its_window():
    network, faces = built("temporal-transformer"), torch.randn(9, 1, 16, 16)
    with torch.inference_mode():
        whole = network(faces, torch.tensor([9]))
        assert torch.allclose(network(faces[-6:], torch.tensor([6])), whole, atol=1e-5)
        assert not torch.allclose(network(faces[-5:], torch.tensor([5])), whole, atol=1e-5)


@pytest.mark.parametrize("frozen", [True, False])
def test_an_encoder_starts_from_the_weights_of_a_run(tmp_path, frozen):
    """Of one with other labels, too: its head is left out."""
    trained = build("attention", classes=7, channels=1, **TINY["encoder_options"])
    state = {f"model.{name}": tensor for name, tensor in trained.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "best.ckpt")
    network = built("cnn-lstm", weights=str(tmp_path / "best.ckpt"), frozen=frozen).train()
    faces, lengths = torch.randn(4, 1, 16, 16), torch.tensor([2, 2])
    rates = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(rates, 0.1)
    network(faces, lengths).square().sum().backward()
    optimizer.step()
    pairs = zip(network.features.parameters(), trained.features.parameters(), strict=True)
    assert all(torch.equal(own, first) for own, first in pairs) is frozen
    mean = next(n for n in network.features.state_dict() if n.endswith("running_mean"))
    statistics = (network.features.state_dict()[mean], trained.features.state_dict()[mean])
    assert torch.equal(*statistics) is frozen


def test_weights_of_another_network_are_refused(tmp_path):
    torch.save({"model.features.0.weight": torch.zeros(1)}, tmp_path / "w.ckpt")
    with pytest.raises(WeightsError, match="holds no weights of the network attention"):
        built("cnn-lstm", weights=str(tmp_path / "w.ckpt"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 10}, "heads that divide the width 10, got 4"),
        ({"frames": 0}, "frames"),
        ({"encoder_options": {"width": 3}}, "no option 'width'"),
    ],
)
def test_options_that_do_not_fit_are_named(options, message):
    with pytest.raises(RecipeError, match=message):
        built("temporal-transformer", **options)


def test_the_registry_tells_which_networks_read_clips():
    assert [entry(name).reads_clips for name in (*NAMES, "mien-s")] == [True, True, True, False]
