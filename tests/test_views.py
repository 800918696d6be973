from pathlib import Path

import numpy as np
import pytest

from mien.bundle import Classifier, open_bundle, temper
from mien.errors import BundleError, InputError
from mien.views import VIEWS, flip, passes, ten_crop
from tests.fakes import brightness_bundle

FACES = np.random.default_rng(0).integers(0, 256, (3, 48, 48)).astype(np.uint8)


def test_flip_gives_the_faces_and_their_mirror_images():
    seen = flip(FACES)
    assert (seen[:3] == FACES).all()
    assert (seen[3:] == FACES[:, :, ::-1]).all()


def test_ten_crop_looks_at_corners_and_centre_at_full_size():
    spot = np.zeros((1, 48, 48), np.uint8)
    spot[0, :3, :3] = 255  # whole in the first crop alone, and out of sight in the fourth
    seen = ten_crop(spot)
    assert seen.shape == (10, 48, 48)
    light = seen.reshape(10, -1).sum(1)
    assert light[0] == light[:5].max() > light[4] > light[3] == 0
    assert (seen[5:] == seen[:5, :, ::-1]).all()


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
