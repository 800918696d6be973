"""Noise is measured, taken away where there is some, and left alone where there is none."""

import numpy as np
import pytest
from numpy.typing import NDArray

from mien.data.drawn import draw_face
from mien.labels import FER2013
from mien.noise import NOISY, SPIKES, denoised, deviation, spikes

Images = NDArray[np.uint8]


@pytest.fixture(scope="module")
def faces() -> Images:
    rng = np.random.default_rng(0)
    return np.stack([draw_face(FER2013[n % 7], rng) for n in range(21)])


def noisy(faces: Images, sigma: float) -> Images:
    noise = np.random.default_rng(1).normal(0, sigma, faces.shape)
    return np.clip(faces + noise, 0, 255).astype(np.uint8)


def spiked(faces: Images, share: float) -> Images:
    rng = np.random.default_rng(2)
    hit = rng.random(faces.shape) < share
    return np.where(hit, 255 * rng.integers(0, 2, faces.shape), faces).astype(np.uint8)


def error(images: Images, truth: Images) -> float:
    return float(np.sqrt(((images.astype(float) - truth) ** 2).mean()))


@pytest.mark.parametrize("sigma", [5, 15, 30])
def test_the_deviation_of_noise_is_measured(sigma: float):
    flat = np.full((8, 48, 48), 128, np.uint8)
    found = [deviation(image) for image in noisy(flat, sigma)]
    assert np.mean(found) == pytest.approx(sigma, rel=0.05)
    edge = flat[0].copy()
    edge[:, 24:] = 30
    assert deviation(edge) == 0


@pytest.mark.parametrize("share", [0.01, 0.05])
def test_spikes_are_counted(share: float):
    flat = np.full((8, 48, 48), 128, np.uint8)
    found = np.mean([spikes(image) for image in spiked(flat, share)])
    assert 0.6 * share < found <= 1.1 * share
    assert spikes(flat[0]) == 0


def test_a_face_without_noise_stays_as_it_is(faces):
    for face in faces:
        quiet = noisy(face[None], 3)[0]
        assert deviation(quiet) < NOISY
        assert spikes(quiet) < SPIKES
        assert denoised(quiet) is quiet


@pytest.mark.parametrize("sigma", [20, 35])
def test_noise_is_taken_away(faces, sigma: float):
    found = noisy(faces, sigma)
    cleaner = np.stack([denoised(face) for face in found])
    assert (cleaner.shape, cleaner.dtype) == (faces.shape, np.uint8)
    assert error(cleaner, faces) < 0.7 * error(found, faces)


@pytest.mark.parametrize("share", [0.02, 0.08])
def test_spikes_are_taken_away_and_little_else(faces, share: float):
    found = spiked(faces, share)
    cleaner = np.stack([denoised(face) for face in found])
    assert error(cleaner, faces) < 0.4 * error(found, faces)
    kept = found == faces
    assert (cleaner == faces)[kept].mean() > 0.9


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (96, 96)])
def test_pictures_of_any_size_have_an_answer(shape):
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    assert denoised(image).shape == shape
