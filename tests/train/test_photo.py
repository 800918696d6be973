import io

import numpy as np
import pytest
import torch
from PIL import Image

from mien.recipes.schema import Augment
from mien.train.augment import Augmentation
from mien.train.photo import (
    FLAWS,
    Photo,
    defocus,
    few_pixels,
    gamma,
    jpeg,
    noise,
    shake,
    uneven_light,
)

NAMES = [flaw.__name__ for flaw, _, _ in FLAWS]


def pictures(n: int = 8, side: int = 48) -> torch.Tensor:
    """Smooth random pictures: noise of 12 px, enlarged."""
    small = torch.rand(n, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(small, side, mode="bilinear")


def edges(images: torch.Tensor) -> float:
    return float((images[..., 1:] - images[..., :-1]).abs().mean())


@pytest.mark.parametrize("side", [24, 48, 50, 96])
def test_shape_type_and_range_stay(side):
    torch.manual_seed(0)
    out = Photo(1)(pictures(side=side))
    assert (out.shape, out.dtype) == ((8, 1, side, side), torch.float32)
    assert out.min() >= 0
    assert out.max() <= 1


@pytest.mark.parametrize(("flaw", "low", "high"), FLAWS, ids=NAMES)
def test_each_flaw_changes_each_image_in_its_own_way_and_leaves_a_picture(flaw, low, high):
    torch.manual_seed(0)
    images = pictures(1).expand(16, -1, -1, -1)
    out = flaw(images, torch.empty(16).uniform_(low, high)).clamp(0, 1)
    assert len({tuple(image.flatten().tolist()) for image in out}) >= 8
    for image in out:
        assert not torch.equal(image, images[0])
        assert torch.corrcoef(torch.stack([image.flatten(), images[0].flatten()]))[0, 1] > 0.6


@pytest.mark.parametrize(("flaw", "low", "high"), FLAWS[:-1], ids=NAMES[:-1])
def test_strengths_of_the_cpu_do_for_pictures_elsewhere(flaw, low, high, monkeypatch):
    # The meta device stands for a graphics card: it refuses to compute with tensors of the CPU,
    # but in convolutions.
    def conv2d(images, kernels, **options):
        assert kernels.device == images.device
        return torch.nn.functional.conv2d(images, kernels, **options)

    monkeypatch.setattr("mien.train.photo.conv2d", conv2d)
    images = pictures().to("meta")
    out = flaw(images, torch.empty(8).uniform_(low, high))
    assert (out.device.type, out.shape, out.dtype) == ("meta", images.shape, images.dtype)


def test_pictures_stay_where_they_are(monkeypatch):
    monkeypatch.setattr("mien.train.photo.FLAWS", FLAWS[:-1])  # JPEG is computed on the CPU
    assert Photo(0.5)(pictures().to("meta")).device.type == "meta"


def test_each_flaw_falls_on_its_share_of_the_images_and_the_others_stay():
    images = pictures(400)
    before = images.clone()
    torch.manual_seed(0)
    out = Photo(0.05)(images)
    touched = float((out != images).flatten(1).any(1).float().mean())
    assert touched == pytest.approx(1 - 0.95 ** len(FLAWS), abs=0.08)
    assert torch.equal(images, before)


def test_the_seed_decides():
    torch.manual_seed(5)
    once = Photo(0.5)(pictures())
    torch.manual_seed(5)
    assert torch.equal(Photo(0.5)(pictures()), once)
    assert not torch.equal(Photo(0.5)(pictures()), once)


@pytest.mark.parametrize("blur", [defocus, shake])
def test_blur_takes_detail_keeps_the_mean_and_does_not_darken_the_border(blur):
    out = blur(pictures(), torch.full((8,), 0.04))
    assert edges(out) < 0.9 * edges(pictures())
    assert torch.allclose(out.mean((1, 2, 3)), pictures().mean((1, 2, 3)), atol=0.02)
    white = torch.ones(8, 1, 48, 48)
    assert torch.allclose(blur(white, torch.full((8,), 0.04)), white, atol=1e-5)


def test_few_pixels_leave_no_more_detail_than_they_can_hold():
    fine = torch.rand(4, 1, 48, 48, generator=torch.Generator().manual_seed(0))
    out = few_pixels(fine, torch.full((4,), 1 / 3))
    known = torch.nn.functional.interpolate(fine, 16, mode="area")
    assert torch.allclose(torch.nn.functional.interpolate(known, 48, mode="bilinear"), out)
    each = few_pixels(fine, torch.tensor([1 / 3, 0.51, 1, 2 / 3]))
    assert torch.allclose(each[0], out[0])
    assert torch.allclose(each[2], fine[2])
    half = torch.nn.functional.interpolate(fine[1:2], 24, mode="area")  # 24.48 pixels
    assert torch.allclose(torch.nn.functional.interpolate(half, 48, mode="bilinear")[0], each[1])


def test_noise_has_the_deviation_asked_for():
    torch.manual_seed(0)
    grey = torch.full((2, 1, 96, 96), 0.5)
    deviations = noise(grey, torch.tensor([0.02, 0.08])).std((1, 2, 3))
    assert deviations.tolist() == pytest.approx([0.02, 0.08], rel=0.05)


def test_uneven_light_is_a_ramp_of_the_strength_asked_for():
    torch.manual_seed(0)
    out = uneven_light(torch.full((64, 1, 48, 48), 0.5), torch.full((64,), 0.4))
    assert torch.allclose(out.amin((1, 2, 3)), torch.full((64,), 0.3), atol=1e-5)
    assert torch.allclose(out.amax((1, 2, 3)), torch.full((64,), 0.7), atol=1e-5)
    brighter_right = (out[..., -1].mean((1, 2)) > out[..., 0].mean((1, 2))).float().mean()
    assert 0.2 < float(brighter_right) < 0.8


@pytest.mark.parametrize(("octaves", "grey"), [(1.0, 0.0625), (0.0, 0.25), (-1.0, 0.5)])
def test_gamma_is_in_octaves(octaves, grey):
    out = gamma(torch.full((2, 1, 8, 8), 0.25), torch.tensor([octaves, 0.0]))
    assert out[0].unique().tolist() == pytest.approx([grey])
    assert out[1].unique().tolist() == pytest.approx([0.25])


def spreads(images: torch.Tensor) -> torch.Tensor:
    """(N, 2): standard deviations, the short and the long one, of spots of light, in sides."""
    side = images.shape[-1]
    place = (torch.arange(float(side)) - side // 2) / side
    y, x = torch.meshgrid(place, place, indexing="ij")
    found = [torch.stack([(images[:, 0] * a * b).sum((1, 2)) for b in (x, y)], 1) for a in (x, y)]
    return torch.linalg.eigvalsh(torch.stack(found, 1)).sqrt()


@pytest.mark.parametrize("side", [49, 97])
def test_blurs_are_as_wide_as_asked_whatever_the_size(side):
    torch.manual_seed(0)
    spot = torch.zeros(8, 1, side, side)
    spot[..., side // 2, side // 2] = 1
    sigma = torch.tensor([0.03, 0.06] * 4)
    for row, (short, long) in zip(sigma, spreads(defocus(spot, sigma)), strict=True):
        assert short.item() == pytest.approx(row.item(), rel=0.08)
        assert long.item() == pytest.approx(row.item(), rel=0.08)


def test_shake_is_as_long_as_asked_and_an_eighth_as_wide():
    torch.manual_seed(0)
    spot = torch.zeros(8, 1, 193, 193)
    spot[..., 96, 96] = 1
    sigma = torch.tensor([0.03, 0.06] * 4)
    for row, (short, long) in zip(sigma, spreads(shake(spot, sigma)), strict=True):
        assert long.item() == pytest.approx(row.item(), rel=0.08)
        assert short.item() == pytest.approx(row.item() / 8, rel=0.15)


def test_uneven_light_and_shake_come_from_every_side():
    torch.manual_seed(0)
    lit = uneven_light(torch.full((400, 1, 16, 16), 0.5), torch.full((400,), 0.5))[:, 0]
    right = lit[:, :, -1].mean(1) > lit[:, :, 0].mean(1)
    below = lit[:, -1].mean(1) > lit[:, 0].mean(1)
    for quarter in (right & below, right & ~below, ~right & below, ~right & ~below):
        assert quarter.float().mean().item() == pytest.approx(0.25, abs=0.08)


@pytest.mark.parametrize("quality", [15, 40, 60])
def test_jpeg_is_that_of_pillow_at_its_quality(quality):
    images = pictures(2)
    out = jpeg(images, torch.full((2,), quality + 0.3))
    for image, found in zip(images[:, 0], out[:, 0], strict=True):
        file = io.BytesIO()
        pixels = (image * 255).round().byte().numpy()
        Image.fromarray(pixels).save(file, "JPEG", quality=quality)
        expected = np.asarray(Image.open(file), np.float32) / 255
        assert np.abs(found.numpy() - expected).mean() < 0.001


CHANGES = {
    uneven_light: (0.039, 0.118),
    gamma: (0.139, 0.149),
    defocus: (0.0048, 0.043),
    shake: (0.0067, 0.044),
    few_pixels: (0.045, 0.022),
    noise: (0.008, 0.048),
    jpeg: (0.027, 0.011),
}
"""Mean change of intensity at the lowest and the highest strength."""


@pytest.mark.parametrize(("flaw", "low", "high"), FLAWS, ids=NAMES)
def test_flaws_are_seen_and_faces_still_read(flaw, low, high):
    images = pictures(16)
    for strength, change in zip((low, high), CHANGES[flaw], strict=True):
        torch.manual_seed(0)
        out = flaw(images, torch.full((16,), strength))
        assert (out - images).abs().mean().item() == pytest.approx(change, rel=0.15)


def test_flaws_come_in_the_order_of_light_lens_sensor_and_file():
    assert NAMES == ["uneven_light", "gamma", "defocus", "shake", "few_pixels", "noise", "jpeg"]


def test_where_no_flaw_falls_nothing_changes():
    torch.manual_seed(0)
    assert torch.equal(Photo(0)(pictures()), pictures())


def test_jpeg_of_lower_quality_is_further_from_the_picture():
    images = pictures(4)
    far, near = ((jpeg(images, torch.full((4,), q)) - images).abs().mean() for q in (10.0, 90.0))
    assert 0 < float(near) < float(far) < 0.1


def test_erasing_comes_last():
    torch.manual_seed(0)
    grey = torch.full((200, 1, 48, 48), 0.25)
    out = Augmentation(Augment(photo=1, erase=0.5))(grey)
    blank = (out == 0.5).flatten(1).float().mean(1)  # exact, in spite of the flaws elsewhere
    assert 60 < int((blank > 0.015).sum()) < 140
