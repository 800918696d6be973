import io

import numpy as np
import pytest
import torch
from PIL import Image

from mien.recipes.schema import Augment
from mien.train.augment import Augmentation
from mien.train.photo import (
    COLUMNS,
    STRENGTHS,
    Values,
    blur,
    draw,
    few_pixels,
    gamma,
    jpeg,
    noise,
    spoil,
    uneven_light,
)

FLAWS = {
    "uneven_light": uneven_light,
    "gamma": gamma,
    "defocus": blur,
    "shake": blur,
    "few_pixels": few_pixels,
    "noise": noise,
    "jpeg": jpeg,
}


def drawn(n: int, probability: float, seed: int = 0) -> Values:
    generator = torch.Generator().manual_seed(seed)
    values = draw(
        probability, lambda low, high: torch.empty(n).uniform_(low, high, generator=generator)
    )
    return {name: value[:, None, None, None] for name, value in values.items()}


def only(n: int = 8, **strengths: float | torch.Tensor) -> Values:
    """These strengths, one for all or one each, of no other flaw; directions as drawn."""
    given = {k: torch.as_tensor(v).float().expand(n) for k, v in strengths.items()}
    return drawn(n, 0) | {k: v[:, None, None, None] for k, v in given.items()}


def spread_out(name: str, n: int) -> Values:
    """A flaw at `n` strengths, from its lowest to its highest."""
    return only(n, **{name: torch.linspace(*STRENGTHS[name], n)})


def moved(values: Values, device: str) -> Values:
    return {name: value.to(device) for name, value in values.items()}


def pictures(n: int = 8, side: int = 48) -> torch.Tensor:
    """Smooth random pictures: noise of 12 px, enlarged."""
    small = torch.rand(n, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(small, side, mode="bilinear")


def edges(images: torch.Tensor) -> float:
    return float((images[..., 1:] - images[..., :-1]).abs().mean())


@pytest.mark.parametrize("side", [24, 48, 50, 96])
def test_shape_type_and_range_stay(side):
    out = spoil(pictures(side=side), drawn(8, 1))
    assert (out.shape, out.dtype) == ((8, 1, side, side), torch.float32)
    assert out.min() >= 0
    assert out.max() <= 1


@pytest.mark.parametrize("name", FLAWS)
def test_each_flaw_changes_each_image_in_its_own_way_and_leaves_a_picture(name):
    images = pictures(1).expand(16, -1, -1, -1)
    out = spoil(images, spread_out(name, 16))
    assert len({tuple(image.flatten().tolist()) for image in out}) >= 8
    for image in out:
        assert not torch.equal(image, images[0])
        assert torch.corrcoef(torch.stack([image.flatten(), images[0].flatten()]))[0, 1] > 0.6


def test_draws_fill_the_ranges_of_strengths_and_every_direction():
    values = {name: value.flatten() for name, value in drawn(2000, 1).items()}
    assert tuple(values) == COLUMNS
    ends = dict.fromkeys(("light_angle", "shake_angle"), (0, 2 * np.pi))
    ends |= dict.fromkeys(("noise_right", "noise_down"), (0, 1))
    for name, (low, high) in (STRENGTHS | ends).items():
        near = 0.01 * (high - low)
        assert low <= values[name].min() < low + near
        assert high - near < values[name].max() <= high
        assert values[name].mean().item() == pytest.approx((low + high) / 2, abs=3 * near)
    assert torch.corrcoef(torch.stack(list(values.values()))).triu(1).abs().max() < 0.1


@pytest.fixture
def elsewhere(monkeypatch) -> str:
    """The meta device, which stands for a graphics card: it has no values to read, and refuses to
    compute with tensors of the CPU, but in convolutions."""

    def conv2d(images, kernels, **options):
        assert kernels.device == images.device
        return torch.nn.functional.conv2d(images, kernels, **options)

    monkeypatch.setattr("mien.train.photo.conv2d", conv2d)
    return "meta"


@pytest.mark.parametrize("name", FLAWS)
def test_flaws_meet_no_tensor_of_another_device(name, elsewhere):
    images = pictures().to(elsewhere)
    out = FLAWS[name](images, moved(spread_out(name, 8), elsewhere))
    assert (out.device.type, out.shape, out.dtype) == (elsewhere, images.shape, images.dtype)


def test_pictures_stay_where_they_are_and_nothing_is_read_of_them(elsewhere):
    out = spoil(pictures().to(elsewhere), moved(drawn(8, 0.5), elsewhere))
    assert (out.device.type, out.shape) == (elsewhere, (8, 1, 48, 48))


@pytest.mark.parametrize("name", FLAWS)
def test_an_image_s_flaw_is_the_same_whatever_stands_beside_it(name):
    """A graphics card computes it of all images, a CPU only of those that it falls on."""
    images, values = pictures(), spread_out(name, 8)
    together = FLAWS[name](images, values)
    for row in range(8):
        alone = {key: value[row : row + 1] for key, value in values.items()}
        assert torch.allclose(
            FLAWS[name](images[row : row + 1], alone), together[row : row + 1], atol=1e-5
        )


def test_each_flaw_falls_on_its_share_of_the_images_and_the_others_stay():
    images = pictures(400)
    before = images.clone()
    out = spoil(images, drawn(400, 0.05))
    touched = float((out != images).flatten(1).any(1).float().mean())
    assert touched == pytest.approx(1 - 0.95 ** len(STRENGTHS), abs=0.08)
    assert torch.equal(images, before)


def test_the_draw_decides_alone():
    """So that teachers answer for the very picture, noise included."""
    values = drawn(8, 0.5, seed=5)
    once = spoil(pictures(), values)
    torch.manual_seed(1)
    assert torch.equal(spoil(pictures(), values), once)
    assert not torch.equal(spoil(pictures(), drawn(8, 0.5, seed=6)), once)


@pytest.mark.parametrize("name", ["defocus", "shake"])
def test_blur_takes_detail_keeps_the_mean_and_does_not_darken_the_border(name):
    out = blur(pictures(), only(**{name: 0.04}))
    assert edges(out) < 0.9 * edges(pictures())
    assert torch.allclose(out.mean((1, 2, 3)), pictures().mean((1, 2, 3)), atol=0.02)
    white = torch.ones(8, 1, 48, 48)
    assert torch.allclose(blur(white, only(**{name: 0.04})), white, atol=1e-5)


def test_few_pixels_leave_no_more_detail_than_they_can_hold():
    fine = torch.rand(4, 1, 48, 48, generator=torch.Generator().manual_seed(0))
    out = few_pixels(fine, only(4, few_pixels=1 / 3))
    known = torch.nn.functional.interpolate(fine, 16, mode="area")
    assert torch.allclose(enlarged(known), out, atol=1e-6)
    each = few_pixels(fine, only(4, few_pixels=torch.tensor([1 / 3, 0.51, 1, 2 / 3])))
    assert torch.allclose(each[0], out[0], atol=1e-6)
    assert torch.allclose(each[2], fine[2], atol=1e-6)
    half = torch.nn.functional.interpolate(fine[1:2], 24, mode="area")  # 24.48 pixels
    assert torch.allclose(enlarged(half)[0], each[1], atol=1e-6)


def enlarged(images: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.interpolate(images, 48, mode="bilinear")


def test_noise_has_the_deviation_asked_for():
    grey = torch.full((2, 1, 96, 96), 0.5)
    deviations = noise(grey, only(2, noise=torch.tensor([0.02, 0.08]))).std((1, 2, 3))
    assert deviations.tolist() == pytest.approx([0.02, 0.08], rel=0.05)


def test_noise_is_normal_and_that_of_one_image_says_nothing_of_another_s():
    out = noise(torch.zeros(64, 1, 48, 48), only(64, noise=1)).flatten(1)
    assert out.mean().item() == pytest.approx(0, abs=0.02)
    for deviations, share in ((1, 0.683), (2, 0.954), (3, 0.997)):
        inside = (out.abs() < deviations).float().mean().item()
        assert inside == pytest.approx(share, abs=0.01)
    assert torch.corrcoef(out).triu(1).abs().max() < 0.12
    beside = torch.corrcoef(torch.stack([out[:, :-1].flatten(), out[:, 1:].flatten()]))[0, 1]
    assert abs(beside) < 0.02


def test_uneven_light_is_a_ramp_of_the_strength_asked_for():
    out = uneven_light(torch.full((64, 1, 48, 48), 0.5), only(64, uneven_light=0.4))
    assert torch.allclose(out.amin((1, 2, 3)), torch.full((64,), 0.3), atol=1e-5)
    assert torch.allclose(out.amax((1, 2, 3)), torch.full((64,), 0.7), atol=1e-5)
    brighter_right = (out[..., -1].mean((1, 2)) > out[..., 0].mean((1, 2))).float().mean()
    assert 0.2 < float(brighter_right) < 0.8


@pytest.mark.parametrize(("octaves", "grey"), [(1.0, 0.0625), (0.0, 0.25), (-1.0, 0.5)])
def test_gamma_is_in_octaves(octaves, grey):
    out = gamma(torch.full((2, 1, 8, 8), 0.25), only(2, gamma=torch.tensor([octaves, 0.0])))
    assert out[0].unique().tolist() == pytest.approx([grey])
    assert out[1].unique().tolist() == pytest.approx([0.25])


def spreads(images: torch.Tensor) -> torch.Tensor:
    """(N, 2): standard deviations, the short and the long one, of spots of light, in sides."""
    side = images.shape[-1]
    place = (torch.arange(float(side)) - side // 2) / side
    y, x = torch.meshgrid(place, place, indexing="ij")
    found = [torch.stack([(images[:, 0] * a * b).sum((1, 2)) for b in (x, y)], 1) for a in (x, y)]
    return torch.linalg.eigvalsh(torch.stack(found, 1)).sqrt()


def spot(side: int) -> torch.Tensor:
    images = torch.zeros(8, 1, side, side)
    images[..., side // 2, side // 2] = 1
    return images


@pytest.mark.parametrize("side", [49, 97])
def test_blurs_are_as_wide_as_asked_whatever_the_size(side):
    sigma = torch.tensor([0.02, 0.03] * 4)
    found = spreads(blur(spot(side), only(defocus=sigma)))
    for row, (short, long) in zip(sigma, found, strict=True):
        assert short.item() == pytest.approx(row.item(), rel=0.08)
        assert long.item() == pytest.approx(row.item(), rel=0.08)


def test_shake_is_as_long_as_asked_and_an_eighth_as_wide():
    sigma = torch.tensor([0.03, 0.045] * 4)
    found = spreads(blur(spot(193), only(shake=sigma)))
    for row, (short, long) in zip(sigma, found, strict=True):
        assert long.item() == pytest.approx(row.item(), rel=0.08)
        assert short.item() == pytest.approx(row.item() / 8, rel=0.15)


def test_variances_of_defocus_and_shake_add():
    found = spreads(blur(spot(193), only(defocus=0.03, shake=0.04)))
    for short, long in found.tolist():
        assert long == pytest.approx(0.05, rel=0.08)
        assert short == pytest.approx(np.hypot(0.03, 0.005), rel=0.08)


def test_uneven_light_and_shake_come_from_every_side():
    lit = uneven_light(torch.full((400, 1, 16, 16), 0.5), only(400, uneven_light=0.5))[:, 0]
    right = lit[:, :, -1].mean(1) > lit[:, :, 0].mean(1)
    below = lit[:, -1].mean(1) > lit[:, 0].mean(1)
    for quarter in (right & below, right & ~below, ~right & below, ~right & ~below):
        assert quarter.float().mean().item() == pytest.approx(0.25, abs=0.08)


@pytest.mark.parametrize("side", [48, 50])
@pytest.mark.parametrize("quality", [15, 25, 40, 49, 50, 60, 75, 90, 100])
def test_jpeg_is_that_of_pillow_at_its_quality(quality, side):
    """But for the arithmetic: the standard's cosines, where libjpeg has whole numbers."""
    pixels = (pictures(4, side) * 255).round()
    out = jpeg(pixels / 255, only(4, jpeg=quality)).clamp(0, 1)
    for image, found in zip(pixels[:, 0].byte().numpy(), out[:, 0].numpy(), strict=True):
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=quality)
        expected = np.asarray(Image.open(file), np.float32) / 255
        assert np.abs(found - expected).mean() < 1 / 255


CHANGES = {
    "uneven_light": (0.039, 0.118),
    "gamma": (0.139, 0.149),
    "defocus": (0.0048, 0.043),
    "shake": (0.0067, 0.044),
    "few_pixels": (0.045, 0.022),
    "noise": (0.008, 0.048),
    "jpeg": (0.027, 0.011),
}
"""Mean change of intensity at the lowest and the highest strength."""


@pytest.mark.parametrize("name", FLAWS)
def test_flaws_are_seen_and_faces_still_read(name):
    images = pictures(16)
    for strength, change in zip(STRENGTHS[name], CHANGES[name], strict=True):
        out = FLAWS[name](images, only(16, **{name: strength}))
        assert (out - images).abs().mean().item() == pytest.approx(change, rel=0.15)


def test_flaws_come_in_the_order_of_light_lens_sensor_and_file():
    values = drawn(8, 1)
    images = pictures()
    for flaw in (uneven_light, gamma, blur, few_pixels, noise, jpeg):
        images = flaw(images, values).clamp(0, 1)
    assert torch.allclose(spoil(pictures(), values), images, atol=1e-6)


def test_where_no_flaw_falls_nothing_changes():
    assert torch.equal(spoil(pictures(), drawn(8, 0)), pictures())


def test_jpeg_of_lower_quality_is_further_from_the_picture():
    images = pictures(4)
    far, near = ((jpeg(images, only(4, jpeg=q)) - images).abs().mean() for q in (10, 90))
    assert 0 < float(near) < float(far) < 0.1


def test_erasing_comes_after_the_flaws():
    torch.manual_seed(0)
    grey = torch.full((200, 1, 48, 48), 0.25)
    out = Augmentation(Augment(photo=1, erase=0.5))(grey)
    blank = (out == 0.5).flatten(1).float().mean(1)  # exact, in spite of the flaws elsewhere
    assert 60 < int((blank > 0.015).sum()) < 140
