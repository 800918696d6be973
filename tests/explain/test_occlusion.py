import subprocess
import sys

import numpy as np
import pytest
from scipy.integrate import trapezoid

from mien.bundle import Classifier
from mien.explain import area, deletion
from mien.explain.occlusion import _patches, occlusion
from tests.fakes import brightness_bundle

SIDE = 24
MIDDLE = 3


@pytest.fixture(scope="module")
def bright(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    """Bright faces are its last label, and nothing but brightness counts."""
    return Classifier(brightness_bundle(tmp_path_factory.mktemp("b"), size_px=SIDE))


@pytest.fixture(scope="module")
def spot() -> np.ndarray:
    image = np.full((SIDE, SIDE), 90, np.uint8)
    image[4:10, 14:20] = 255
    return image


@pytest.mark.parametrize("side", [1, 3, 8, 47, 48, 224])
def test_patches_cover_every_pixel(side: int):
    patches = _patches(side)
    assert patches.any(0).all()
    assert len({int(p.sum()) for p in patches}) == 1


def test_the_spot_that_makes_the_answer_is_found(bright: Classifier, spot: np.ndarray):
    found = occlusion(bright, spot, MIDDLE)
    assert found.shape == (SIDE, SIDE)
    assert found.dtype == np.float32
    assert 0 <= found.min() <= found.max() <= 1
    y, x = np.unravel_index(found.argmax(), found.shape)
    assert 4 <= y < 10
    assert 14 <= x < 20
    assert found[:, :8].max() < 0.6 * found.max()


def test_the_map_is_the_loss_of_probability(bright: Classifier, spot: np.ndarray):
    """One patch that covers the spot's corner, counted by hand."""
    covered = spot.copy()
    covered[:4, :4] = 0  # the fake's mean is 0: black is nothing to it
    whole, without = bright.scores(np.stack([spot, covered]))[:, MIDDLE]
    assert occlusion(bright, spot, MIDDLE)[0, 0] == pytest.approx(whole - without, abs=1e-6)


@pytest.mark.parametrize("label", range(7))
def test_a_flat_face_has_no_place_that_counts_more(bright: Classifier, label: int):
    found = occlusion(bright, np.zeros((SIDE, SIDE), np.uint8), label)
    assert not found.any(), "black covered with black changes nothing"


def test_the_map_is_deleted_faster_than_random_pixels(bright: Classifier, spot: np.ndarray):
    rng = np.random.default_rng(0)
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


def test_occlusion_needs_no_torch(bright: Classifier):
    lines = "import sys, mien.explain; sys.exit('torch' in sys.modules or 'pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", lines], check=False).returncode == 0
