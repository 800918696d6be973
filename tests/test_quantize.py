from pathlib import Path

import numpy as np
import pytest

from mien.bundle import Classifier, open_bundle
from mien.data import Dataset
from mien.errors import DataError
from mien.quantize import calibration_faces, quantize


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


def test_without_faces(tmp_path: Path):
    with pytest.raises(DataError, match="no face"):
        quantize(open_bundle(), np.empty((0, 48, 48), np.uint8), tmp_path / "s")
    assert not (tmp_path / "s").exists()
