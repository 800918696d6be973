from pathlib import Path

import numpy as np
import pytest

from mien.bundle import Classifier, open_bundle, temper
from mien.errors import BundleError, InputError
from mien.views import VIEWS, flip, passes, ten_crop
from tests.fakes import brightness_bundle

FACES = np.random.default_rng(0).integers(0, 256, (3, 48, 48)).astype(np.uint8)


def test_plain_is_the_faces_as_they_are():
    assert VIEWS["plain"](FACES) is FACES


def test_flip_gives_the_faces_and_their_mirror_images():
    seen = flip(FACES)
    assert seen.shape == (6, 48, 48)
    assert (seen[:3] == FACES).all()
    assert (seen[3:] == FACES[:, :, ::-1]).all()


@pytest.mark.parametrize(("size", "side", "step"), [(48, 44, 5), (24, 22, 10), (60, 55, 4)])
def test_ten_crop_looks_at_corners_and_centre_at_full_size(size: int, side: int, step: int):
    """Brightness rises by `step` a pixel, so that a view's mean tells where its middle lies."""
    across = np.tile(np.arange(size) * step, (size, 1)).astype(np.uint8)
    seen = ten_crop(np.stack([across, across.T, np.full_like(across, 7)]))
    assert seen.shape == (30, size, size)
    assert seen.dtype == np.uint8
    middle = seen.reshape(10, 3, -1).mean(2) / step - (side - 1) / 2
    end, centre = size - side, (size - side) // 2
    # Upper left, upper right, lower left, lower right, centre: of each face, then the next place.
    assert middle[:5, 0] == pytest.approx([0, end, 0, end, centre], abs=0.15)
    assert middle[:5, 1] == pytest.approx([0, 0, end, end, centre], abs=0.15)
    assert (seen[2::3] == 7).all()
    assert (seen[15:] == seen[:15, :, ::-1]).all()
    # A crop is enlarged as a whole: its edges are those of the view.
    assert seen[0, 0, [0, -1]] == pytest.approx([0, (side - 1) * step], abs=step)


def test_passes_are_the_views_of_one_face():
    assert {views: passes(views) for views in VIEWS} == {"plain": 1, "flip": 2, "ten-crop": 10}


@pytest.mark.parametrize("views", VIEWS)
def test_views_are_averaged(views: str):
    bundle = open_bundle()
    found = Classifier(bundle, views=views).probabilities(FACES)
    plain = Classifier(bundle, views="plain")
    seen = VIEWS[views](FACES)
    each = plain.probabilities(seen).reshape(-1, *found.shape)
    # The temperature comes after the mean: take it off the views, and put it on the mean.
    bare = np.stack([temper(e, 1 / bundle.card.temperature) for e in each])
    assert np.allclose(found, temper(bare.mean(0), bundle.card.temperature), atol=1e-6)
    assert np.allclose(found.sum(1), 1)


def test_unknown_views_are_refused(tmp_path: Path):
    bundle = brightness_bundle(tmp_path / "b")
    with pytest.raises(InputError, match="expected views among plain, flip, ten-crop, got 'x'"):
        Classifier(bundle, views="x")
    text = (bundle.folder / "card.json").read_text()
    (bundle.folder / "card.json").write_text(text.replace('"plain"', '"mirror"'))
    with pytest.raises(BundleError, match="got 'mirror'"):
        open_bundle(bundle.folder)
