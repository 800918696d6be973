import dataclasses
import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mien.bundle import Classifier, open_bundle
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


@pytest.mark.parametrize(
    ("side", "patch", "stride"),
    [
        (1, 1, 1),
        (3, 1, 1),
        (8, 1, 1),
        (24, 4, 2),
        (30, 5, 2),
        (47, 8, 4),
        (48, 8, 4),
        (224, 37, 19),
    ],
)
def test_patches_are_a_sixth_wide_in_steps_of_a_twelfth(side: int, patch: int, stride: int):
    """From edge to edge: the last step may be shorter."""
    starts = sorted({*range(0, side - patch, stride), side - patch})
    corners = [(top, left) for top in starts for left in starts]
    patches = _patches(side)
    assert [tuple(np.argwhere(p)[0].tolist()) for p in patches] == corners
    assert {tuple(np.ptp(np.argwhere(p), axis=0) + 1) for p in patches} == {(patch, patch)}
    assert {int(p.sum()) for p in patches} == {patch**2}
    assert patches.any(0).all()


@pytest.mark.parametrize("mean", [0.0, 0.35])
def test_each_pixel_has_the_mean_loss_of_its_patches(tmp_path: Path, mean: float):
    """One patch after the other; covered by the grey that the network takes for nothing."""
    bundle = brightness_bundle(tmp_path / "b", size_px=30)
    told = dataclasses.replace(bundle.card.preprocess, mean=(mean,))
    dataclasses.replace(bundle.card, preprocess=told).save(bundle.folder / "card.json")
    classifier = Classifier(open_bundle(bundle.folder))
    image = np.random.default_rng(0).integers(0, 256, (30, 30), np.uint8)
    starts = [*range(0, 25, 2), 25]
    lost, times = np.zeros((30, 30)), np.zeros((30, 30))
    whole = classifier.scores(image[None])[0, MIDDLE]
    for top, left in itertools.product(starts, starts):
        place = slice(top, top + 5), slice(left, left + 5)
        covered = image.copy()
        covered[place] = round(255 * mean)
        lost[place] += whole - classifier.scores(covered[None])[0, MIDDLE]
        times[place] += 1
    found = occlusion(classifier, image, MIDDLE)
    assert found == pytest.approx(np.clip(lost / times, 0, 1), abs=1e-5)
    assert (found == 0).any() or found.max() > 0


def test_what_grows_when_it_is_covered_is_nothing(bright: Classifier, spot: np.ndarray):
    """Dark is the first label: covering light with black makes it surer."""
    assert not occlusion(bright, spot, 0).any()


def test_the_spot_that_makes_the_answer_is_found(bright: Classifier, spot: np.ndarray):
    found = occlusion(bright, spot, MIDDLE)
    assert found.shape == (SIDE, SIDE)
    assert found.dtype == np.float32
    assert 0 <= found.min() <= found.max() <= 1
    y, x = np.unravel_index(found.argmax(), found.shape)
    assert 4 <= y < 10
    assert 14 <= x < 20
    assert found[:, :8].max() < 0.6 * found.max()
    assert occlusion(bright, spot.T, MIDDLE) == pytest.approx(found.T, abs=1e-6)


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


def test_occlusion_needs_no_torch(bright: Classifier):
    lines = "import sys, mien.explain; sys.exit('torch' in sys.modules or 'pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", lines], check=False).returncode == 0
