import numpy as np
import pytest

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
    out = preprocess([crop(*shape), crop(*shape)])
    assert out.shape == (2, len(mean), size_px, size_px)
    assert out.dtype == np.float32
    assert out.flags.c_contiguous
    lowest, highest = -max(mean) / min(std), (1 - min(mean)) / min(std)
    assert out.min() >= lowest - 1e-4
    assert out.max() <= highest + 1e-4


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


def test_colours_are_taken_as_rgb():
    red = np.zeros((48, 48, 3), np.uint8)
    red[..., 0] = 255
    assert Preprocess(48, (0.0,), (1.0,))([red]) == pytest.approx(0.299, abs=0.005)


def test_a_sharp_crop_passes_through_the_resolution_of_the_training_data():
    fine = np.indices((192, 192)).sum(0).astype(np.uint8) % 2 * 255
    out = Preprocess(96, (0.0,), (1.0,), source_px=48)([fine])
    assert out == pytest.approx(0.5, abs=0.01)


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


def test_no_crops_are_an_empty_batch():
    assert Preprocess(48, (0.5,), (0.5,))([]).shape == (0, 1, 48, 48)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((48, 48), np.float32), r"uint8 crops?, got \(48, 48\) float32"),
        (np.zeros((48, 48, 4), np.uint8), "3 colour channels"),
        (np.zeros((0, 48), np.uint8), r"got \(0, 48\)"),
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
    ],
)
def test_impossible_preprocessing_is_refused(fields, message):
    with pytest.raises(ShapeError, match=message):
        Preprocess(*fields)
