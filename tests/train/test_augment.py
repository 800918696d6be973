import pytest
import torch

from mien.recipes.schema import Augment, Mix
from mien.train.augment import COLUMNS, Augmentation, mixup

EVERYTHING = {
    "rotation_deg": 30,
    "shift": 0.2,
    "shear_deg": 12,
    "zoom": (0.8, 1.2),
    "flip": True,
    "brightness": (0.5, 1.5),
    "contrast": (0.5, 1.5),
    "cover": 0.9,
    "erase": 0.5,
}


def noise(n: int = 8) -> torch.Tensor:
    return torch.rand(n, 1, 24, 24, generator=torch.Generator().manual_seed(0))


def same(n: int = 32) -> torch.Tensor:
    return noise(1).expand(n, -1, -1, -1).contiguous()


def augmented(images: torch.Tensor, seed: int = 0, **ranges: object) -> torch.Tensor:
    torch.manual_seed(seed)
    return Augmentation(Augment(**ranges))(images)


def test_nothing_asked_is_nothing_changed():
    assert torch.equal(augmented(noise()), noise())


@pytest.mark.parametrize("fill", ["nearest", "zeros", "reflect"])
@pytest.mark.parametrize("zoom_axes", ["both", "each"])
def test_values_stay_intensities_and_the_shape_stays(fill, zoom_axes):
    out = augmented(noise(), fill=fill, zoom_axes=zoom_axes, **EVERYTHING)
    assert (out.shape, out.dtype) == ((8, 1, 24, 24), torch.float32)
    assert out.min() >= 0
    assert out.max() <= 1


@pytest.mark.parametrize("name", EVERYTHING)
def test_each_change_is_drawn_for_each_image_and_repeats_with_the_seed(name):
    ranges = {name: EVERYTHING[name]}
    out = augmented(same(), **ranges)
    expected = 2 if name == "flip" else 10
    assert len({tuple(image.flatten().tolist()) for image in out}) >= expected
    assert torch.equal(augmented(same(), **ranges), out)
    assert not torch.equal(augmented(same(), seed=1, **ranges), out)


def test_a_draw_repeats_and_each_image_has_its_own_whatever_stands_beside_it():
    some = Augmentation(Augment(photo=0.5, **EVERYTHING))
    drawn = some.draw(8, torch.Generator().manual_seed(0))
    assert (drawn.shape, drawn.dtype) == ((8, len(COLUMNS)), torch.float32)
    assert torch.equal(some.draw(8, torch.Generator().manual_seed(0)), drawn)
    assert not torch.equal(some.draw(8, torch.Generator().manual_seed(1)), drawn)
    out = some(noise(), drawn)
    torch.rand(3)  # whatever was drawn before
    assert torch.equal(some(noise(), drawn), out)
    for row in range(8):
        alone = some(noise()[row : row + 1], drawn[row : row + 1])
        assert torch.allclose(alone, out[row : row + 1], atol=1e-5)


def test_a_mirrored_picture_is_the_mirror_image_of_the_same_draw():
    """All that was changed is mirrored with it: teachers are asked for both sides of a picture."""
    some = Augmentation(Augment(photo=0.5, **EVERYTHING))
    drawn = some.draw(8, torch.Generator().manual_seed(0))
    drawn[:, COLUMNS.index("mirrored")] = 0
    plain = some(noise(), drawn)
    drawn[4:, COLUMNS.index("mirrored")] = 1
    out = some(noise(), drawn)
    assert torch.equal(out[:4], plain[:4])
    assert torch.equal(out[4:], plain[4:].flip(3))


def test_pictures_elsewhere_are_changed_there_and_nothing_is_read_of_them():
    """The meta device stands for a graphics card: it has no values to read or to wait for."""
    some = Augmentation(Augment(photo=0.5, **EVERYTHING))
    for drawn in (None, some.draw(8).to("meta")):
        out = some(noise().to("meta"), drawn)
        assert (out.device.type, out.shape, out.dtype) == ("meta", (8, 1, 24, 24), torch.float32)


def test_flip_only_mirrors_half_of_the_images():
    images = noise(200)
    out = augmented(images, flip=True)
    mirrored = (out == images.flip(3)).flatten(1).all(1)
    kept = (out == images).flatten(1).all(1)
    assert (mirrored ^ kept).all()
    assert 70 < int(mirrored.sum()) < 130


@pytest.mark.parametrize("fill", ["nearest", "zeros", "reflect"])
def test_fill_decides_what_comes_in_at_the_border(fill):
    grey = torch.full((32, 1, 24, 24), 0.5)
    out = augmented(grey, shift=0.4, fill=fill)
    assert out.max() == pytest.approx(0.5)
    assert out.min() == pytest.approx(0.0 if fill == "zeros" else 0.5)


@pytest.mark.parametrize(("fill", "expected"), [("nearest", 1.0), ("reflect", 0.0)])
def test_reflection_mirrors_where_nearest_repeats_the_border(fill, expected):
    images = torch.zeros(1, 1, 24, 24)
    images[..., 0] = 1
    out = augmented(images, zoom=(0.5, 0.5), fill=fill)
    assert out[0, 0, 12, 0] == pytest.approx(expected, abs=1e-4)


def square(image: torch.Tensor) -> int:
    return int((image > 0.5).sum())


@pytest.mark.parametrize(("zoom", "grows"), [((1.5, 1.5), True), ((0.5, 0.5), False)])
def test_zoom_above_one_enlarges_the_face(zoom, grows):
    images = torch.zeros(1, 1, 24, 24)
    images[..., 8:16, 8:16] = 1
    out = augmented(images, zoom=zoom)
    assert square(out) == pytest.approx(64 * zoom[0] ** 2, rel=0.2)


@pytest.mark.parametrize("axes", ["both", "each"])
def test_zoom_axes_decides_whether_the_shape_is_kept(axes):
    images = torch.zeros(32, 1, 48, 48)
    images[..., 16:32, 16:32] = 1
    out = augmented(images, zoom=(0.6, 1.4), zoom_axes=axes) > 0.5
    height = out.any(3).sum((1, 2)).float()
    width = out.any(2).sum((1, 2)).float()
    assert bool(((height - width).abs() <= 1).all()) == (axes == "both")


def test_shift_stays_in_its_range():
    images = torch.zeros(64, 1, 40, 40)
    images[..., 18:22, 18:22] = 1
    out = augmented(images, shift=0.25)
    for axis in (2, 3):
        weights = out.sum(5 - axis).squeeze(1)
        centre = (weights * torch.arange(40)).sum(1) / weights.sum(1)
        moved = (centre - 19.5).abs().max()
        assert 5 < moved <= 10.5


def bars(n: int = 64, side: int = 49) -> torch.Tensor:
    """An upright bar through the middle, long enough to tell its angle."""
    images = torch.zeros(n, 1, side, side)
    images[..., side // 4 : 3 * side // 4 + 1, side // 2 - 1 : side // 2 + 2] = 1
    return images


def slopes(images: torch.Tensor, *, rows: bool = True) -> torch.Tensor:
    """How far the bar moves sideways with each row down."""
    side = images.shape[-1]
    place = torch.arange(float(side)) - side // 2
    y, x = torch.meshgrid(place, place, indexing="ij")
    return (images[:, 0] * x * y).sum((1, 2)) / (images[:, 0] * y * y).sum((1, 2))


def test_rotation_stays_in_its_range_and_goes_both_ways():
    degrees = torch.rad2deg(slopes(augmented(bars(), rotation_deg=20)).atan())
    assert 17 < degrees.max() < 21
    assert -21 < degrees.min() < -17
    assert slopes(augmented(bars(), shift=0.01)).abs().max() < 0.02


def test_shear_leans_to_both_sides_within_its_range():
    out = augmented(bars(), shear_deg=20)
    degrees = torch.rad2deg(slopes(out).atan())
    assert 17 < degrees.max() < 22
    assert -22 < degrees.min() < -17
    # Rows stay where they are: the bar is no shorter, as it would be when turned.
    tall = (out.amax(3) > 0.5).sum((1, 2))
    assert (tall - 25).abs().max() <= 1


@pytest.mark.parametrize(("name", "expected"), [("zoom", (0.5, 0.8)), ("shift", 0.3)])
def test_each_change_is_made_where_it_alone_is_asked_for(name, expected):
    assert not torch.equal(augmented(noise(), **{name: expected}), noise())


def test_zooms_of_both_axes_fill_their_range():
    images = torch.zeros(200, 1, 48, 48)
    images[..., 12:36, 12:36] = 1
    for axes in ("both", "each"):
        out = augmented(images, zoom=(0.5, 1.5), zoom_axes=axes) > 0.5
        for axis in (2, 3):
            sides = out.any(axis).sum((1, 2)) / 24
            assert 0.45 < sides.min() < 0.6
            assert 1.4 < sides.max() < 1.55


def test_brightness_and_contrast_fill_their_ranges_and_are_drawn_apart():
    images = torch.full((400, 1, 4, 4), 0.3)
    images[..., :2] = 0.5
    out = augmented(images, brightness=(0.5, 1.5), contrast=(0.2, 0.8))
    gain = out.mean((1, 2, 3)) / 0.4
    spread = (out[:, 0, 0, 0] - out[:, 0, 0, 3]) / 0.2 / gain
    for values, low, high in ((gain, 0.5, 1.5), (spread, 0.2, 0.8)):
        assert low <= values.min() + 1e-5 < low + 0.02
        assert high - 0.02 < values.max() - 1e-5 <= high
        assert values.mean().item() == pytest.approx((low + high) / 2, abs=0.05)
    assert abs(torch.corrcoef(torch.stack([gain, spread]))[0, 1]) < 0.15


@pytest.mark.parametrize(
    ("ranges", "bright", "dark"),
    [
        ({"brightness": (2, 2)}, 1.0, 0.8),
        ({"contrast": (3, 3)}, 1.0, 0.15),
        ({"contrast": (9, 9)}, 1.0, 0.0),
        ({"contrast": (3, 3), "brightness": (0.5, 0.5)}, 0.825, 0.075),
    ],
)
def test_light_stays_between_black_and_white(ranges, bright, dark):
    """About a mean of 0.525: contrast first, then brightness, and then the limits."""
    images = torch.full((1, 1, 4, 4), 0.4)
    images[..., 0] = 0.9
    out = augmented(images, **ranges)[0, 0, 0]
    assert out.tolist() == pytest.approx([bright, dark, dark, dark], abs=1e-6)


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.5])
def test_brightness_multiplies_intensities(factor):
    images = noise() / 2
    out = augmented(images, brightness=(factor, factor))
    assert torch.allclose(out, images * factor, atol=1e-6)


def test_contrast_keeps_the_mean():
    images = noise() * 0.2 + 0.4
    out = augmented(images, contrast=(0.5, 0.5))
    assert torch.allclose(out.mean((1, 2, 3)), images.mean((1, 2, 3)), atol=1e-5)
    assert torch.allclose(out.std((1, 2, 3)), images.std((1, 2, 3)) / 2, atol=1e-5)


def test_erasing_blanks_a_rectangle_of_grey_in_its_share_of_the_images():
    images = torch.rand(400, 1, 64, 64)
    out = augmented(images, erase=0.3)
    changed = out != images
    assert (out[changed] == 0.5).all()
    part = changed.float().mean((1, 2, 3))
    assert (part > 0).float().mean().item() == pytest.approx(0.3, abs=0.07)
    assert 0.01 < part[part > 0].min() < 0.04
    assert 0.18 < part.max() < 0.27
    high, wide = changed.any(3).sum((1, 2)), changed.any(2).sum((1, 2))
    assert torch.equal(changed.sum((1, 2, 3)), high * wide)


def mixed(seed: int = 0, alpha: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Eight plain images, image i of intensity i, each of a class of its own."""
    torch.manual_seed(seed)
    images = torch.arange(8.0)[:, None, None, None].expand(-1, 1, 24, 24).contiguous()
    return mixup(Mix(mixup=alpha))(images, torch.eye(8))


def test_nothing_is_mixed_unless_asked():
    assert mixup(Mix()) is None


@pytest.mark.parametrize("seed", range(5))
def test_targets_are_mixed_in_the_shares_of_the_pictures(seed):
    images, targets = mixed(seed)
    assert (targets.shape, targets.dtype) == ((8, 8), torch.float32)
    assert torch.allclose(targets.sum(1), torch.ones(8))
    assert all(len(image.unique()) == 1 for image in images)
    found = images.mean((1, 2, 3))
    assert torch.allclose(found, targets @ torch.arange(8.0), atol=1e-4)


def test_mixup_repeats_with_the_seed_and_takes_soft_targets():
    assert torch.equal(mixed(3, 0.4)[0], mixed(3, 0.4)[0])
    soft = torch.full((4, 7), 1 / 7)
    images, targets = mixup(Mix(mixup=0.4))(noise(4), soft)
    assert images.shape == noise(4).shape
    assert torch.allclose(targets, soft)
