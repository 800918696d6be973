from pathlib import Path

import numpy as np
import pytest

from mien.bundle import Classifier, open_bundle
from mien.data import Dataset
from mien.errors import DataError
from mien.quantize import _round, calibration_faces, quantize, quantize_weights


def test_eight_bits_are_smaller_and_answer_alike(fer2013: Dataset, tmp_path: Path):
    bundle = open_bundle("mien-s")
    small = quantize(bundle, calibration_faces(fer2013.split("train").images), tmp_path / "s")
    assert small.model_file.stat().st_size < 0.6 * bundle.model_file.stat().st_size
    faces = fer2013.split("public").images[:400]
    ours, theirs = (Classifier(b, views="plain").probabilities(faces) for b in (small, bundle))
    assert (ours.argmax(1) == theirs.argmax(1)).mean() > 0.95
    assert small.card.name == "mien-s-int8"
    assert small.card.measured == (), "figures of the original are not those of the copy"
    assert small.card.training["quantized_from"] == bundle.card.digest


def test_weights_in_eight_bits_are_as_small_and_closer(fer2013: Dataset, tmp_path: Path):
    bundle = open_bundle("mien-s")  # whose weights lie in 16 bits
    small = quantize_weights(bundle, tmp_path / "s")
    assert small.model_file.stat().st_size < 0.55 * bundle.model_file.stat().st_size
    faces = fer2013.split("public").images[:400]
    ours, theirs = (
        Classifier(b, views="plain").logits(b.card.preprocess(faces)) for b in (small, bundle)
    )
    assert 0 < np.abs(ours - theirs).max() < 0.2
    assert (ours.argmax(1) == theirs.argmax(1)).mean() > 0.98
    assert (small.card.name, small.card.measured) == ("mien-s-w8", ())


def test_few_weights_stay_as_they_are(tmp_path: Path):
    onnx = pytest.importorskip("onnx")
    small = quantize_weights(open_bundle("mien-s"), tmp_path / "s")
    kept = {t.name: tuple(t.dims) for t in onnx.load(small.model_file).graph.initializer}
    assert kept["features.0.weight"] == (32, 1, 3, 3)  # nine a channel
    assert not [
        n for n, dims in kept.items() if len(dims) == 4 and dims[1] > 31 and "int8" not in n
    ]


@pytest.mark.parametrize("axis", [0, 1])
def test_each_channel_has_steps_of_its_own(axis: int):
    values = np.random.default_rng(0).normal(size=(4, 50)).astype(np.float32)
    values *= np.array([[1], [1e3], [1e-3], [0]])
    values = values if axis == 0 else values.T
    rounded, step = _round(values, axis)
    assert step.shape == ((4, 1) if axis == 0 else (1, 4))
    assert np.abs(rounded).max() == 127
    assert (np.abs(rounded * step - values) <= 0.501 * step).all()


def test_without_faces(tmp_path: Path):
    with pytest.raises(DataError, match="no face"):
        quantize(open_bundle(), np.empty((0, 48, 48), np.uint8), tmp_path / "s")
    assert not (tmp_path / "s").exists()
