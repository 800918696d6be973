import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import ShapeError
from mien.preprocess import Preprocess, scale

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
RNG = np.random.default_rng(0)


def crop(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("shape", [(48, 48), (48, 48, 3), (31, 77), (200, 100, 3), (1, 1)])
@pytest.mark.parametrize("size_px", [40, 48, 64])
@pytest.mark.parametrize(("mean", "std"), [((0.5,), (0.25,)), IMAGENET])
def test_any_crop_becomes_the_network_s_input(shape, size_px, mean, std):
    preprocess = Preprocess(size_px, mean, std)
    crops = [crop(*shape), crop(*shape)]
    out = preprocess(crops)
    assert (out.dtype, out.flags.c_contiguous) == (np.float32, True)
    assert out.shape == (2, len(mean), size_px, size_px) == (2, preprocess.channels, *out.shape[2:])
    grey = preprocess.resize(crops) / 255
    for channel, (m, s) in enumerate(zip(mean, std, strict=True)):
        assert out[:, channel] == pytest.approx((grey - m) / s, abs=1e-5)


def test_values_are_standardised_intensities():
    grey = np.full((48, 48), 255, np.uint8)
    assert Preprocess(48, (0.5,), (0.25,))([grey]) == pytest.approx(2.0)
    black = Preprocess(48, *IMAGENET)([np.zeros((48, 48), np.uint8)])[0, :, 0, 0]
    assert black == pytest.approx([-m / s for m, s in zip(*IMAGENET, strict=True)], rel=1e-5)


def test_native_size_keeps_every_pixel():
    images = crop(3, 48, 48)
    assert (Preprocess(48, (0.5,), (0.5,)).resize(images) == images).all()


def test_grey_and_the_same_grey_as_rgb_agree():
    grey = crop(60, 60)
    preprocess = Preprocess(48, (0.5,), (0.5,))
    assert (preprocess([grey]) == preprocess([np.repeat(grey[..., None], 3, 2)])).all()


@pytest.mark.parametrize(("channel", "weight"), [(0, 0.299), (1, 0.587), (2, 0.114)])
def test_colours_are_taken_as_rgb_and_weighed_as_in_bt_601(channel: int, weight: float):
    colour = np.zeros((48, 48, 3), np.uint8)
    colour[..., channel] = 255
    assert Preprocess(48, (0.0,), (1.0,))([colour]) == pytest.approx(weight, abs=0.003)


def test_each_crop_has_its_row():
    crops = [np.full((9, 9), 10, np.uint8), np.full((60, 50, 3), 200, np.uint8)]
    assert Preprocess(4, (0.0,), (1.0,)).resize(crops).tolist() == [
        [[value] * 4] * 4 for value in (10, 200)
    ]


def stripes(size_px: int) -> np.ndarray:
    """Columns of black and white, a pixel wide: at half the size they are an even grey."""
    return np.tile(np.array([0, 255], np.uint8), (size_px, size_px // 2))


@pytest.mark.parametrize(
    ("source_px", "spread"),
    [(48, 0), (96, 255)],
)
def test_a_sharp_crop_passes_through_the_resolution_of_the_training_data(source_px, spread):
    small = Preprocess(96, (0.0,), (1.0,), source_px=source_px).resize([stripes(96)])[0]
    assert np.ptp(small.astype(int)) == spread
    assert small.mean() == pytest.approx(127.5, abs=0.6)


def test_the_training_data_is_of_48_px_unless_the_card_says_otherwise():
    fine = Preprocess(96, (0.0,), (1.0,)).resize([stripes(96)])[0]
    assert np.ptp(fine.astype(int)) == 0


@pytest.mark.parametrize(("mean", "std"), [((0.508,), (0.255,)), IMAGENET])
def test_numpy_and_torch_normalise_alike(mean, std):
    torch = pytest.importorskip("torch")
    images = RNG.random((2, 1, 8, 8), np.float32)
    preprocess = Preprocess(8, mean, std)
    ours, theirs = preprocess.normalise(images), preprocess.normalise(torch.from_numpy(images))
    assert theirs.dtype == torch.float32
    assert ours.dtype == np.float32
    assert np.abs(ours - theirs.numpy()).max() < 1e-6


@pytest.mark.parametrize(
    ("shape", "size_px"), [((96, 96), 48), ((24, 24), 48), ((10, 200), 48), ((48, 48), 48)]
)
def test_scaling_keeps_the_mean_intensity(shape, size_px):
    ramp = np.tile(np.linspace(0, 255, shape[1]).astype(np.uint8), (shape[0], 1))
    scaled = scale(ramp, size_px)
    assert scaled.shape == (size_px, size_px)
    assert scaled.mean() == pytest.approx(ramp.mean(), abs=2)


@pytest.mark.parametrize("shape", [(8, 8), (8, 12), (20, 4 * 3)])
def test_a_larger_picture_is_averaged_over_areas(shape):
    image = crop(*shape)
    rows, columns = shape[0] // 4, shape[1] // 4
    areas = image.reshape(4, rows, 4, columns).mean((1, 3))
    assert np.abs(scale(image, 4) - areas).max() <= 0.51


def test_a_smaller_picture_is_interpolated_between_the_middles_of_its_pixels():
    two = np.array([[0, 200], [0, 200]], np.uint8)
    assert scale(two, 4).tolist() == [[0, 50, 150, 200]] * 4


def test_a_picture_narrow_one_way_is_interpolated():
    """By areas it would be drawn out in blocks."""
    narrow = np.tile(np.array([0, 80], np.uint8), (8, 1))
    assert scale(narrow, 4)[0].tolist() == [0, 20, 60, 80]


def test_a_picture_of_the_right_size_is_left_alone():
    image = crop(5, 5)
    assert scale(image, 5) is image
    assert scale(crop(5, 10), 5).shape == (5, 5)


def test_no_crops_are_an_empty_batch():
    assert Preprocess(48, (0.5,), (0.5,))([]).shape == (0, 1, 48, 48)
    assert Preprocess(40, *IMAGENET)([]).shape == (0, 3, 40, 40)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((48, 48), np.float32), r"uint8 crops?, got \(48, 48\) float32"),
        (np.zeros((48, 48, 4), np.uint8), "3 colour channels"),
        (np.zeros((48, 48, 1), np.uint8), r"3 colour channels \(RGB\), got 1"),
        (np.zeros((48, 48, 2), np.uint8), "got 2"),
        (np.zeros((0, 48), np.uint8), r"got \(0, 48\)"),
        (np.zeros((48, 0, 3), np.uint8), r"got \(48, 0, 3\)"),
        (np.zeros((1, 48, 48, 3), np.uint8), r"got \(1, 48, 48, 3\)"),
        (np.zeros((48,), np.uint8), r"got \(48,\)"),
    ],
)
def test_what_is_no_crop_is_refused(bad, message):
    with pytest.raises(ShapeError, match=message):
        Preprocess(48, (0.5,), (0.5,))([bad])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ((0, (0.5,), (0.5,)), "at least 1 px"),
        ((48, (0.5, 0.5), (0.5, 0.5)), "1 or 3 means"),
        ((48, (), ()), "1 or 3 means"),
        ((48, (0.5,), (0.5, 0.5, 0.5)), "1 or 3 means"),
        ((48, (0.5,), (0.0,)), "above 0"),
        ((48, IMAGENET[0], (0.2, 0.2, -0.1)), "above 0"),
        ((-1, (0.5,), (0.5,)), "at least 1 px, got -1 and 48"),
        ((48, (0.5,), (0.5,), 0), "at least 1 px, got 48 and 0"),
        ((48, (float("nan"),), (0.5,)), "finite means and stds"),
        ((48, (0.5,), (float("nan"),)), "finite means and stds"),
        ((48, (0.5,), (float("inf"),)), "finite means and stds"),
    ],
)
def test_impossible_preprocessing_is_refused(fields, message):
    with pytest.raises(ShapeError, match=message):
        Preprocess(*fields)


def test_a_pixel_is_size_enough():
    assert Preprocess(1, (0.0,), (1.0,), 1)([np.full((3, 3), 255, np.uint8)]).tolist() == [[[[1]]]]


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    size_px=st.integers(1, 60),
    source_px=st.integers(1, 60),
    seed=st.integers(0, 9),
)
def test_resizing_stays_within_the_crop_s_own_tones_and_is_the_same_each_time(
    height, width, size_px, source_px, seed
):
    image = np.random.default_rng(seed).integers(60, 190, (height, width)).astype(np.uint8)
    preprocess = Preprocess(size_px, (0.5,), (0.25,), source_px)
    out = preprocess.resize([image])
    assert image.min() <= out.min()
    assert out.max() <= image.max()
    assert (preprocess.resize([image, image])[1] == out[0]).all()
    mirrored = preprocess.resize([image[:, ::-1]])[:, :, ::-1]
    assert np.abs(mirrored.astype(int) - out).max() <= 2


@pytest.mark.parametrize("shape", [(48, 48, 3), (31, 77, 3), (20, 30)])
def test_colour_is_kept_where_the_network_sees_it(shape):
    preprocess = Preprocess(40, *IMAGENET, color=True)
    image = crop(*shape)
    seen = preprocess.resize([image])
    assert seen.shape == (1, 40, 40, 3)
    planes = image[..., None].repeat(3, 2) if image.ndim == 2 else image
    for channel in range(3):
        alone = Preprocess(40, (0.5,), (0.5,)).resize([planes[..., channel]])
        assert np.abs(seen[..., channel].astype(int) - alone).max() <= 1
    values = preprocess([image])
    for channel, (m, s) in enumerate(zip(*IMAGENET, strict=True)):
        assert values[0, channel] == pytest.approx((seen[0, ..., channel] / 255 - m) / s, abs=1e-5)


def test_colour_needs_three_means():
    with pytest.raises(ShapeError, match="expected 3 means and stds in colour"):
        Preprocess(48, (0.5,), (0.5,), color=True)


def test_noise_goes_from_noisy_crops_where_the_card_asks_for_it():
    flat, noisy = np.full((48, 48), 128, np.uint8), RNG.normal(128, 30, (48, 48)).astype(np.uint8)
    left = Preprocess(48, (0.5,), (0.5,)).resize([flat, noisy])
    found = Preprocess(48, (0.5,), (0.5,), denoise="auto").resize([flat, noisy])
    assert (left == [flat, noisy]).all()
    assert (found[0] == flat).all()
    assert found[1].std() < 0.6 * noisy.std()
    with pytest.raises(ShapeError, match=r"expected denoise among none, auto, got 'on'"):
        Preprocess(48, (0.5,), (0.5,), denoise="on")
