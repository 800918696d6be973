"""What covers a face is told, on faces and in drawings that training has not seen."""

import cv2
import numpy as np
import pytest

import mien
from mien.demo import PORTRAIT
from mien.faces import cover
from mien.preprocess import grey
from mien.quality import look_at, sharpness
from mien.sources import read_picture
from scripts import occlusion

FACES = 120
PORTRAIT_FACE = read_picture(PORTRAIT)[63:176, 167:280]


@pytest.fixture(scope="module")
def faces(fer2013) -> np.ndarray:
    public = fer2013.split("public").images
    return public[np.random.default_rng(7).permutation(len(public))[:FACES]]


# As scripts/occlusion.py measures on 1,000 faces (docs/faces.md), less three standard errors.
@pytest.mark.parametrize(("kind", "least"), [("mask", 0.56), ("sunglasses", 0.78), ("hand", 0.85)])
def test_drawn_things_are_told_that_training_has_not_seen(faces, kind: str, least: float):
    rng = np.random.default_rng(0)
    drawn = [occlusion.covered(face, kind, rng, new=True) for face in faces]
    told = (cover.scores(drawn) > cover.COVERED).mean()
    plain = (cover.scores([*faces]) > cover.COVERED).mean()
    assert told >= least
    assert told / (told + plain) >= 0.9, "precision"


def test_a_covered_portrait_has_the_status_occluded(mien_home):
    recognizer = mien.Recognizer("mien-s-wide-int8", detector="none")
    small = cv2.resize(grey(PORTRAIT_FACE), (48, 48), interpolation=cv2.INTER_AREA)
    rng = np.random.default_rng(0)
    for kind in occlusion.KINDS:
        covered = occlusion.covered(small.astype(np.uint8), kind, rng, new=False)
        assert [r.status for r in recognizer.recognize(covered)] == ["occluded"], kind
    assert [r.status for r in recognizer.recognize(PORTRAIT_FACE)] == ["ok"]


def test_a_look_has_both_figures_of_each_crop():
    crops = [PORTRAIT_FACE, PORTRAIT_FACE[:, ::-1], np.full((9, 9), 7, np.uint8)]
    looks = look_at(crops)
    assert [look.sharpness for look in looks] == [*map(sharpness, crops)]
    alone = [cover.scores([crop])[0] for crop in crops]
    assert [look.covered for look in looks] == pytest.approx(alone, abs=1e-3)
    assert look_at([]) == []
