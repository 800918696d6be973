import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.ndimage import gaussian_filter

from mien.bundle import Classifier
from mien.explain import SHARES, area, deletion
from mien.explain.occlusion import occlusion
from tests.fakes import brightness_bundle

SIDE, MIDDLE = 24, 3


class Seeing:
    """Keeps the pictures it is asked about; of two labels, the second's probability is a count."""

    def scores(self, images: np.ndarray) -> np.ndarray:
        self.images = images
        return np.stack([np.zeros(len(images)), np.arange(len(images)) / 100], 1)


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (20, 20), np.uint8)


def test_twentieths_of_the_pixels_are_blurred_the_most_important_first(noise: np.ndarray):
    order = np.random.default_rng(1).permutation(400).reshape(20, 20)
    network = Seeing()
    found = deletion(network, noise, 1, 1 - order / 400)
    assert found.tolist() == [n / 100 for n in range(21)], "probabilities of the label"
    assert SHARES.tolist() == pytest.approx([n / 20 for n in range(21)])
    assert (network.images[0] == noise).all()
    blurred = gaussian_filter(noise.astype(float), 20 / 16, mode="nearest")
    assert abs(network.images[-1] - blurred).max() < 2, "a sixteenth of the side"
    for number, image in enumerate(network.images):
        kept, gone = order > 20 * number, order < 20 * number  # one may go by rounding
        assert (image[kept] == noise[kept]).all()
        assert (image[gone] == network.images[-1][gone]).all()


def test_equally_important_pixels_go_in_a_random_order_that_stays_the_same(noise: np.ndarray):
    orders = []
    for importance in (np.zeros((20, 20)), np.ones((20, 20))):
        network = Seeing()
        deletion(network, noise, 0, importance)
        orders.append(network.images[10] != noise)
    assert (orders[0] == orders[1]).all()
    upper, lower = orders[0][:10].sum(), orders[0][10:].sum()
    assert 0.6 < upper / lower < 1.6


def test_a_map_is_deleted_faster_than_random_pixels(tmp_path):
    bright = Classifier(brightness_bundle(tmp_path / "b", size_px=SIDE))
    rng = np.random.default_rng(0)
    spot = np.full((SIDE, SIDE), 90.0)
    spot[4:10, 14:20] = 255
    spot = np.clip(spot + rng.normal(0, 5, spot.shape), 0, 255).astype(np.uint8)
    importance = occlusion(bright, spot, MIDDLE)
    by_map, by_rest = (deletion(bright, spot, MIDDLE, m) for m in (importance, -importance))
    at_random = [deletion(bright, spot, MIDDLE, rng.random(spot.shape)) for _ in range(5)]
    assert by_map.shape == (21,)
    assert by_map[0] == by_rest[0] == at_random[0][0] == bright.scores(spot[None])[0, MIDDLE]
    assert by_map[-1] == pytest.approx(by_rest[-1])
    areas = [area(scores) for scores in at_random]
    assert area(by_map) < min(areas)
    assert max(areas) < area(by_rest)


@pytest.mark.parametrize(("scores", "expected"), [([1, 1, 1], 1), ([1, 0, 0], 0.25), ([0, 1], 0.5)])
def test_the_area_is_that_of_trapezoids(scores: list[float], expected: float):
    found = area(np.array(scores, float))
    assert found == pytest.approx(expected)
    assert found == pytest.approx(trapezoid(scores, np.linspace(0, 1, len(scores))))
